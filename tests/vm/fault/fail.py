#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Has the 1st, 2nd, 3rd, ... call of a function fail in a life, until one needs no
failure: fail.py [--every N] [--inside] [--said] [--address ADDRESS] LIFE FUNCTION=ERROR...

A LIFE is
  load     to load the driver and to unload it
  session  to connect, log in, and end all of it
  io       the same with a disk that is written to and read

Each fails with an error or works; with --said the driver has a line in the kernel's log for each
that fails in it, which names the portal if there is one. After a failure another one without works. What a session leaves that has failed
is taken away by requests that any session takes, and then there is nothing left of it.

The calls that count are those of this process and those with the driver on their stack
(tests/modules/fail_call), with --inside the latter alone. With --every only the first and each
Nth call is tried, from one on that is taken by chance in a long run (SOAK). ERROR is a number, or
an errno's name for its negative value. The target, at ADDRESS (10.0.0.1), is
tests/hostile/hostile-target.
"""
import argparse
import collections
import ctypes
import errno
import glob
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, "/share/tests/hostile")

from hostile.kernel import Log                                          # noqa: E402
from hostile.netlink import Kernel, Refused                             # noqa: E402

DRIVER = os.environ.get("DRIVER", "ib_iser_rs")
NAME = "iqn.2003-01.org.example:hostile"
PATIENCE = 60 if os.environ.get("SLOW") else 20
FAIL = "/sys/module/fail_call/parameters/"


def read(path):
    with open(path) as f:
        return f.read()


def run(*command):
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout


def write(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def text_of_driver():
    symbols = [line.split()[:2] for line in read("/proc/kallsyms").splitlines()
               if line.endswith(f"[{DRIVER}]")]
    text = [int(address, 16) for address, kind in symbols if kind in "tT"]
    if not text:
        sys.exit(f"{DRIVER} is not loaded")
    return min(text), max(text) + 1


class Disk:
    """Of a session: found once, read and written as long as the session lives."""

    def __init__(self, kernel):
        self.kernel = kernel

    def find(self):
        found = glob.glob(f"/sys/class/iscsi_session/session{self.kernel.sid}/device/target*/*/block/sd*")
        return found and f"/dev/{os.path.basename(found[0])}"

    def transfer(self):
        """Writes and reads; makes a new connection as often as one is lost."""
        threading.Thread(target=self.scan, daemon=True).start()
        self.wait_for("a disk", lambda: (path := self.find()) and os.path.exists(path))
        data = os.urandom(65536)
        # A disk has its name a little before it can be opened.
        script = "until true <$0; do sleep .05; done 2>/dev/null; " \
            "dd of=$0 bs=64k oflag=direct status=none && dd if=$0 bs=64k count=1 iflag=direct status=none"
        io = subprocess.Popen(["sh", "-c", script, self.find()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        got = []
        threading.Thread(target=lambda: got.extend(io.communicate(data)), daemon=True).start()
        self.wait_for("the end of I/O", lambda: got)
        if got[0] != data:
            sys.exit("FAILED: what was read is not what was written")

    def scan(self):
        try:
            self.kernel.scan()
        except OSError:
            pass

    def wait_for(self, what, condition):
        limit = time.monotonic() + 6 * PATIENCE
        while not condition():
            if time.monotonic() > limit:
                sys.exit(f"FAILED: {what}: not in time")
            if self.kernel.lost():
                self.reconnect()

    def reconnect(self):
        self.kernel.drop()
        self.kernel.log_in(PATIENCE)


class Load:
    """A module's life."""

    def __init__(self, _):
        self.path = run("modinfo", "-n", DRIVER).strip()
        self.libc = ctypes.CDLL(None, use_errno=True)

    def call(self, *args):
        if self.libc.syscall(*args) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def live(self):
        fd = os.open(self.path, os.O_RDONLY)
        try:
            self.call(313, fd, b"", 0)      # finit_module
        finally:
            os.close(fd)
        self.end()

    def end(self):
        self.call(176, DRIVER.encode(), os.O_NONBLOCK)      # delete_module

    def clear(self):
        if os.path.exists(f"/sys/module/{DRIVER}"):
            self.end()

    @staticmethod
    def left():
        return [p for p in (f"/sys/module/{DRIVER}", "/sys/class/iscsi_transport/iser") if os.path.exists(p)]


