#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connects to where the module refuse listens: refused.py ADDRESS PORT

For every reason that a byte can say: the attempt fails at once, with one line in the log
that names the portal and the refusal, and nothing is left of it.
"""
import os
import sys

sys.path.insert(0, "/share/tests/hostile")

from hostile import kernel                                          # noqa: E402
from hostile.netlink import Kernel, Refused                         # noqa: E402

DRIVER = "ib_iser_rs"
# IB_CM_REJ_TIMEOUT, which ib_cm takes for the answer to another message: to us it is silence.
UNHEARD = {4}

address, port = sys.argv[1:]
here = Kernel(address, int(port), "iqn.2003-01.org.example:nobody")
log = kernel.Log()
counter = "/sys/module/refuse/parameters/refused"
for reason in range(256):
    before = int(open(counter).read())
    with open("/sys/module/refuse/parameters/reason", "w") as f:
        f.write(str(reason))
    try:
        here.open()
        if here.outcome(3000 if reason in UNHEARD else 60000) == 1:
            sys.exit(f"FAILED: connected in spite of reason {reason}")
        said = "no connection in time"
    except Refused as error:
        said = str(error)
    here.close()
    if int(open(counter).read()) == before:
        sys.exit(f"FAILED: reason {reason}: no request has come; {said}")
    lines = [line for line in log.lines() if not kernel.ORDINARY.search(line)]
    wanted = f"{DRIVER}: {address}:{port}: cannot connect, at answer of the portal: refused, "
    if reason in UNHEARD:
        if lines or said != "no connection in time":
            sys.exit(f"FAILED: reason {reason}: {said}, {lines}")
    elif len(lines) != 1 or not lines[0].startswith(wanted):
        sys.exit(f"FAILED: reason {reason}: {said}, {lines}")
if os.listdir("/sys/class/iscsi_endpoint"):
    sys.exit("FAILED: endpoints are left")
print("refused for 256 reasons", flush=True)
