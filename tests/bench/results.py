# SPDX-License-Identifier: GPL-2.0
"""Reads what the guests have measured into one dictionary: results.json."""
import bisect
import collections
import glob
import json
import os
import re
import statistics
import sys

import counts

sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/../build")
import tracepoints  # noqa: E402

C, OURS = "ib_iser", "ib_iser_rs"
# What the kernel has for Rust, as a module.
RUST = "kernel's for Rust"
# What the kernel records an event by.
TRACING = re.compile(r"trace_(event|buffer|save|clock)_|tracing_|ring_buffer_|_*rb_(reserve|commit|move_tail)")


def spread(values):
    """Median, least and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def fio(path):
    """IOPS and latencies in µs of one run."""
    job = json.load(open(path))["jobs"][0]
    sides = [job[s] for s in ("read", "write") if job[s]["total_ios"]]
    side = max(sides, key=lambda s: s["total_ios"])
    percentile = side["clat_ns"]["percentile"]
    return {"iops": sum(s["iops"] for s in sides), "commands": sum(s["total_ios"] for s in sides),
            "mean": side["clat_ns"]["mean"] / 1000, "p50": percentile["50.000000"] / 1000,
            "p99": percentile["99.000000"] / 1000, "p99.9": percentile["99.900000"] / 1000}


def rounds(folder, driver, kind="round"):
    """A list of rounds, each a dictionary of workloads."""
    out = []
    for path in sorted(glob.glob(f"{folder}/{driver}/{kind}-*"), key=lambda p: int(p.rsplit("-", 1)[1])):
        cpu = dict(line.split() for line in open(f"{path}/cpu"))
        one = {}
        for file in glob.glob(f"{path}/*.json"):
            name = os.path.basename(file)[:-5]
            one[name] = fio(file)
            one[name]["cpu_us"] = float(cpu[name]) * 1e6 / one[name]["commands"]
        out.append(one)
    return out


def timed(folder):
    """Per workload, medians of both drivers and what comes of the ratios of paired rounds."""
    both = {d: rounds(folder, d) for d in (C, OURS)}
    marks = {d: rounds(folder, d)[0] for d in ("iscsi_tcp", "tcm_loop") if rounds(folder, d)}
    pairs = list(zip(both[C], both[OURS]))
    return {**compared(pairs, marks),
            **compared(list(zip(*(rounds(folder, d, "fencing") for d in (C, OURS)))), {})}


def compared(pairs, marks):
    out = {}
    for name in sorted(pairs[0][0], key=order) if pairs else []:
        out[name] = {}
        for figure in ("iops", "mean", "p50", "p99", "p99.9", "cpu_us"):
            out[name][figure] = {
                C: statistics.median(a[name][figure] for a, _ in pairs),
                OURS: statistics.median(b[name][figure] for _, b in pairs),
                "ratio": spread([b[name][figure] / a[name][figure] for a, b in pairs if a[name][figure]]
                                or [1.0]),
                **{d: m[name][figure] for d, m in marks.items() if name in m},
            }
    return out


def order(name):
    """Workloads by kind, size, depth."""
    size = re.search(r"-(\d+)([km])-", name)
    depth = re.search(r"qd(\d+)", name)
    kind = name.removeprefix("tgt-").split("-")[0]
    return (kind, int(size[1]) * (1024 if size[2] == "m" else 1), int(depth[1]), name)


def counted(folder):
    """What counts.bt has counted, of both drivers."""
    out = {}
    for driver in (C, OURS):
        for file in glob.glob(f"{folder}/{driver}/*.counts"):
            figures, commands, where = counts.read(file)
            name = os.path.basename(file)[:-7]
            out.setdefault(name, {})[driver] = {**figures, "of commands": commands, "where": where}
    return {name: out[name] for name in sorted(out, key=order)}


def profiles(folder):
    """The driver's own samples, and those of all modules, for each driver."""
    out = {}
    for driver in (C, OURS):
        commands, modules, functions = 0, collections.Counter(), collections.Counter()
        for path in glob.glob(f"{folder}/{driver}/round-*/profile"):
            where = finder(f"{os.path.dirname(path)}/symbols")
            for line in open(path):
                if line.startswith("# commands"):
                    commands += int(line.split()[2])
                    continue
                n, address = line.split()
                module, function, _ = where(int(address, 16))
                if "idle" in function or function == "pv_native_safe_halt":
                    continue
                modules[module] += int(n)
                if module in (driver, RUST):
                    functions[function] += int(n)
        if commands:
            own, busy = modules[driver] + modules[RUST], modules.total()
            out[driver] = {"commands": commands, "samples": busy, "own samples": own,
                           "own per million commands": own / commands * 1e6,
                           "error": own ** -0.5 if own else None,
                           "modules": top(modules, busy), "functions": top(functions, own)}
    return out


def top(counts_, total, most=12):
    return {k: round(v / total, 5) for k, v in sorted(counts_.items(), key=lambda x: -x[1])[:most]} if total else {}


def sessions(folder):
    out = {}
    for driver in (C, OURS):
        path = f"{folder}/{driver}/sessions"
        for line in open(path) if os.path.exists(path) else []:
            n, seconds, kib = line.split()
            out.setdefault(n, {})[driver] = {"login seconds": float(seconds), "KiB": float(kib)}
    return out


