# SPDX-License-Identifier: GPL-2.0
"""symbols.py KALLSYMS <TEXT: gives names to addresses in TEXT that fall behind a symbol
of a module in KALLSYMS, lines of /proc/kallsyms from when it was loaded."""
import bisect
import os
import re
import sys

symbols = []
if os.path.exists(sys.argv[1]):
    for line in open(sys.argv[1]):
        address, _, name, module = line.split()
        symbols.append((int(address, 16), f"{name} {module}"))
symbols.sort()


def name(match):
    address = int(match[0], 16)
    i = bisect.bisect_right(symbols, (address, "~"))
    if not i or address - symbols[i - 1][0] > 1 << 16:
        return match[0]
    start, symbol = symbols[i - 1]
    return f"{symbol.split()[0]}+{address - start:#x} {symbol.split()[1]}"


for line in sys.stdin:
    sys.stdout.write(re.sub(r"0xf{8}[0-9a-f]{8}", name, line))
