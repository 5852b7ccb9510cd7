# SPDX-License-Identifier: Apache-2.0
"""What pods send and what the server and the wire see of it."""
import contextlib
import ctypes
import errno
import os
import selectors
import socket
import struct
import time

from world import ADDRESSES, PORT, netns, own

CLONE_NEWNET = 0x40000000
ETHERNET, PACKET_OUTGOING = 0x0003, 4
LIBC = ctypes.CDLL(None, use_errno=True)
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
ECHO = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (socket.IPPROTO_ICMPV6, 128, 129)}
RESET = struct.pack("ii", 1, 0)

# What a pod is told by a node that drops its packets.
TOLD = {errno.EHOSTUNREACH, errno.EACCES}


def enter(namespace):
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), namespace.name)


@contextlib.contextmanager
def inside(namespace):
    """Sockets that are made in here belong to that network namespace."""
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace}") as other:
        enter(other)
        try:
            yield
        finally:
            enter(home)


PORTS = {}


def fresh_port(kind, pod, family):
    """One that has not been used: the datapath remembers flows, and all of these are new ones, also
    those that the server begins."""
    whose = kind, pod, family
    PORTS[whose] = PORTS.get(whose, 29999 if pod == "server" else 9999) + 1
    return PORTS[whose]


class Probe:
    """One pod, one destination, one family; what is expected is a set of addresses, empty: none."""

    def __init__(self, pod, target, family, expected):
        self.pod, self.target, self.family, self.expected = pod, target, family, expected
        self.address = ADDRESSES[target][family] if target in ADDRESSES else own(target)[family]
        self.namespace = netns(pod)
        self.seen = {}  # by protocol: an address, or None

    def __str__(self):
        return f"{self.pod} to {self.address}"

    def open(self, kind, protocol=0):
        with inside(self.namespace):
            made = socket.socket(FAMILY[self.family], kind, protocol)
        port = 0 if kind == socket.SOCK_RAW else self.fresh(kind)
        source = ADDRESSES["near"] if self.pod == "server" else own(self.pod)
        made.bind((source[self.family], port))
        made.setblocking(False)
        return made

    def fresh(self, kind):
        return fresh_port(kind, self.pod, self.family)

    def tag(self, number):
        return b"w:%s:%d;" % (self.pod.encode(), number)

    def send_udp(self, number):
        asked = self.open(socket.SOCK_DGRAM)
        asked.connect((self.address, PORT))
        asked.send(self.tag(number))
        return asked

    def send_tcp(self, number):
        asked = self.open(socket.SOCK_STREAM)
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)  # nothing comes after the end
        asked.connect_ex((self.address, PORT))
        return asked

    def send_ping(self, number):
        protocol, request, _ = ECHO[self.family]
        asked = self.open(socket.SOCK_RAW, protocol)
        asked.connect((self.address, 0))
        body = struct.pack("!BBHHH", request, 0, 0, self.fresh("ping"), number) + self.tag(number)
        if self.family == 4:  # the kernel fills in that of ICMPv6
            body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        asked.send(body)
        return asked

    def answer(self, protocol, asked, number):
        """The address as which the server saw us, "?" for ping, None: this was no answer."""
        data = asked.recv(2048)
        if protocol != "ping":
            return data.split()[0].decode() if data.split() else None
        data = data[(data[0] & 15) * 4:] if self.family == 4 else data
        reply = 0 if self.family == 4 else ECHO[6][2]
        return "?" if data[0] == reply and data.endswith(self.tag(number)) else None


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def take(probe, protocol, asked, number, events, selector):
    """Whether the probe is over: answered or refused."""
    try:
        if protocol == "tcp" and events & selectors.EVENT_WRITE:
            asked.send(b"who\n")
            selector.modify(asked, selectors.EVENT_READ, probe)
            return False
        answer = probe.answer(protocol, asked, number)
    except BlockingIOError:  # a TCP that is told while it still connects: it tries again
        return False
    except OSError as error:
        if error.errno in TOLD and not probe.expected:
            return True
        answer = os.strerror(error.errno)
    if answer is not None:
        probe.seen[protocol] = answer
    return answer is not None


def ask(probes, protocol, number, wait):
    """Asks for all at once. Returns as soon as those that expect an answer have one, after `wait`
    seconds at the latest; the others have had the time that took."""
    end = time.monotonic() + wait
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as opened:
        due = set()
        for probe in probes:
            probe.seen[protocol] = None
            asked = opened.enter_context(getattr(probe, "send_" + protocol)(number))
            selector.register(asked, selectors.EVENT_WRITE if protocol == "tcp"
                              else selectors.EVENT_READ, probe)
            if probe.expected:
                due.add(probe)
        while due and time.monotonic() < end:
            for key, events in selector.select(end - time.monotonic()):
                if take(key.data, protocol, key.fileobj, number, events, selector):
                    due.discard(key.data)
                    selector.unregister(key.fileobj)


class Wire:
    """All that goes out to the server's side, seen at the router."""

    def __init__(self):
        with inside("fabric"):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERNET))
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            self.socket.bind(("out", ETHERNET))
        self.socket.setblocking(False)

    def packets(self):
        """(source, destination, payload) of what went out since the last call."""
        found = []
        while True:
            try:
                data, (_, _, kind, _, _) = self.socket.recvfrom(65536)
            except BlockingIOError:
                return found
            found += network(data) if kind == PACKET_OUTGOING else []


def network(frame):
    kind = frame[12:14]
    if kind == b"\x08\x00":
        return [(socket.inet_ntop(socket.AF_INET, frame[26:30]),
                 socket.inet_ntop(socket.AF_INET, frame[30:34]), frame[34:])]
    if kind == b"\x86\xdd":
        return [(socket.inet_ntop(socket.AF_INET6, frame[22:38]),
                 socket.inet_ntop(socket.AF_INET6, frame[38:54]), frame[54:])]
    return []
