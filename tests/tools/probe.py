#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the lab's other clients cannot send: large datagrams and pings, short-lived packets, and
protocols without ports. Prints one line; a status other than 0 means that nothing came back."""
import os
import socket
import struct
import sys
import time

TIMEOUT = 5
SO_RCVBUFFORCE = 33
BATCH = 8
DO_NOT_FRAGMENT = 2
# Of each family: level, MTU_DISCOVER and MTU of a socket, and a datagram's headers.
MTU_OPTIONS = {
    socket.AF_INET: (socket.IPPROTO_IP, 10, 14, 28),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 23, 24, 48),
}


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def datagram_socket(address):
    """With room for a batch of jumbo frames, each of which may take 32 KiB of it."""
    fresh = socket.socket(family_of(address), socket.SOCK_DGRAM)
    fresh.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
    return fresh


def may_be_fragmented(open_socket):
    level, discover = MTU_OPTIONS[open_socket.family][:2]
    open_socket.setsockopt(level, discover, 0)


def serve(address, port):
    """Sends datagrams back as they are."""
    server = datagram_socket(address)
    may_be_fragmented(server)
    server.bind((address, int(port)))
    print("ready", flush=True)
    while True:
        data, client = server.recvfrom(65535)
        server.sendto(data, client)


def serve_raw(address, protocol):
    """Sends packets of a protocol that raw() sends back."""
    family = family_of(address)
    server = socket.socket(family, socket.SOCK_RAW, int(protocol))
    print("ready", flush=True)
    while True:
        data, client = server.recvfrom(65535)
        server.sendto(received(data, family), client)


def datagram(address, port, size, free=""):
    """With a fourth argument, one that routers may fragment, as is any that serve() sends back."""
    client = datagram_socket(address)
    if free:
        may_be_fragmented(client)
    client.settimeout(TIMEOUT)
    data = os.urandom(int(size))
    client.sendto(data, (address, int(port)))
    print("same" if client.recv(65535) == data else "different")


def exchange(client, size, start):
    """Sends some datagrams and waits for their answers; the bytes that came back as they were."""
    sent = {}
    answered = 0
    for number in range(start, start + BATCH):
        head = struct.pack("!Q", number)
        sent[head] = (head * (size // 8 + 1))[:size]
        client.send(sent[head])
    while sent:
        answer = client.recv(65535)
        if sent.get(answer[:8]) == answer:
            del sent[answer[:8]]
            answered += size
    return answered


def datagrams(port, total, *addresses):
    """Has that many bytes sent back by each in datagrams as long as is said to fit and never
    fragmented. Prints the MTU of each in the end."""
    for address in addresses:
        client = datagram_socket(address)
        client.connect((address, int(port)))
        print(fitting_datagrams(client, total))


def answers(address, port, total):
    """The same for the other end: once open_and_echo() has sent its first datagram."""
    server = datagram_socket(address)
    server.bind((address, int(port)))
    print("ready", flush=True)
    server.connect(server.recvfrom(100)[1])
    print("mtu", fitting_datagrams(server, total), flush=True)


def open_and_echo(address, port):
    client = datagram_socket(address)
    client.connect((address, int(port)))
    client.send(b"hello")
    while True:
        client.send(client.recv(65535))


def fitting_datagrams(client, total):
    level, discover, mtu, headers = MTU_OPTIONS[client.family]
    client.setsockopt(level, discover, DO_NOT_FRAGMENT)
    client.settimeout(0.2)
    left, number, end = int(total), 0, time.monotonic() + 4 * TIMEOUT
    while left > 0:
        number += BATCH
        try:
            left -= exchange(client, client.getsockopt(level, mtu) - headers, number)
            end = time.monotonic() + 4 * TIMEOUT
        except OSError:  # too long, as the host knows by now, or no answer
            if time.monotonic() > end:
                raise
    return client.getsockopt(level, mtu)


def received(packet, family):
    """What a raw socket got, without the header that only IPv4 hands out."""
    return packet[20:] if family == socket.AF_INET else packet


def ping(address, size):
    family = family_of(address)
    request, reply, protocol = (8, 0, 1) if family == socket.AF_INET else (128, 129, 58)
    client = socket.socket(family, socket.SOCK_RAW, protocol)
    client.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
    client.settimeout(TIMEOUT)
    data = os.urandom(int(size))
    identifier = 0x1D1D
    head = struct.pack("!BBHHH", request, 0, 0, identifier, 1)
    # For ICMPv6 the kernel does it.
    head = struct.pack("!BBHHH", request, 0, checksum(head + data), identifier, 1)
    client.sendto(head + data, (address, 0))
    while True:
        answer = received(client.recv(65535), family)
        if answer[0] == reply and answer[4:6] == struct.pack("!H", identifier):
            break
    print("same" if answer[8:] == data else "different")


def raw(address, protocol):
    family = family_of(address)
    client = socket.socket(family, socket.SOCK_RAW, int(protocol))
    client.settimeout(TIMEOUT)
    data = os.urandom(64)
    client.sendto(data, (address, 0))
    print("same" if received(client.recv(65535), family) == data else "different")


def error(address, port, hops):
    """The ICMP error that a datagram comes to: type, code, and who sent it."""
    family = family_of(address)
    level, hop_limit, receive_errors = (0, 2, 11) if family == socket.AF_INET else (41, 16, 25)
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(TIMEOUT)
    client.setsockopt(level, receive_errors, 1)
    client.setsockopt(level, hop_limit, int(hops))
    client.connect((address, int(port)))
    client.send(b"probe")
    try:
        client.recv(100)
        print("answer")
        return
    except TimeoutError:
        raise
    except OSError:
        pass
    control = client.recvmsg(100, 512, socket.MSG_ERRQUEUE)[1][0][2]
    offender = control[20:24] if family == socket.AF_INET else control[24:40]
    print(control[5], control[6], socket.inet_ntop(family, offender))


def fragment(family, ends, part, offset, more):
    """An IP packet that carries `part` of a datagram, `offset` bytes behind its start."""
    if family == socket.AF_INET:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(part), 0x3131, more << 13 | offset // 8,
                           64, 17, 0) + ends + part  # the kernel fills in the checksum
    return (struct.pack("!IHBB", 6 << 28, 8 + len(part), 44, 64) + ends +
            struct.pack("!BBHI", 17, 0, offset | more, 0x31313131) + part)


def fragments(address, port, order):
    """A datagram in three parts, which leave in that order, as 021; whether it comes back."""
    family = family_of(address)
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.connect((address, int(port)))
    client.settimeout(TIMEOUT)
    own, own_port = client.getsockname()[:2]
    ends = socket.inet_pton(family, own) + socket.inet_pton(family, address)
    data = os.urandom(1200)
    udp = struct.pack("!HHHH", own_port, int(port), 8 + len(data), 0)
    check = checksum(ends + struct.pack("!II", 17, 8 + len(data)) + udp + data)
    packet = udp[:6] + struct.pack("!H", check or 0xFFFF) + data
    parts = [packet[:400], packet[400:800], packet[800:]]
    sender = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for number in map(int, order):
        sender.sendto(fragment(family, ends, parts[number], 400 * number, number < 2), (address, 0))
    print("same" if client.recv(65535) == data else "different")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
