#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Removes the RDMA device COUNT times, and adds it again: removal.py WHEN COUNT

WHEN is
  connect, login   while a connection is made, or while it logs in; every other time it is
                   a lost one of a session that was there before
  idle             while a session has nothing to do; it stays
  io               while a disk of that is written to, which somebody else does
  any              whatever there is, and whoever takes care of it

Its removal ends each time, and with the device the session is logged in again, but for "any".
"""
import collections
import glob
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, "/share/tests/hostile")
sys.path.insert(0, "/share/tests/vm/fault")

from fail import NAME, Disk, read, run, write                                  # noqa: E402
from hostile.netlink import Kernel, Refused                             # noqa: E402

DEVICE, NETDEV, TARGET = "rxe_eth0", "eth0", "10.0.0.2"
GID = "0000:0000:0000:0000:0000:ffff:0a00:0001"
PORT = f"/sys/class/infiniband/{DEVICE}/ports/1/"
PATIENCE, LIMIT = 20, 60
tally = collections.Counter()
took = {"connect": 0.3, "login": 0.3}       # when not interrupted


def until(what, condition):
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        if time.monotonic() > end:
            sys.exit(f"FAILED: {what}: not within {LIMIT} s")
        time.sleep(0.02)
    return found


class Removal:
    """What `rdma link delete` does, without the time that it takes to start a program. In a
    process of its own: one that hangs must not keep this one from ending."""

    def __init__(self, delay=0):
        index = int(run("rdma", "dev", "show", DEVICE).partition(":")[0])
        self.child = os.fork()
        if not self.child:
            try:
                time.sleep(delay)
                os._exit(-self.remove(index))
            finally:
                os._exit(255)

    @staticmethod
    def remove(index):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 20) as s:    # NETLINK_RDMA
            # RDMA_NL_NLDEV, RDMA_NLDEV_CMD_DELLINK; request, acknowledged; RDMA_NLDEV_ATTR_DEV_INDEX
            s.send(struct.pack("<IHHIIHHI", 24, 5 << 10 | 4, 5, 1, 0, 8, 1, index))
            return struct.unpack_from("<i", s.recv(4096), 16)[0]

    def end(self):
        limit = time.monotonic() + LIMIT
        while not (ended := os.waitpid(self.child, os.WNOHANG))[0]:
            if time.monotonic() > limit:
                write("/proc/sysrq-trigger", "w")
                sys.exit(f"FAILED: the device cannot be removed: {read(f'/proc/{self.child}/stack')}")
            time.sleep(0.005)
        error = os.waitstatus_to_exitcode(ended[1])
        if error or os.path.exists(f"/sys/class/infiniband/{DEVICE}"):
            sys.exit(f"FAILED: removal of the device: error {error}")


def add():
    run("rdma", "link", "add", DEVICE, "type", "rxe", "netdev", NETDEV)
    until("the device", lambda: "ACTIVE" in read(PORT + "state") and any(
        read(path).strip() == GID for path in glob.glob(PORT + "gids/[0-9]")))


class Session(Kernel):
    """New, or the one that there is."""

    def __init__(self):
        super().__init__(TARGET, 3261, NAME)
        self.cmds_max, self.queue_depth = 64, 32
        for folder in glob.glob("/sys/class/iscsi_session/session*"):
            self.sid = int(folder.rpartition("session")[2])
            self.host = int(os.path.realpath(folder).partition("/host")[2].partition("/")[0])

    def again(self):
        """Logs in, as often as that takes: the device's removal may be news to the target."""
        def attempt():
            self.drop()
            try:
                self.log_in(PATIENCE)
                return True
            except Refused:
                return False
        until("a login with the device", attempt)


def in_use(when):
    """A session that is logged in loses its device."""
    session = Session()
    if session.sid is None:
        session.again()
        Disk(session).transfer()
    if when == "io":
        [disk] = glob.glob(f"/sys/class/iscsi_session/session{session.sid}/device/target*/*/block/sd*/stat")

        def writes():
            return int(read(disk).split()[4])
        before = writes()
        until("writes", lambda: writes() > before + 20)
        time.sleep(random.uniform(0, 0.2))
    Removal().end()
    until("notice of the removal", session.lost)
    add()
    session.again()
    session.socket.close()
    tally[when] += 1


def in_the_making(when, turn):
    """A session that is being logged in loses its device."""
    session = Session()
    lost = turn % 2
    if lost:        # its connection, that is
        session.log_in(PATIENCE)
        session.drop()
    first, end = {"connect": ("connecting", "connected"), "login": ("connected", "started")}[when]
    removal, began = None, 0
    last, why = "nothing", ""
    try:
        for step in session.steps(PATIENCE):
            last = step
            if step == first:
                began = time.monotonic()
                removal = Removal(random.uniform(0, took[when]))
            elif step == end:
                took[when] = time.monotonic() - began
    except Refused as e:
        why = f", {e}"
    removal.end()
    tally[f"{when}, {last}{why}"] += 1
    add()
    if not lost:
        session.clear()
    session.again()
    Disk(session).transfer()
    session.destroy()
    session.socket.close()


def main():
    when, count = sys.argv[1], int(sys.argv[2])
    begin = time.monotonic()
    for turn in range(count):
        if when == "any":
            Removal().end()
            add()
        elif when in ("idle", "io"):
            in_use(when)
        else:
            in_the_making(when, turn)
    for outcome, n in tally.most_common():
        print(f"{n:5} {outcome}")
    print(f"{time.monotonic() - begin:.0f} s")
    print(f"faults {count}")


if __name__ == "__main__":
    main()
