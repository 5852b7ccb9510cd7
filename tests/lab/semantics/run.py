#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the rows of semantics/rows*.py in a lab that stands, for the families that it has.

    run.py ipv4|ipv6|dual LAB-DIRECTORY BUILD [PATTERN]

For each row: the cluster's manifests are replaced by those of the row; once every node's kernel has
them, the pods send UDP, TCP and pings, until the server sees each as the row says. Then all of it
once more, and now nothing else may come: neither to the server, which counts sources, nor over the
wire before it, where each datagram and ping tells whose it is. Prints TAP without the plan.
"""
import json
import os
import re
import subprocess
import sys
import time

from probe import Probe, Wire, ask, inside
from rows import ROWS
from world import ADDRESSES, NODES, PODS, PROBED, cluster, marker_cidr, own

PROTOCOLS = ("udp", "tcp", "ping")
PATIENCE = 20  # seconds until a row is in force
ANSWER = 3  # seconds for an answer that has to come
ROUTER = {"198.51.100.1", "2001:db8:51::1"}


class Failure(Exception):
    pass


def wait(what, condition):
    """Until the condition returns nothing; what it returns last is the reason of the failure."""
    end = time.monotonic() + PATIENCE
    while reason := condition():
        if time.monotonic() > end:
            raise Failure(f"waited in vain for {what}: {reason}")
        time.sleep(0.01)


def addresses(words, pod, family):
    """The addresses of one word of an expectation: "A", "own", "A|B" for one of them, "none", and
    with a slash the one for IPv4 and the one for IPv6."""
    parts = words.split("/")
    word = parts[-1 if family == 6 else 0]
    if word == "none":
        return set()
    return {own(pod)[family] if name == "own" else ADDRESSES[name][family]
            for name in word.split("|")}


def probes_of(expect, families):
    """"web db@far: A; *: own": one probe for each pod, destination and family. * is every pod that
    is not named for that destination; without a destination it is near."""
    named = {}
    for part in expect.split(";"):
        left, _, words = part.partition(":")
        for name in left.split():
            pod, _, target = name.partition("@")
            target = target or "near"
            for each in PROBED if pod == "*" else [pod]:
                named.setdefault((each, target), words.strip())
    return [Probe(pod, target, family, addresses(words, pod, family))
            for (pod, target), words in named.items() for family in families]


class Lab:
    def __init__(self, directory, build, families):
        self.directory, self.build, self.families = directory, build, families
        self.number = 0
        self.wire = Wire()

    def node(self, key):
        return f"{self.directory}/nodes/{NODES[key][0]}"

    def apply(self, *arguments, **changes):
        """Puts a whole cluster in place by a rename, and waits for it in every node's kernel."""
        self.number += 1
        staged = f"{self.directory}/staging/all.json"
        with open(staged, "w") as file:
            json.dump(cluster(self.families, self.number, *arguments, **changes), file, indent=1)
        os.chmod(staged, 0o644)
        os.rename(staged, f"{self.directory}/manifests/all.json")
        for key in NODES:
            if not (changes.get("nodes") or {}).get(key, {}).get("ready", True):
                continue  # such a node is no gateway of the marker
            wait(f"the tables of {NODES[key][0]}", lambda: self.lacks_marker(key))

    def lacks_marker(self, key):
        text = self.dump(key)
        return "" if f" {marker_cidr(self.number, self.families)} " in text else text or "no table"

    def dump(self, key):
        loader = [f"{self.build}/egressgw-loader", "--config", f"{self.node(key)}/egressgw.yaml", "--dump"]
        with inside(NODES[key][0]):
            return subprocess.run(loader, capture_output=True, text=True, timeout=20).stdout

    def log_sizes(self):
        return {path: os.path.getsize(path) for path in self.logs()}

    def logs(self):
        for key in NODES:
            for daemon in ("watcher", "planner"):
                yield f"{self.node(key)}/{daemon}.log"

    def said(self, pattern, since):
        """Whether a line that came since then fits; what the daemons said where none does."""
        text = ""
        for path in self.logs():
            with open(path, errors="replace") as file:
                file.seek(since[path])
                text += file.read()
        return "" if re.search(pattern, text) else text or "nothing was said"

    def server_sources(self, reset=False):
        with inside("outside"):
            if reset:
                subprocess.run(["nft", "flush set netdev lab sources; flush set netdev lab sources6"],
                               check=True, timeout=20)
                return set()
            text = subprocess.run(["nft", "list", "table", "netdev", "lab"], check=True, timeout=20,
                                  capture_output=True, text=True).stdout
        found = set(re.findall(r"([0-9a-f.:]+) counter packets", text))
        return {address for address in found if not address.startswith(("fe80", "::"))} - ROUTER


