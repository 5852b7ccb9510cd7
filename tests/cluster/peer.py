#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What stands at the other end of a connection in the cluster tests.

    peer.py serve PORT MODE     an API server that sends what a real one does not
    peer.py cut PORT HOST PORT BYTES
                                passes bytes on, and cuts each connection after so many of them
    peer.py hold PORT HOST PORT PKI FILE
                                passes requests on to an API server, as the test's admin; the first one
                                that asks for a further page of a list waits until FILE is there
    peer.py proxy PORT          an HTTP proxy that knows CONNECT
    peer.py secure PORT CERTIFICATE KEY
                                one that sends a short list by TLS, on 127.0.0.1 and ::1
    peer.py turns PORT CERTIFICATE KEY AUTHORITY FILE
                                one that sends empty lists by TLS on 127.0.0.1 to clients with a certificate
                                of the authority, says which token and certificate each request came with,
                                and ends all of them whenever the file's contents change
    peer.py names ADDRESS       a name server on 127.0.0.1 that gives this address for every name

Each listens on 127.0.0.1 and says "ready" when it does.
"""
import asyncio
import gzip
import os
import ssl
import sys
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SYNCED = (b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d",'
          b'"annotations":{"k8s.io/initial-events-end":"true"}}}}\n')
POD = (b'{"type":"%s","object":{"metadata":{"name":"%s","namespace":"n","uid":"%s",'
       b'"resourceVersion":"%d"}}}\n')


async def head(reader):
    """The first line of a request, "" at the end of the connection."""
    try:
        text = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return ""
    return text.split(b"\r\n")[0].decode()


async def line_of_100_mib(request, writer):
    writer.write(OK + b"\r\n")
    for _ in range(1600):
        writer.write(b"x" * 65536)
        await writer.drain()


async def compressed_bomb(request, writer):
    body = gzip.compress(b" " * (256 << 20), 9)
    writer.write(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()


async def endless_list(request, writer):
    """A list that names its items for ever, none of them an object."""
    if "watch=true" in request:
        writer.write(b"HTTP/1.1 422 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        return
    writer.write(OK + b'\r\n{"kind":"PodList","x":"')
    for _ in range(1600):
        writer.write(b"y" * 65536)
        await writer.drain()


async def redirect(request, writer):
    writer.write(b"HTTP/1.1 307 Elsewhere\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
                 % request.split()[1].encode())


async def slow(request, writer):
    """A byte now and then, never a whole line."""
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def deep(request, writer):
    writer.write(OK + b'\r\n{"type":' + b"[" * 1000000 + b"\n")


async def numbers(request, writer):
    writer.write(OK + b'\r\n{"type":"ERROR","object":{"code":99999999999999999999999}}\n')


async def twice(request, writer):
    """Every event twice, a removal of what is not there, and one event cut off."""
    writer.write(OK + b"\r\n")
    if "sendInitialEvents" not in request:
        await asyncio.sleep(3600)
    for name in (b"a", b"a", b"b", b"b"):
        writer.write(POD % (b"ADDED", name, name, 1))
    writer.write(SYNCED % 5 + SYNCED % 5)
    for name in (b"b", b"b", b"never"):
        writer.write(POD % (b"DELETED", name, name, 6))
    writer.write(POD[:40] % b"ADDED")


async def content_type(request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>sign in</html>\n")


async def status(request, writer):
    """A Status of its own where events are expected."""
    writer.write(OK + b"\r\n" + POD % (b"ADDED", b"a", b"a", 1))
    writer.write(b'{"kind":"Status","apiVersion":"v1","status":"Failure","code":500}\n')


async def utf8(request, writer):
    writer.write(OK + b"\r\n" + POD % (b"ADDED", b"a\xff\xc0", b"a", 1))


async def truncated(request, writer):
    """A line that ends in the middle of an event."""
    writer.write(OK + b"\r\n" + POD[:60] % (b"ADDED", b"a") + b"\n" + SYNCED % 5)


BUSY = [b"429 Too Many Requests", b"503 Service Unavailable"]


async def busy(request, writer):
    """Says twice that it has no time and when it will have some; tells when each request came."""
    print("request", time.monotonic_ns() // 1000000, flush=True)
    if BUSY:
        writer.write(b"HTTP/1.1 %s\r\nRetry-After: 2\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 28\r\n\r\n" % BUSY.pop(0) + b'{"kind":"Status","code":429}')
        return
    writer.write(OK + b"\r\n" + SYNCED % 5)
    await writer.drain()
    await asyncio.sleep(3600)


MODES = {"busy": busy, "content_type": content_type, "status": status, "utf8": utf8, "truncated": truncated,
         "line": line_of_100_mib, "bomb": compressed_bomb, "list": endless_list,
         "redirect": redirect, "slow": slow, "deep": deep, "numbers": numbers, "twice": twice}


def server(mode):
    async def serve(reader, writer):
        request = await head(reader)
        try:
            if request:
                await MODES[mode](request, writer)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()
    return serve


async def pump(reader, writer, limit):
    """Passes bytes on until the end, or until `limit` of them; what is over is cut off."""
    try:
        while limit:
            data = await reader.read(min(65536, limit))
            if not data:
                break
            limit -= len(data)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


def cutter(host, port, limit):
    async def serve(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(pump(reader, far_writer, 1 << 40), pump(far_reader, writer, limit))
    return serve


def holder(host, port, pki, path):
    """One request a connection: the next one may meet another server."""
    context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
    context.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
    held = []

    async def serve(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        first, rest = request.split(b"\r\n", 1)
        page = b"continue=" in first and not held
        if page:
            held.append(first)
            print("held", flush=True)
            while not os.path.exists(path):
                await asyncio.sleep(0.02)
        far_reader, far_writer = await asyncio.open_connection(host, port, ssl=context)
        far_writer.write(first + b"\r\nConnection: close\r\n" + rest)
        answer = await far_reader.readuntil(b"\r\n")
        if page:
            print("answer", answer.split()[1].decode(), flush=True)
        writer.write(answer)
        await pump(far_reader, writer, 1 << 40)
    return serve


def turns(path):
    def turn():
        with open(path) as file:
            return file.read()

    async def serve(reader, writer):
        now = turn()
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            token = request.split("Authorization: Bearer ")[1].split("\r\n")[0]
            print("request", token, writer.get_extra_info("peercert")["serialNumber"], flush=True)
            writer.write(OK + b"\r\n" + SYNCED % 5)
            await writer.drain()
            while turn() == now:
                await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()
    return serve


async def proxy(reader, writer):
    method, target, _ = (await head(reader)).split()
    if method != "CONNECT":
        writer.write(b"HTTP/1.1 405 No\r\n\r\n")
        writer.close()
        return
    print(target, flush=True)
    host, _, port = target.rpartition(":")
    far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await asyncio.gather(pump(reader, far_writer, 1 << 40), pump(far_reader, writer, 1 << 40))


class Names(asyncio.DatagramProtocol):
    """Answers a question for A with the address, any other with nothing."""

    def __init__(self, address):
        self.address = bytes(map(int, address.split(".")))

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        end = data.index(b"\0", 12) + 5
        question, kind = data[12:end], data[end - 4:end - 2]
        is_a = kind == b"\0\1"
        print(question[1:-5], kind, flush=True)
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + self.address if is_a else b""
        self.transport.sendto(data[:2] + b"\x81\x80\0\1\0" + bytes([is_a]) + b"\0\0\0\0" + question
                              + answer, peer)


async def main(kind, *arguments):
    if kind == "names":
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Names(arguments[0]), local_addr=("127.0.0.1", 53))
    elif kind == "secure":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments[1], arguments[2])
        await asyncio.start_server(server("twice"), ["127.0.0.1", "::1"], int(arguments[0]),
                                   ssl=context)
    elif kind == "turns":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=arguments[3])
        context.load_cert_chain(arguments[1], arguments[2])
        context.verify_mode = ssl.CERT_REQUIRED
        await asyncio.start_server(turns(arguments[4]), "127.0.0.1", int(arguments[0]), ssl=context)
    else:
        port = int(arguments[0])
        handler = {"serve": lambda: server(arguments[1]), "proxy": lambda: proxy,
                   "hold": lambda: holder(arguments[1], int(arguments[2]), *arguments[3:]),
                   "cut": lambda: cutter(arguments[1], int(arguments[2]), int(arguments[3]))}[kind]()
        await asyncio.start_server(handler, "127.0.0.1", port)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
