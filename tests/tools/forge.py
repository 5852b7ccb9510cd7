#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""forge.py OUTER-SOURCE OUTER-DESTINATION SOURCE DESTINATION [LENGTH]

Sends one packet of the tunnel, in which SOURCE sends a byte by UDP to DESTINATION. OUTER-SOURCE "-"
is an address of this host, any other is written into the header. LENGTH is what the inner IPv4 header
says of itself (29)."""
import ipaddress
import socket
import struct
import sys

VNI, TUNNEL_PORT = 59790, 4789


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(source, destination, ports, payload):
    def datagram(check):
        return struct.pack("!HHHH", *ports, 8 + len(payload), check) + payload

    pseudo = source.packed + destination.packed + struct.pack("!II", 8 + len(payload), socket.IPPROTO_UDP)
    return datagram(checksum(pseudo + datagram(0)) or 0xFFFF)


def ip(source, destination, payload, length=None):
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    body = udp(source, destination, *payload)
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_UDP, 64) + \
            source.packed + destination.packed + body

    def header(check):
        return struct.pack("!BBHHHBBH", 0x45, 0, length or 20 + len(body), 1, 0, 64, socket.IPPROTO_UDP,
                           check) + source.packed + destination.packed

    return header(checksum(header(0))) + body


def main(outer_source, outer_destination, source, destination, length=0):
    ethertype = b"\x86\xdd" if ":" in source else b"\x08\x00"
    tunnel = struct.pack("!II", 0x08000000, VNI << 8) + bytes(12) + ethertype + \
        ip(source, destination, ((5000, 53), b"x"), int(length))
    family = socket.AF_INET6 if ":" in outer_destination else socket.AF_INET
    if outer_source == "-":
        socket.socket(family, socket.SOCK_DGRAM).sendto(tunnel, (outer_destination, TUNNEL_PORT))
    else:
        packet = ip(outer_source, outer_destination, ((50000, TUNNEL_PORT), tunnel))
        socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(packet, (outer_destination, 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