class Session:
    """A session's life."""

    def __init__(self, args):
        self.io = args.life == "io"
        self.kernel = Kernel(args.address, 3261, NAME)
        self.kernel.cmds_max, self.kernel.queue_depth = 16, 8

    def live(self):
        self.kernel.log_in(PATIENCE)
        if self.io:
            Disk(self.kernel).transfer()
        self.kernel.destroy()

    def clear(self):
        self.kernel.clear()
        self.kernel.socket.close()

    @staticmethod
    def left():
        left = [f for c in ("iscsi_session", "iscsi_endpoint", "scsi_host") for f in os.listdir(f"/sys/class/{c}")]
        # Queue pairs are the connection manager's by name, but not without these.
        return left + [line for kind in ("pd", "cm_id", "mr")
                       for line in run("rdma", "res", "show", kind).splitlines() if "[ib_iser" in line]


def disarm():
    try:
        write(FAIL + "arm", "off")
    except OSError:     # this was the one to fail, so the next does not
        write(FAIL + "arm", "off")


def once(args, tally, function, nth, error):
    """A life in which that call fails, and one without; whether there was such a call."""
    lives = Load if args.life == "load" else Session
    life = lives(args)
    start, end = (0, 0) if lives is Load else text_of_driver()
    log = Log()
    pid = 0 if args.inside else os.getpid()
    write(FAIL + "arm", f"{function} {nth} {error} {pid} {start:#x} {end:#x}")
    try:
        life.live()
        outcome = "worked"
    except (Refused, OSError) as e:
        outcome = str(e)
    disarm()
    happened, calls = read(FAIL + "failed").strip() == "Y", read(FAIL + "calls").strip()
    said = log.lines()
    os.close(log.fd)
    if args.said and happened and outcome != "worked" and (lives is Load or read(FAIL + "inside").strip() == "Y"):
        of = "" if lives is Load else f"{args.address}:"
        if not any(line.startswith(f"{DRIVER}: ") and of in line for line in said):
            sys.exit(f"FAILED: call {nth} of {function} failed in the driver: {outcome}; it does not say so: {said}")
    life.clear()
    limit = time.monotonic() + PATIENCE
    while left := life.left():
        if time.monotonic() > limit:
            sys.exit(f"FAILED: left after call {nth} of {function} failed: {left}")
        time.sleep(0.05)
    if happened:
        tally[outcome] += 1
        life = lives(args)
        life.live()
        life.clear()
    elif outcome != "worked":
        sys.exit(f"FAILED: {outcome}, and nothing had been made to fail")
    elif calls == "0":
        sys.exit(f"FAILED: {function} is not called")
    else:
        print(f"{function}: {calls} calls", flush=True)
    return happened


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--every", type=int, default=1, metavar="N")
    p.add_argument("--inside", action="store_true")
    p.add_argument("--said", action="store_true")
    p.add_argument("--address", default="10.0.0.1")
    p.add_argument("life", choices=["load", "session", "io"])
    p.add_argument("functions", nargs="+", metavar="FUNCTION=ERROR")
    args = p.parse_args()
    tally = collections.Counter()
    # Only a long run tries others than the last one did.
    random.seed(None if os.environ.get("SOAK") else 1)
    for function, _, error in (f.partition("=") for f in args.functions):
        error = -getattr(errno, error, 0) or int(error)
        nth = 1
        while once(args, tally, function, nth, error):
            nth += args.every if nth > 1 else random.randint(1, args.every)
    for outcome, count in tally.most_common():
        print(f"{count:5} {outcome}")
    print(f"faults {tally.total()}")


if __name__ == "__main__":
    main()
