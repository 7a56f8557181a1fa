#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Logs in and out, is interrupted half of the time, and counts what the kernel has before
and after: logins.py [--address ADDRESS] COUNT

An interruption is one of
  leaves   the initiator goes no further than some step, and takes away what there is
  target   the target ends the connection after some step
  killed   the process that logs in is killed at some moment; another one takes away what
           is left, as iscsid does when it is started again
Every tenth login has a disk that is written to and read.
"""
import argparse
import collections
import glob
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, "/share/tests/hostile")
sys.path.insert(0, "/share/tests/vm/fault")

from fail import DRIVER, NAME, Disk, read, run, write                   # noqa: E402
from hostile.control import ask                                         # noqa: E402
from hostile.netlink import Kernel, Refused                             # noqa: E402

PATIENCE = 20
WARM = 40       # logins until all that is made once has been made
STEPS = ["connecting", "connected", "created", "bound", "asked", "answered", "started"]
KINDS = ["leaves", "target", "killed"]
tally = collections.Counter()


class Logins:
    def __init__(self, address):
        self.address, self.seconds = address, 0.5

    def kernel(self):
        kernel = Kernel(self.address, 3261, NAME)
        kernel.cmds_max, kernel.queue_depth = 16, 8
        return kernel

    def whole(self, io):
        kernel, begin = self.kernel(), time.monotonic()
        kernel.log_in(PATIENCE)
        self.seconds = time.monotonic() - begin
        if io:
            Disk(kernel).transfer()
        kernel.log_out(PATIENCE)
        kernel.socket.close()
        tally["whole"] += 1

    def interrupted(self, kind, turn):
        if kind == "killed":
            return self.killed()
        kernel, last = self.kernel(), STEPS[turn % len(STEPS)]
        try:
            for step in kernel.steps(PATIENCE):
                if step == last:
                    if kind == "leaves":
                        break
                    ask("hang_up")
            while kind == "target" and not kernel.lost():
                ask("hang_up")      # it was too early for that
            outcome = f"{kind} when {last}"
        except (Refused, OSError) as e:
            outcome = f"{kind} when {last}: {e}"
        kernel.clear()
        kernel.socket.close()
        tally[outcome] += 1
        return None

    def killed(self):
        child = os.fork()
        if not child:
            # It ends by itself, too: iscsi_host_remove() of libiscsi flushes signals when a session
            # cannot be made, SIGKILL as well, and who has lost that cannot be killed any more.
            # With ib_iser it is the same.
            try:
                self.kernel().log_in(PATIENCE)
            finally:
                os._exit(0)
        time.sleep(random.uniform(0, 1.2 * self.seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kernel, left = Kernel(None, None, None), "nothing"
        for folder in glob.glob("/sys/class/iscsi_endpoint/*"):
            try:
                left, kernel.endpoint = "an endpoint", int(read(f"{folder}/handle"))
            except OSError:     # the class has ended it: nobody takes the answer of a login
                pass
        for folder in glob.glob("/sys/class/iscsi_session/*"):
            left, kernel.sid = "a session", int(folder.rpartition("session")[2])
        kernel.clear()
        kernel.socket.close()
        tally[f"killed, leaving {left}"] += 1

    def turns(self, count):
        for turn in range(count):
            if turn % 2:
                # By turns each kind at each step.
                self.interrupted(KINDS[turn // 2 % len(KINDS)], turn // 2 // len(KINDS))
            else:
                self.whole(turn % 10 == 0)


def objects():
    """What must be the same in the end."""
    count = collections.Counter(users=int(read(f"/sys/module/{DRIVER}/refcnt")))
    for name in ("iscsi_session", "iscsi_connection", "iscsi_endpoint", "iscsi_host", "scsi_host", "scsi_device"):
        count[name] = len(os.listdir(f"/sys/class/{name}"))
    for what, n in re.findall(r" (\w+) (\d+)", run("rdma", "res", "show")):
        count[f"RDMA {what}"] = int(n)
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            name = read(path).strip()
        except OSError:
            continue
        if re.match(r"(scsi_|kworker/R-|iscsi)", name):
            count["threads of SCSI and rescuers"] += 1
    return count


def memory():
    """What must not become more with each login."""
    # What was used since the last time, such as what objects() has read in /proc, only loses its
    # mark by the first; dentries go by the second, and inodes without one by the third. RCU frees
    # them.
    for _ in range(3):
        write("/proc/sys/vm/drop_caches", "3")
    write("/sys/module/rcutree/parameters/do_rcu_barrier", "1")
    for path in glob.glob("/sys/kernel/slab/*/shrink"):
        write(path, "1")
    lines = [line.split() for line in read("/proc/slabinfo").splitlines()[2:]]
    count = collections.Counter({f"{name} ({size} bytes)": int(n) for name, n, _, size, *_ in lines})
    for line in read("/proc/vmallocinfo").splitlines():
        count[f"vmalloc by {line.split()[2]}"] += 1
    have = {name: int(n) for name, n in re.findall(r"(\w+):\s+(\d+) kB", read("/proc/meminfo"))}
    known = ("MemFree", "Buffers", "Cached", "AnonPages", "Slab", "KernelStack", "PageTables", "VmallocUsed", "Percpu")
    # What CPUs keep for the next allocations is free, but not in MemFree, and may be thousands of pages.
    kept = sum(map(int, re.findall(r"^ +count: +(\d+)$", read("/proc/zoneinfo"), re.MULTILINE)))
    count["other pages"] = (have["MemTotal"] - sum(have[name] for name in known)) // 4 - kept
    return count


def more(before, after, limit):
    return {what: (before[what], n) for what, n in after.items() if n - before[what] >= limit}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--address", default="10.0.0.1")
    p.add_argument("count", type=int)
    args = p.parse_args()
    logins = Logins(args.address)
    logins.turns(WARM)
    nothing, start = objects(), memory()
    kernel = logins.kernel()
    kernel.log_in(PATIENCE)
    one = objects()
    kernel.log_out(PATIENCE)
    kernel.socket.close()
    if missing := [what for what in ("users", "iscsi_session", "iscsi_endpoint", "scsi_host", "RDMA qp",
                                     "RDMA mr", "RDMA pd", "RDMA cm_id") if one[what] <= nothing[what]]:
        sys.exit(f"FAILED: a session does not show in: {missing}")

    tally.clear()
    began = time.monotonic()
    logins.turns(args.count // 2)
    middle = memory()
    logins.turns(args.count // 2)
    took = time.monotonic() - began
    for outcome, n in tally.most_common():
        print(f"{n:5} {outcome}")
    print(f"{tally.total()} logins in {took:.0f} s", flush=True)

    # What one kind of interruption loses at one step is lost this often in each half.
    limit = max(4, args.count // 4 // len(KINDS) // len(STEPS))
    end = time.monotonic() + 60
    while True:
        now, last = objects(), memory()
        lost = more(middle, last, limit)
        lost = {what: (start[what], *n) for what, n in lost.items() if middle[what] - start[what] >= limit}
        if now == nothing and not lost:
            break
        if time.monotonic() > end:
            print({what: (nothing[what], now[what]) for what in now if now[what] != nothing[what]})
            print("before, half way, after:", lost)
            sys.exit(f"FAILED: there is more than before {tally.total()} logins")
        time.sleep(1)
    print(", ".join(f"{what} {n}" for what, n in now.items()))
    print("not the same in the end:", more(start, last, 1))
    print(f"faults {tally.total() - tally['whole']}")


if __name__ == "__main__":
    main()