def symbols(path):
    """Addresses, and the module and function of each. To a driver's own code belong the kernel's
    functions for Rust, which nothing else calls: what is inline in C."""
    table = []
    for line in open(path):
        address, _, name, *module = line.split()
        module = module[0].strip("[]") if module else "kernel"
        if module == "kernel" and name.startswith(("rust_helper_", "_R")):
            module = RUST
        table.append((int(address, 16), module, name))
    return sorted(table)


def finder(path):
    """A function that says what is at an address: module, function, and where that begins. What is
    not the kernel's is "user"."""
    table = symbols(path)
    addresses = [entry[0] for entry in table]

    def find(at):
        if at < addresses[0]:
            return "user", "", 0
        start, module, function = table[bisect.bisect_right(addresses, at) - 1]
        return module, function, start
    return find


def instructions(out):
    """Instructions and calls per command: by module, and by function of the driver's own code."""
    folder, found = f"{out}/counts", {}
    for file in sorted(glob.glob(f"{out}/blocks/ib_iser*")):
        driver, workload = os.path.basename(file).split("-", 1)
        commands = fio(f"{folder}/{driver}/{workload}.json")["commands"]
        where = finder(f"{folder}/symbols-{driver}")
        modules, functions, calls = {}, {}, {}
        for block in open(file):
            address, lengths, count = block.split()
            at, run = int(address, 16), len(lengths) * int(count)
            module, function, start = where(at)
            modules[module] = modules.get(module, 0) + run
            if module in (driver, RUST):
                functions[function] = functions.get(function, 0) + run
                if at == start:
                    calls[function] = calls.get(function, 0) + int(count)
        each = {m: n / commands for m, n in modules.items()}
        helpers = sum(n for f, n in calls.items() if f.startswith("rust_helper_"))
        found.setdefault(workload, {})[driver] = {
            "own": each.get(driver, 0) + each.get(RUST, 0), "all": sum(each.values()),
            "helper calls": helpers / commands, "of commands": commands,
            "modules": {m: round(n, 1) for m, n in sorted(each.items(), key=lambda x: -x[1])[:16]},
            "functions": {f: [round(n / commands, 1), round(calls.get(f, 0) / commands, 3)]
                          for f, n in sorted(functions.items(), key=lambda x: -x[1])[:40]}}
    return {name: found[name] for name in sorted(found, key=order)}


def ran(path):
    """How often each instruction was run, by its address."""
    found = collections.Counter()
    for block in open(path):
        address, lengths, count = block.split()
        at = int(address, 16)
        for length in lengths:
            found[at] += int(count)
            at += int(length, 16)
    return found


def switched(out):
    """What tracepoints, and latencies, cost a command while they are off and while they are on, in
    instructions. Theirs is what of the driver's code no command runs before they are on, and every
    second one at least then; "off" is when they are that again. The kernel's own code for tracing is
    known by its names."""
    folder, blocks, found = f"{out}/counts", f"{out}/blocks", {}
    for path in sorted(glob.glob(f"{blocks}/off-*")):
        workload = os.path.basename(path).split("-", 1)[1]
        where = finder(f"{folder}/symbols-{OURS}")
        start = {name: at for at, module, name in symbols(f"{folder}/symbols-{OURS}") if module == OURS}
        patched = {"tracepoints": set(), "latencies": set()}
        for key, function, offset, _ in tracepoints.places(f"{out}/ib_iser_rs.ko"):
            what = "latencies" if key == tracepoints.LATENCIES else "tracepoints"
            patched[what].add(start[function] + offset)

        def of(at):
            module, function, _ = where(at)
            if module in (OURS, RUST):
                return OURS
            return "tracing" if module == "kernel" and TRACING.match(function) else None

        before, off = ran(f"{blocks}/{OURS}-{workload}"), ran(path)
        commands = fio(f"{folder}/off-{workload}.json")["commands"]
        for what, places in patched.items():
            on = ran(f"{blocks}/{what}-{workload}")
            theirs = [at for at, n in on.items() if n >= commands / 2 and not before[at] and of(at) == OURS]

            def each(counted, where):
                return round(sum(counted[at] for at in where) / commands, 2)

            def all_of(counted, whose):
                return each(counted, [at for at in counted if of(at) == whose])

            found.setdefault(workload, {})[what] = {
                "no-ops": each(off, places), "off": each(off, theirs), "on": each(on, theirs),
                "kernel's tracing, off": all_of(off, "tracing"), "kernel's tracing, on": all_of(on, "tracing"),
                "all own, off": all_of(off, OURS), "all own, on": all_of(on, OURS)}
    return {name: found[name] for name in sorted(found, key=order)}


def machine(folder):
    kernel, cpus, model, mtu = (line.strip() for line in open(f"{folder}/machine"))
    return {"kernel": kernel, "guest CPUs": cpus, "guest CPU": model, "MTU": mtu}


def collect(out):
    results = {"forms": {}, "counts": {}, "instructions": {}, "switched": {}}
    for form in ("one", "two"):
        folder = f"{out}/{form}"
        if os.path.exists(f"{folder}/machine"):
            results["machine"] = machine(folder)
            results["forms"][form] = {"timed": timed(folder), "profile": profiles(folder),
                                      "sessions": sessions(folder)}
    if os.path.exists(f"{out}/counts/machine"):
        results["machine"] = machine(f"{out}/counts")
        results["counts"], results["instructions"] = counted(f"{out}/counts"), instructions(out)
        results["switched"] = switched(out)
    return results
