#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What counts.bt has counted, per command.

  counts.py FILE [LIMIT...]     prints it; fails if a limit, as in "completions<=1.05", is not kept
"""
import json
import re
import sys

OPCODES = {"2": "SEND", "7": "LOCAL_INV", "32": "REG_MR"}


def read(path):
    """Figures per command, by name, the number of commands, and where locks and memory were taken."""
    maps = {}
    for line in open(path):
        if line.startswith("{"):
            message = json.loads(line)
            if message["type"] in ("map", "stats"):
                maps.update(message["data"])
    commands = maps["@commands"]

    def each(name, key=None):
        value = maps.get(f"@{name}", 0)
        if isinstance(value, dict):
            value = sum(value.values()) if key is None else value.get(key, 0)
        return value / commands

    figures = {
        "requests": each("requests"),
        **{name: each("requests", code) for code, name in OPCODES.items()},
        "signalled": each("signalled"),
        "send doorbells": each("doorbells", "send"),
        "receive doorbells": each("doorbells", "receive"),
        "receives": each("receives"),
        "completions": each("completions"),
        "send completions": each("completions", "send"),
        "receive completions": each("completions", "receive"),
        "registrations": each("layouts"),
        "header maps": each("maps", "header"),
        "list maps": each("maps", "list"),
        "list unmaps": each("unmaps"),
        "segments": each("segments"),
        "send entries": each("entries"),
        "locks": each("locks"),
        "libiscsi locks": each("libiscsi_locks"),
        "allocations": each("allocations"),
    }
    where = {kind: {place: n / commands for place, n in maps.get(f"@{kind}", {}).items()}
             for kind in ("locks", "allocations")}
    return figures, commands, where


def main():
    figures, commands, where = read(sys.argv[1])
    print(f"per command, of {commands}:", ", ".join(f"{k} {v:.3f}" for k, v in figures.items() if v))
    for kind, places in where.items():
        for place, n in places.items():
            print(f"  {kind}: {n:.3f} {place}")
    broken = 0
    for limit in sys.argv[2:]:
        name, relation, value = re.fullmatch(r"([a-zA-Z_ ]+?)(<=|>=|==|>)([0-9.]+)", limit).groups()
        got, want = figures[name], float(value)
        if not {"<=": got <= want, ">=": got >= want, "==": got == want, ">": got > want}[relation]:
            print(f"{name}: {got:.3f} per command, should be {relation} {want}")
            broken += 1
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
