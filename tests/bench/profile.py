#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads what `perf script -F ip,sym` prints and shows, for each program of the datapath, in which of
its functions and of the kernel's that these call its samples lie: a row of a table each."""
import collections
import re
import sys

OURS = re.compile(r"bpf_prog_[0-9a-f]+_(\w+)")
LEAST = 0.02


def symbols(sample):
    """The functions of a sample's stack, the innermost first."""
    for line in sample.splitlines():
        fields = line.split()
        if len(fields) > 1:
            yield fields[1]


def place(stack):
    """(program, function of ours or of the kernel that ours calls), or None."""
    ours = [i for i, symbol in enumerate(stack) if OURS.match(symbol)]
    names = [OURS.match(stack[i]).group(1) for i in ours]
    if not ours or names[-1] not in ("egressgw_egress", "egressgw_ingress"):
        return None
    return names[-1], names[0] if ours[0] == 0 else stack[ours[0] - 1]


def main():
    programs = collections.defaultdict(collections.Counter)
    for sample in sys.stdin.read().split("\n\n"):
        found = place(list(symbols(sample)))
        if found:
            programs[found[0]][found[1]] += 1
    print("| program | in | of its samples |\n|---|---|---:|")
    for program, functions in sorted(programs.items()):
        total = sum(functions.values())
        for function, count in functions.most_common():
            if count >= LEAST * total:
                print(f"| {program} | {function} | {100 * count / total:.0f} % |")


main()
