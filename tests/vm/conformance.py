#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares the output of iscsi-test-cu, on standard input, with a table of results.

  conformance.py DRIVER TABLE

The table has a line for each test and a column for each driver: passed, failed or skipped,
where the target or the way to it cannot do what is tested. What this run came to is
printed if it differs, as a table like that.
"""
import csv
import re
import sys


def results(lines):
    """{test: result}."""
    suite, text, found = None, None, {}
    for line in lines:
        if m := re.match(r"Suite: (\S+)", line):
            suite = m[1]
        elif m := re.match(r"  Test: (.*?) \.\.\.(.*)", line):
            text = found[f"{suite}.{m[1]}"] = [m[2]]
        elif line.startswith("Run Summary"):
            text = None
        elif text is not None:
            text.append(line)
    return {name: result("\n".join(text)) for name, text in found.items()}


def result(text):
    if "FAILED" in text:
        return "failed"
    if "[SKIPPED]" in text:
        return "skipped"
    return "passed" if "passed" in text else "unfinished"


def main():
    driver, table = sys.argv[1:]
    rows = list(csv.DictReader(open(table)))
    expected = {row["test"]: row[driver] for row in rows}
    found = results(sys.stdin)
    differ = sorted(t for t in {*expected, *found} if expected.get(t) != found.get(t))
    for test in differ:
        print(f"{test}: {found.get(test, 'not run')}, in the table {expected.get(test, 'not there')}")
    if differ:
        print("\n".join(f"{test},{result}" for test, result in found.items()))
        return 1
    count = {r: list(found.values()).count(r) for r in ("passed", "failed", "skipped")}
    print(f"{len(found)} results as in the table: " + ", ".join(f"{n} {r}" for r, n in count.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
