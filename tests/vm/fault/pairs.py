# SPDX-License-Identifier: GPL-2.0
"""Whether each command that libiscsi was given has come back once.

  pairs.py TRACE

TRACE has the events given, refused and back (see error-handling.sh), each with the command's
address. What was on its way when they were enabled may come back without having been given.
"""
import re
import sys
from collections import Counter

EVENT = re.compile(r"(\d+\.\d+): (given|refused|back): .*cmd=(0x[0-9a-f]+)")
count, out, known, wrong = Counter(), {}, set(), []
with open(sys.argv[1], errors="replace") as trace:
    for time, what, command in (m.groups() for m in map(EVENT.search, trace) if m):
        count[what] += 1
        if what == "given":
            if command in out:
                wrong.append(f"{time}: {command} was given again, and is not back")
            out[command] = time
        elif out.pop(command, None) is None and command in known:
            wrong.append(f"{time}: {command} {what}, and was so before")
        known.add(command)
print(f"{count['given']} commands given to libiscsi, {count['refused']} refused, {count['back']} back")
wrong += [f"{time}: {command} was given, and has not come back" for command, time in out.items()]
print(*wrong[:20], sep="\n", end="")
sys.exit(1 if wrong else 0)
