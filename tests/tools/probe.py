#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the lab's other clients cannot send: large datagrams and pings, short-lived packets, and
protocols without ports. Prints one line; a status other than 0 means that nothing came back."""
import os
import socket
import struct
import sys

TIMEOUT = 5
IP_RECVERR = 11


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def serve(address, port):
    """Sends datagrams back as they are, and packets of the protocols that raw() sends."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, int(port)))
    print("ready", flush=True)
    while True:
        data, client = server.recvfrom(65535)
        server.sendto(data, client)


def serve_raw(protocol):
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
