#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What iser-stat says, held against the module's files and the kernel: iser_stat.py CHECK ARGUMENTS…"""
import glob
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, "/share/tests/vm/observe")

import metrics                                                          # noqa: E402
from terminal import Terminal                                           # noqa: E402

TOOL, SEEN = "/share/iser-stat", "/sys/kernel/debug/ib_iser_rs"
RESULTS = "/run/results"


def fail(*what):
    print("FAILED:", *what)
    sys.exit(1)


def equal(what, expected, got):
    if expected != got:
        fail(f"{what}: expected {expected!r}, got {got!r}")


def run(*arguments, status=0):
    done = subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != status:
        fail(f"iser-stat {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def report(*arguments, status=0):
    found = json.loads(run("--json", *arguments, status=status))
    equal("schema", 1, found["schema"])
    return found


def fields(path):
    return dict(line.rstrip("\n").split(": ", 1) for line in open(path))


def counters(path):
    return {name: int(n) for name, n in map(str.split, open(path))}


def idle():
    """--json has all that debugfs and sysfs have, when nothing happens."""
    before = metrics.counters()
    found = report("-i", "0")
    equal("driver, status, problems, notes", ("ib_iser_rs", "ok", [], []),
          tuple(found[k] for k in ("driver", "status", "problems", "notes")))
    equal("totals", counters(f"{SEEN}/totals"), found["totals"])
    paths = {int(path.rpartition("-")[2]): path for path in glob.glob(f"{SEEN}/connection-*")}
    equal("connections", sorted(paths), sorted(c["id"] for s in found["sessions"] for c in s["connections"]))
    for session in found["sessions"]:
        folder = f"/sys/class/iscsi_session/session{session['session']}"
        equal("target", open(f"{folder}/targetname").read().strip(), session["target"])
        disks = [os.path.basename(path) for path in glob.glob(f"{folder}/device/target*/*/block/sd*")]
        equal("disks", sorted(disks), sorted(d["name"] for d in session["disks"]))
        equal("state", ("up", "LOGGED_IN", None), tuple(session[k] for k in ("state", "kernel_state", "last_error")))
        [connection] = session["connections"]
        path = paths[connection["id"]]
        now, then = counters(f"{path}/counters"), before[str(connection["id"])]
        equal("names of counters", sorted(now), sorted(connection["counters"]))
        for name, n in connection["counters"].items():
            if not min(then[name], now[name]) <= n <= max(then[name], now[name]):
                fail(name, then[name], n, now[name])
        words = {True: "yes", False: "no", None: "none"}
        info = {k: words[v] if v is None or isinstance(v, bool) else str(v) for k, v in connection["info"].items()}
        expected = fields(f"{path}/info")
        for changing in ("since", "last_error_age"):
            info.pop(changing, None), expected.pop(changing, None)
        equal("info", expected, info)
        equal("portal", info["portal"], session["portal"])
        equal("in flight", [], connection["in_flight"])
    print(f"{len(found['sessions'])} sessions as JSON")


def busy(session):
    """Rates are those of the counters, over the interval that it says; latencies are there."""
    found = report("-i", "2")
    [mine] = [s for s in found["sessions"] if s["session"] == int(session)]
    rates = mine["rates"]
    if not 2 <= rates["seconds"] < 20:
        fail(rates["seconds"])
    for rate, counter in (("reads", "commands_read"), ("read_bytes", "bytes_read"), ("writes", "commands_write"),
                          ("write_bytes", "bytes_write")):
        if abs(rates[rate] * rates["seconds"] - rates["grown"][counter]) > 0.01:
            fail(rate, rates)
    equal("where rates come from", "connection", rates["source"])
    if rates["grown"]["commands_read"] == 0:
        fail("no reads")
    # The last of them may still be under way, and some may have been so before.
    if abs(rates["read_latency"]["count"] - rates["grown"]["commands_read"]) > 40:
        fail("latencies of", rates["read_latency"]["count"], "of", rates["grown"]["commands_read"])
    order = [rates["read_latency"][q] for q in ("p50_ns", "p99_ns", "p999_ns")]
    if order != sorted(order) or not 1000 < order[0] < 10e9:
        fail("latencies", order)
    print(f"{rates['reads']:.0f} reads/s, p50 {order[0] / 1e6:.1f} ms, p99 {order[1] / 1e6:.1f} ms")


def hung(session, count, size):
    """Commands that are old, the oldest first."""
    text = run("hung", "--older-than", "2", status=1)
    open(f"{RESULTS}/hung.txt", "w").write(text)
    lines = text.splitlines()
    equal("lines", int(count) + 1, len(lines))
    found = json.loads(run("hung", "--older-than", "2", "--json", status=1))["commands"]
    equal("commands", int(count), len(found))
    ages = [c["age_ms"] for c in found]
    if ages != sorted(ages, reverse=True) or min(ages) < 2000:
        fail("ages", ages)
    [path] = [p for p in glob.glob(f"{SEEN}/connection-*") if fields(f"{p}/info").get("session") == session]
    tags = [line.split()[1] for line in open(f"{path}/slots")][1:]
    equal("tags", sorted(tags), sorted(c["itt"] for c in found))
    for command in found:
        equal("command", (int(session), "read", int(size), "posted"),
              tuple(command[k] for k in ("session", "direction", "bytes", "state")))
    run("hung", "--older-than", "100000")
    listed = run("-i", "0", "--older-than", "2", status=1)
    open(f"{RESULTS}/list-hung.txt", "w").write(listed)
    if f"warning: {count} commands in flight for 2 s or longer" not in listed:
        fail(listed)


def textfile(path):
    """The file is whole, what is in it is what the module counts, and nothing else is left."""
    before = metrics.counters()
    run("--textfile", path)
    equal("mode", 0o644, os.stat(path).st_mode & 0o777)
    equal("files", [os.path.basename(path)], os.listdir(os.path.dirname(path)))
    samples = metrics.parse(open(path).read())
    count = metrics.same_as_counters(samples, before)
    print(f"{len(samples)} metrics, {count} of their values from counters")


def screen(session):
    """--watch, looked at and typed at."""
    t = Terminal([TOOL, "--watch", "-i", "0.5"], 130, 30)
    t.wait_for(r"in flight \d")
    t.wait_for(rf"(?m)^ *{session} up ")
    if not t.alternate or t.cursor_shown:
        fail("the terminal's own screen is used")
    t.type("l")
    t.wait_for("latency on +every")
    equal("latency", "1", open(f"{SEEN}/latency").read().strip())
    target = open(f"/sys/class/iscsi_session/session{session}/targetname").read().strip()
    t.type("j")         # the second session, which is busy
    t.wait_for(rf"(?m)^target +{target}$")
    t.wait_for(r"p50 [0-9.]+[mµ]?s")
    open(f"{RESULTS}/screen.txt", "w").write(t.shown() + "\n")
    t.resize(80, 24)
    t.wait_for(rf"(?m)^ *{session} up ")
    t.feed(1)
    open(f"{RESULTS}/screen-80.txt", "w").write(t.shown() + "\n")
    if max(map(len, t.shown().splitlines())) > 80:
        fail("wider than the terminal")
    t.type("l")
    t.wait_for("latency off +every")
    t.type("q")
    equal("status after q", 0, t.end())
    if t.alternate or not t.cursor_shown:
        fail("the terminal is not as it was")
    t = Terminal([TOOL, "-w"])
    t.wait_for("iser-stat")
    os.kill(t.pid, signal.SIGTERM)
    equal("status after SIGTERM", 0, t.end())
    if t.alternate or not t.cursor_shown:
        fail("the terminal is not as it was after SIGTERM")


def seen(name, pattern, command=f"{TOOL} --watch"):
    """--watch shows it."""
    t = Terminal(command.split(), 110, 20)
    t.wait_for(pattern)
    open(f"{RESULTS}/screen-{name}.txt", "w").write(t.shown() + "\n")
    t.type("q")
    equal("status", 0, t.end())


def wait(seconds, status, *arguments):
    """Until it ends with that status; what it said then."""
    end = time.monotonic() + int(seconds)
    while True:
        done = subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)
        if done.returncode == int(status):
            print(done.stdout, end="")
            return
        if time.monotonic() > end:
            fail(f"status {done.returncode}: {done.stdout}{done.stderr}")
        time.sleep(0.2)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
