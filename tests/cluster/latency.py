#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a changed policy takes to reach the packets.

    latency.py ADDRESS PKI NAMESPACE SERVER PORT RUNS GATEWAY GATEWAY

Turns the policy egress-test from one gateway to the other, RUNS times, while the pod in the network
namespace asks the server as whom it sees it. Prints the median and the 99th percentile of the time
from the request to the API server to the first answer by the new way, in milliseconds.
"""
import ctypes
import http.client
import json
import os
import socket
import ssl
import sys
import time

CLONE_NEWNET = 0x40000000
TIMEOUT = 10


def enter(path):
    """Sockets that are made from here on belong to this network namespace."""
    with open(path) as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            sys.exit(f"{path}: {os.strerror(ctypes.get_errno())}")


def seen(server):
    """The address that the server sees, or None where no answer comes at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.02)
        probe.connect(server)
        try:
            probe.send(b"w")
            return probe.recv(128).split()[0].decode()
        except OSError:
            return None


def main(address, pki, namespace, server, port, runs, *gateways):
    context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
    context.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
    api = http.client.HTTPSConnection(address, 6443, context=context, timeout=TIMEOUT)
    api.connect()
    enter(namespace)
    times = []
    for run in range(int(runs)):
        gateway = gateways[run % 2]
        body = {"spec": {"egressGateway": {"egressIP": gateway, "nodeSelector": {
            "matchLabels": {"kubernetes.io/hostname": gateway}}}}}
        start = time.monotonic()
        api.request("PATCH", "/apis/cilium.io/v2/ciliumegressgatewaypolicies/egress-test",
                    json.dumps(body), {"Content-Type": "application/merge-patch+json"})
        response = api.getresponse()
        text = response.read()
        if response.status != 200:
            sys.exit(text)
        while seen((server, int(port))) != gateway:
            if time.monotonic() - start > TIMEOUT:
                sys.exit(f"run {run}: not seen as {gateway} within {TIMEOUT} s")
        times.append((time.monotonic() - start) * 1000)
    times.sort()
    print(f"# from the request to the first packet by the new way, {len(times)} runs: "
          f"p50 {times[len(times) // 2]:.1f} ms, p99 {times[len(times) * 99 // 100]:.1f} ms")


main(*sys.argv[1:])