def wrong(probes, protocols):
    """What was not seen as expected."""
    found = []
    for probe in probes:
        for protocol in protocols:
            seen = probe.seen.get(protocol)
            if seen == "?" and probe.expected or seen in probe.expected or not (seen or probe.expected):
                continue
            expected = " or ".join(sorted(probe.expected)) or "nobody"
            found.append(f"{probe}, {protocol}: seen as {seen or 'nobody'}, not {expected}")
        if len({probe.seen[protocol] for protocol in protocols if probe.seen.get(protocol, "?") != "?"}) > 1:
            found.append(f"{probe}: not always by the same gateway: {probe.seen}")
    return "\n".join(found)


def strangers(packets, probes, number):
    """Packets on the wire that should not have been there."""
    allowed, own_sources = {}, {}
    for probe in probes:
        seen = probe.seen["udp"]
        own_sources.setdefault(probe.address, set()).update({seen} if probe.expected else set())
        allowed[probe.pod, probe.address] = {seen} if probe.expected else set()
    found = set()
    for source, target, payload in packets:
        tag = re.search(rb"w:([a-z]+):(\d+);", payload)
        if target not in own_sources or tag and int(tag[2]) != number:
            continue
        allow = allowed.get((tag[1].decode(), target), set()) if tag else own_sources[target]
        if source not in allow:
            found.add(f"on the wire: {source} to {target}" + (f", from {tag[1].decode()}" if tag else ""))
    return "\n".join(sorted(found))


def check(lab, probes):
    def unsettled():
        ask(probes, "udp", lab.number, ANSWER / 2)
        return wrong(probes, ["udp"])

    wait("what the server sees", unsettled)
    lab.server_sources(reset=True)
    lab.wire.packets()
    for protocol in PROTOCOLS:
        ask(probes, protocol, lab.number, ANSWER)
    ask([probe for probe in probes if probe.expected], "udp", lab.number, ANSWER)
    bad = "\n".join(filter(None, [wrong(probes, PROTOCOLS),
                                  strangers(lab.wire.packets(), probes, lab.number)]))
    outside = {probe.seen["udp"] for probe in probes if probe.expected}
    if foreign := lab.server_sources() - outside:
        bad += f"\nat the server: packets from {', '.join(sorted(foreign))}"
    if bad.strip():
        raise Failure(bad)


def inbound(lab, pods):
    """Connections from the server's side to pods are answered by the pods themselves."""
    probes = [Probe("server", pod, family, {ADDRESSES["near"][family]})
              for pod in pods for family in lab.families]
    for protocol in PROTOCOLS:
        ask(probes, protocol, lab.number, ANSWER)
    if bad := wrong(probes, PROTOCOLS):
        raise Failure(bad)


def run(lab, row):
    since = lab.log_sizes()
    for policies in row.first:
        lab.apply(policies)
    lab.apply(row.policies, pods=row.pods, nodes=row.nodes, namespaces=row.namespaces)
    probes = probes_of(row.expect, lab.families)
    check(lab, probes)
    if row.inbound:
        inbound(lab, row.inbound)
    if row.log:
        wait(f"a line of the log: {row.log}", lambda: lab.said(row.log, since))


def main(flavour, directory, build, pattern=""):
    families = {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}[flavour]
    lab = Lab(directory, build, families)
    status = count = 0
    for row in ROWS:
        if pattern not in row.name or not set(row.families) & set(families):
            continue
        count += 1
        try:
            run(lab, row)
            print(f"ok {count} - {row.name}", flush=True)
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            status = 1
            print(f"not ok {count} - {row.name}", *str(failure).splitlines(), sep="\n#   ", flush=True)
            for key in NODES:
                print(f"# {NODES[key][0]}", *lab.dump(key).splitlines(), sep="\n#   ", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
