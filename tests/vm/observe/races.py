#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Looks at connections while they come and go: races.py TURNS

Some processes read all files in debugfs, in pieces, and keep files open for longer than
what they are about; others switch tracepoints and latencies on and off, read what was
traced, and run iser-stat. Meanwhile sessions log in and out without iscsid, do I/O, stop
at any step, and are hung up by the target, with a disk in use or not.

A reader may find that something is gone; what it does find has to make sense.
"""
import collections
import errno
import glob
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys
import threading
import time

sys.path[:0] = ["/share/tests/hostile", "/share/tests/vm/fault"]

import logins                                                           # noqa: E402
from fail import PATIENCE, Disk                                         # noqa: E402
from hostile.control import ask                                         # noqa: E402
from hostile.netlink import Refused                                     # noqa: E402

SEEN = "/sys/kernel/debug/ib_iser_rs"
TRACING = "/sys/kernel/tracing"
GONE = {errno.ENOENT, errno.EIO, errno.ENODEV}
LINES = {
    "info": r"[a-z0-9_]+: .+",
    "counters": r"[a-z_]+ \d+",
    "totals": r"[a-z_]+ \d+",
    "slots": r"slot itt state direction bytes age_ms|"
             r"\d+ 0x[0-9a-f]+ (held|posted|sending|invalidating) (read|write|none) \d+ \d+",
    "latency": r"[01]|(read|write) \d+ \d+ \d+",
}
# Rounds that each reader has to have done.
LEAST = 2
# Files that a reader keeps open; a connection and its session have five.
KEPT = 12


def pause(most):
    """Sessions need the processors, too."""
    time.sleep(random.uniform(0, most))


def check(path, text):
    pattern = re.compile(LINES[os.path.basename(path)])
    for line in text.decode().splitlines():
        if not pattern.fullmatch(line):
            sys.exit(f"FAILED: {path}: {line}")


def read_all(fd, piece):
    parts = []
    while part := os.read(fd, piece):
        parts.append(part)
    return b"".join(parts)


def if_there(what):
    """What it returns, or None if that is gone."""
    try:
        return what()
    except OSError as e:
        if e.errno not in GONE:
            raise
        return None


def files():
    """Reads everything, and all of it once more later, when it may be gone: how much was."""
    kept, gone = collections.deque(), 0
    while True:
        paths = glob.glob(f"{SEEN}/*/*") + [f"{SEEN}/totals", f"{SEEN}/latency"]
        random.shuffle(paths)
        for path in paths:
            fd = if_there(lambda: os.open(path, os.O_RDONLY))
            if fd is None:
                continue
            kept.append((path, fd))
            text = if_there(lambda: read_all(fd, random.choice([7, 100, 4096])))
            check(path, text or b"")
            if len(kept) > KEPT:
                path, fd = kept.popleft()
                text = if_there(lambda: os.lseek(fd, 0, os.SEEK_SET) or read_all(fd, 4096))
                check(path, text or b"")
                gone += text is None
                os.close(fd)
        yield gone
        pause(1)


def tracing():
    """Switches tracepoints, one or all, and reads what they have said: how many events."""
    one = [os.path.dirname(path) for path in glob.glob(f"{TRACING}/events/iser_rs/*/enable")]
    events = 0
    while True:
        for folder, on in ((f"{TRACING}/events/iser_rs", "1"), (random.choice(one), "0"), (random.choice(one), "1"),
                           (f"{TRACING}/events/iser_rs", "0")):
            with open(f"{folder}/enable", "w") as f:
                f.write(on)
            pause(1)
        with open(f"{TRACING}/trace") as f:
            events += sum(": connection=" in line for line in f)
        with open(f"{TRACING}/trace", "w"):
            pass
        yield events


def latency():
    """Switches the histograms: how often."""
    count = 0
    while True:
        with open(f"{SEEN}/latency", "w") as f:
            f.write(random.choice("01"))
        count += 1
        yield count
        pause(2)


def iser_stat():
    """Runs the tool in all its ways: how often."""
    count = 0
    while True:
        for arguments in (["--json", "-i", "0.1"], ["-i", "0"], ["hung"], ["hung", "--json"], ["--textfile"],
                          ["latency"]):
            done = subprocess.run(["/share/iser-stat", *arguments], capture_output=True, text=True, check=False)
            if done.returncode not in (0, 1, 2):
                sys.exit(f"FAILED: iser-stat {arguments}: {done.returncode}, {done.stderr}")
            if "--json" in arguments:
                json.loads(done.stdout)
            count += 1
            pause(0.5)
        yield count


READERS = {files: "reads of what is gone", tracing: "events traced", latency: "times switched",
           iser_stat: "runs of iser-stat"}


class Reader:
    """One of them, in a process of its own."""

    ended = multiprocessing.Event()

    def __init__(self, what):
        self.what = what
        self.rounds, self.found = multiprocessing.Value("q"), multiprocessing.Value("q")
        self.process = multiprocessing.Process(target=self.run, daemon=True)
        self.process.start()

    def run(self):
        for result in self.what():
            self.rounds.value += 1
            self.found.value = result
            if self.ended.is_set():
                break

    def enough(self):
        return self.rounds.value >= LEAST and self.found.value

    def name(self):
        return f"{self.what.__name__}: {self.rounds.value} rounds, {self.found.value} {READERS[self.what]}"


class CutDisk(Disk):
    """Whose connections may be cut while they are made, too: each cut refuses one login at most."""

    def __init__(self, kernel, sessions):
        super().__init__(kernel)
        self.sessions = sessions

    def reconnect(self):
        while True:
            try:
                return super().reconnect()
            except Refused:
                self.sessions.refused += 1
                if self.sessions.refused > self.sessions.cut:
                    raise


class Sessions(logins.Logins):
    """Those that are looked at."""

    def __init__(self):
        super().__init__("10.0.0.1")
        self.cut = self.refused = self.stopped = 0

    def turn(self, number):
        kind = number % 6
        if kind in (0, 4):
            self.whole(io=kind == 0)
        elif kind == 5:
            self.under_io()
        else:
            # Three kinds, seven steps: each with each in time.
            self.interrupted(logins.KINDS[self.stopped % len(logins.KINDS)], self.stopped)
            self.stopped += 1

    def under_io(self):
        """The target hangs up while the disk is used; the session goes on."""
        kernel = self.kernel()
        kernel.log_in(PATIENCE)
        over, limit = threading.Event(), self.cut + 2

        def cut():
            while self.cut < limit and not over.wait(random.uniform(0.2, 2)):
                self.cut += 1
                ask("hang_up")
        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            CutDisk(kernel, self).transfer()
        finally:
            over.set()
            cutter.join()
        kernel.clear()
        kernel.socket.close()
        logins.tally["cut under I/O"] += 1


def main():
    logins.PATIENCE = PATIENCE
    readers = [Reader(what) for what in READERS]
    sessions, turn, begin = Sessions(), 0, time.monotonic()
    while turn < int(sys.argv[1]) or not all(reader.enough() for reader in readers):
        sessions.turn(turn)
        turn += 1
        for reader in readers:
            if reader.process.exitcode is not None:
                sys.exit(f"FAILED: this reader has ended: {reader.name()}")
    Reader.ended.set()
    for reader in readers:
        reader.process.join(60)
        if reader.process.exitcode != 0:
            sys.exit(f"FAILED: exit code {reader.process.exitcode} of {reader.name()}")
    for outcome, n in logins.tally.most_common():
        print(f"{n:5} {outcome}")
    print(f"{sessions.cut} connections cut under I/O, {sessions.refused} of them when not made yet")
    for reader in readers:
        print(reader.name())
    if not sessions.cut:
        sys.exit("FAILED: nothing was cut under I/O")
    if left := glob.glob(f"{SEEN}/*-*"):
        sys.exit(f"FAILED: directories are left: {left}")
    print(f"{turn} sessions in {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
