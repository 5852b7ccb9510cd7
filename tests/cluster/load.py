#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes pods as fast as the API server takes them.

    load.py ADDRESS PKI create NODE FIRST LAST     running pods load-FIRST .. load-LAST with app=web
    load.py ADDRESS PKI delete SELECTOR            all pods with these labels

Pod N has the address 10.128.(N / 250).(N mod 250 + 1) and the label group=(N mod 2).
"""
import http.client
import json
import ssl
import sys
import threading

WORKERS = 4


def connect(address, pki):
    context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
    context.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
    return http.client.HTTPSConnection(address, 6443, context=context, timeout=60)


def request(connection, method, path, body=None, kind="application/json"):
    connection.request(method, path, body and json.dumps(body), {"Content-Type": kind})
    response = connection.getresponse()
    text = response.read()
    if response.status >= 300:
        sys.exit(f"{method} {path}: {response.status} {text[:300]}")


def create(connection, node, numbers):
    for number in numbers:
        name, address = f"load-{number}", f"10.128.{number // 250}.{number % 250 + 1}"
        request(connection, "POST", "/api/v1/namespaces/default/pods", {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": "web", "group": str(number % 2)}},
            "spec": {"nodeName": node, "containers": [{"name": "a", "image": "none"}]}})
        request(connection, "PATCH", f"/api/v1/namespaces/default/pods/{name}/status", {
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}},
            "application/merge-patch+json")


def main(address, pki, action, *arguments):
    if action == "delete":
        request(connect(address, pki), "DELETE", "/api/v1/namespaces/default/pods?gracePeriodSeconds=0"
                f"&labelSelector={arguments[0].replace('=', '%3D')}")
        return
    node, first, last = arguments[0], int(arguments[1]), int(arguments[2])
    failed = []

    def work(offset):
        try:
            create(connect(address, pki), node, range(first + offset, last + 1, WORKERS))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(f"{failed[0]}")


main(*sys.argv[1:])
