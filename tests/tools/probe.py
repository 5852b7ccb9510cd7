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
IP_RECVERR = 11
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


def serve(address, port):
    """Sends datagrams back as they are."""
    server = datagram_socket(address)
    server.bind((address, int(port)))
    print("ready", flush=True)
    while True:
        data, client = server.recvfrom(65535)
        server.sendto(data, client)


def serve_raw(protocol):
    """Sends packets of a protocol that raw() sends back."""
    server = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(protocol))
    print("ready", flush=True)
    while True:
        data, client = server.recvfrom(65535)
        server.sendto(data[20:], client)


def datagram(address, port, size):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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


def ping(address, size):
    client = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    client.settimeout(TIMEOUT)
    data = os.urandom(int(size))
    identifier = 0x1D1D
    head = struct.pack("!BBHHH", 8, 0, 0, identifier, 1)
    head = struct.pack("!BBHHH", 8, 0, checksum(head + data), identifier, 1)
    client.sendto(head + data, (address, 0))
    while True:
        answer = client.recv(65535)
        if answer[20] == 0 and answer[24:26] == struct.pack("!H", identifier):
            break
    print("same" if answer[28:] == data else "different")


def raw(address, protocol):
    client = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(protocol))
    client.settimeout(TIMEOUT)
    data = os.urandom(64)
    client.sendto(data, (address, 0))
    print("same" if client.recv(65535)[20:] == data else "different")


def error(address, port, hops):
    """The ICMP error that a datagram comes to: type, code, and who sent it."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(TIMEOUT)
    client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(hops))
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
    kind, code = control[5], control[6]
    print(kind, code, socket.inet_ntoa(control[20:24]))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
