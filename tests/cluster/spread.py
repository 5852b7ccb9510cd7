#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the requests of a fleet spread over time, by the server's audit log.

    spread.py FILE NODES

Prints how long it took until as many requests had come as half of the nodes, and all of them, are,
and the most that came within a second and within a tenth of it.
"""
import bisect
import datetime
import json
import sys


def received(line):
    text = json.loads(line)["requestReceivedTimestamp"].replace("Z", "+00:00")
    return datetime.datetime.fromisoformat(text).timestamp()


def most(times, width):
    """The most that any window of so many seconds holds."""
    return max(bisect.bisect_left(times, start + width) - index for index, start in enumerate(times))


def main(path, nodes):
    with open(path) as file:
        times = sorted({json.loads(line)["auditID"]: received(line) for line in file}.values())
    first, count = times[:int(nodes)], len(times)
    print(f"# {count} requests of {nodes} nodes to the server that is back: the first {len(first) // 2} within "
          f"{first[len(first) // 2] - times[0]:.1f} s, {len(first)} within {first[-1] - times[0]:.1f} s; at most "
          f"{most(times, 1)} within a second, {most(times, 0.1)} within 0.1 s")


main(*sys.argv[1:])
