#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connects as user space may ask for it: endpoint.py PORTAL TARGET BLACK-HOLE

Speaks to the transport itself, as iscsid never asks for a connection that blocks. At
BLACK-HOLE packets get lost.
"""
import errno
import glob
import os
import random
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, "/share/tests/hostile")

from hostile.netlink import Kernel, Refused                         # noqa: E402

portal, target, black_hole = sys.argv[1:]
address, port = portal.split(":")
SLOW = 20 if os.environ.get("SLOW") else 1
# C's driver never returns from a connect that blocks: it waits for its event handler with a
# mutex locked that the handler needs. And it says once how a connect has gone.
OURS = os.environ.get("DRIVER") != "ib_iser"


def check(what, good):
    if not good:
        sys.exit(f"FAILED: {what}")


def nothing_is_left(what):
    """Neither endpoints nor what they are made of: connection manager IDs, queue pairs."""
    check(f"{what}: an endpoint is left", not os.listdir("/sys/class/iscsi_endpoint"))
    limit = time.monotonic() + 30 * SLOW
    while True:
        used = [line for line in subprocess.run(["rdma", "res", "show", "qp"], text=True,
                                                capture_output=True, check=True).stdout.splitlines()
                if "type RC" in line and "ib_iser" in line]
        if not used:
            return
        check(f"{what}: {used} left", time.monotonic() < limit)
        time.sleep(0.1)


def refused(what, action, *numbers):
    """It is, with one of these errnos where it is our driver that says so."""
    begin = time.monotonic()
    try:
        action()
    except Refused as error:
        check(f"{what}: {error}", not OURS or error.number in numbers)
        print(f"{what}: {error}, after {(time.monotonic() - begin) * 1000:.0f} ms", flush=True)
        return
    check(f"{what} succeeded", False)


def can_be_opened(name):
    """The kernel makes a disk's folder and node before the disk can be opened."""
    try:
        os.close(os.open(name, os.O_RDONLY))
        return True
    except OSError:
        return False


def read_disk(kernel):
    """A sector of the first disk of the session, past all caches."""
    kernel.scan()
    limit = time.monotonic() + 30 * SLOW
    while not (disks := glob.glob(f"/sys/class/iscsi_session/session{kernel.sid}/device/target*/*/block/*")):
        check("no disk", time.monotonic() < limit)
        kernel.poll(0.1)
    name = "/dev/" + os.path.basename(disks[0])
    while not can_be_opened(name):
        check(f"no {name}", time.monotonic() < limit)
        time.sleep(0.1)
    subprocess.run(["dd", f"if={name}", "of=/run/read", "bs=64k", "count=1", "iflag=direct", "status=none"],
                   check=True)
    with open("/run/read", "rb") as got, open("/tmp/d0", "rb") as there:
        check("what was read is not what the target has", got.read() == there.read(65536))


here = Kernel(address, int(port), target)
nobody = Kernel(address, 3999, target)
hole = Kernel(black_hole, int(port), target)

# One that blocks is connected on return; a session can be made of it.
if OURS:
    here.open(blocking=True)
    check("not connected, though it has blocked", here.outcome(0) == 1)
    here.log_in(60 * SLOW)
    read_disk(here)
    here.destroy()
    nothing_is_left("after a connection that blocked")

# One that does not block says later how it went, and is the same then.
here.open()
while here.outcome(1) == 0:
    pass
if OURS:
    check("no longer connected", here.outcome(0) == 1)
here.log_in(60 * SLOW)
read_disk(here)
here.destroy()
nothing_is_left("after a connection that did not block")

# What was negotiated and cannot be used is refused each time. How often that is said is up to the log.
HEADER_DIGEST = 2
for _ in range(12 if OURS else 0):
    here.open()
    check("no connection", here.outcome(20000 * SLOW) == 1)
    steps = here.steps(60 * SLOW)
    check("not bound", "bound" in steps)
    refused("a digest", lambda: here.set(HEADER_DIGEST, 1), errno.EPROTO)
    here.destroy()
nothing_is_left("after digests")

# Failure, either way, once and again.
for _ in range(2):
    if OURS:
        refused("blocking, nobody listens", lambda: nobody.open(blocking=True), errno.ECONNREFUSED)
    nobody.open()
    refused("not blocking, nobody listens", lambda: nobody.outcome(20000 * SLOW), errno.ECONNREFUSED)
    if OURS:
        refused("asked again", lambda: nobody.outcome(0), errno.ECONNREFUSED)
    nobody.close()
nothing_is_left("after failures")

# Without a route, and where no RDMA device leads to.
no_route = Kernel("192.0.2.1", int(port), target)
no_device = Kernel("10.9.0.1", int(port), target)


def connect_to(kernel):
    kernel.open()
    try:
        kernel.outcome(20000 * SLOW)
    finally:
        kernel.close()


refused("no route", lambda: connect_to(no_route), errno.ENETUNREACH)
refused("no RDMA device", lambda: connect_to(no_device), errno.ENODEV)
nothing_is_left("after addresses that lead nowhere")

# Not blocking is not waiting, and polling waits as long as it says.
begin = time.monotonic()
hole.open()
check("waited, though not to block", time.monotonic() - begin < 5 * SLOW)
begin = time.monotonic()
check("connected to a black hole", hole.outcome(300) == 0)
check("polling did not wait", time.monotonic() - begin > 0.25)
hole.close()
nothing_is_left("after a connection that was given up")
refused("use of an endpoint that has ended", lambda: hole.ask(23, struct.pack("<QI", 1 << 20, 0)), errno.EINVAL)

# A signal ends the wait of one that blocks.
if OURS:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    refused("blocking, interrupted", lambda: hole.open(blocking=True), errno.EINTR)
    nothing_is_left("after a connection that was interrupted")

# Given up at any moment, while it is made and when it is done.
connected = 0
for kernel in [hole] * 10 + [here] * 40:
    kernel.open()
    time.sleep(random.random() * 0.05 * SLOW)
    try:
        connected += kernel.outcome(0)
    except Refused:
        pass
    kernel.close()
print(f"50 connections given up, {connected} of them when made", flush=True)
nothing_is_left("after connections that were given up")
# LIO has connections to forget that were made and not used, which takes it a while.
here.log_in(60 * SLOW)
read_disk(here)
here.destroy()
