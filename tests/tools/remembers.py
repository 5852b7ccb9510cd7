#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""remembers.py PID FILE...: where in a process's memory the bytes of each file are.

Looks through everything that the process may write to. A line for each file, with how often they
were found and in which mappings. White space around the bytes does not count."""
import sys


def writable(pid):
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            span, rights, _, _, _, *name = line.split()
            if "w" in rights:
                start, end = (int(part, 16) for part in span.split("-"))
                yield start, end, name[0] if name else "anonymous"


def main(pid, *files):
    needles = {file: open(file, "rb").read().strip() for file in files}
    found = {file: [] for file in files}
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for start, end, name in writable(pid):
            memory.seek(start)
            try:
                data = memory.read(end - start)
            except OSError:  # no page behind it
                continue
            for file, needle in needles.items():
                found[file] += [name] * data.count(needle)
    for file, places in found.items():
        print(file.rsplit("/", 1)[-1], len(places), *sorted(set(places)))


main(*sys.argv[1:])
