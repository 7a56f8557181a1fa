#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Keeps the files of a session and of its connection open for longer than what they are about:
they end with an error then, and keep the module, but not the connection."""
import glob
import os
import subprocess
import sys

sys.path[:0] = ["/share/tests/hostile", "/share/tests/vm/fault"]

from fail import NAME, PATIENCE                                         # noqa: E402
from hostile.netlink import Kernel                                      # noqa: E402

kernel = Kernel("10.0.0.1", 3261, NAME)
kernel.log_in(PATIENCE)
paths = glob.glob("/sys/kernel/debug/ib_iser_rs/*-*/*")
names = sorted(os.path.basename(path) for path in paths)
if names != ["counters", "info", "info", "latency", "slots"]:
    sys.exit(f"FAILED: the files of a session: {paths}")
kept = {path: os.open(path, os.O_RDONLY) for path in paths}
for fd in kept.values():
    os.read(fd, 20)     # and what follows is read later
kernel.log_out(PATIENCE)
kernel.socket.close()
for path, fd in kept.items():
    if os.path.exists(path):
        sys.exit(f"FAILED: {path} is there after the logout")
    try:
        sys.exit(f"FAILED: {path}, after the logout: {os.read(fd, 4096)}")
    except OSError as e:
        print(f"{path}: {e.strerror}")
unload = subprocess.run(["rmmod", "ib_iser_rs"], capture_output=True, text=True, check=False)
if not unload.returncode or "in use" not in unload.stderr:
    sys.exit(f"FAILED: unloaded under an open file: {unload.returncode} {unload.stderr}")
