#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes results.json, results.rst and its plots of what a benchmark has left in a folder.

  report.py FOLDER
"""
import datetime
import json
import sys

import matplotlib
matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

from results import C, OURS, collect  # noqa: E402

# Why it takes more instructions than the goal, in short.
CODE = "fence, checks, libiscsi's lock: see Instructions in Documentation/performance.rst"
FORMS = {"one": "one guest", "two": "two guests"}
COLOURS = {C: "#b0b0b0", OURS: "#c8502a"}


def goals(results):
    """Rows: what, C's figure, the goal, ours, whether it is met, and if not, why."""
    forms, counts, instructions = (results[k] for k in ("forms", "counts", "instructions"))
    timed = {f: v["timed"] for f, v in forms.items()}
    rows = []

    def row(what, c, goal, ours, met, why=""):
        rows.append({"what": what, C: c, "goal": goal, OURS: ours, "met": bool(met), "why": "" if met else why})

    def timing(what, r, goal, at_most, form):
        """A ratio of times: how far rounds differ, and what is the driver's of all that runs."""
        met = r["median"] <= goal if at_most else r["median"] >= goal
        p = forms[form]["profile"].get(OURS, {})
        why = "within the spread" if r["min"] <= goal <= r["max"] else "beyond the spread"
        if p.get("own samples"):
            why += f"; own code is {p['own samples'] / p['samples']:.1%} of the CPU time"
        row(what, "1.00", f"{'≤' if at_most else '≥'} {goal:g}", ratio(r), met, why)

    def count(what, workload, figure, goal):
        if workload in counts:
            c, ours = (counts[workload][d][figure] for d in (C, OURS))
            row(what, f"{c:.2f}", f"≤ {goal:g}", f"{ours:.3f}", ours <= goal + 0.0015)

    read = "randread-4k-qd32"
    count("completions, 4k read", read, "completions", 1.05)
    count("receive doorbells, 4k read", read, "receive doorbells", 0.1)
    count("header DMA maps", read, "header maps", 0)
    count("allocations in the transport", read, "allocations", 0)
    count("locks of the transport", read, "locks", 0)
    count("work requests, 8k write of two segments", "write-8k-2seg-qd32", "requests", 1)
    count("work requests, 8k write, as fio lays it out", "randwrite-8k-qd32", "requests", 1)
    for name, i in instructions.items():
        row(f"own instructions, {name}", f"{i[C]['own']:.0f}", "≤ 0.7 of C's",
            f"{i[OURS]['own']:.0f} ({i[OURS]['own'] / i[C]['own']:.2f})", i[OURS]["own"] <= 0.7 * i[C]["own"], CODE)
    for name, both in results["switched"].items():
        for what, s in both.items():
            row(f"own instructions of {what} that are off, {name}", "", "0", f"{s['off']:g}", not s["off"])
    for form, value in forms.items():
        p = value["profile"]
        # perf may give a module's samples to the kernel as a whole: then there are none to compare.
        if all(p.get(d, {}).get("own per million commands") for d in (C, OURS)):
            c, ours = (p[d]["own per million commands"] for d in (C, OURS))
            error = sum((p[d]["error"] or 0) ** 2 for d in (C, OURS)) ** 0.5
            row(f"own CPU samples, 4k read ({FORMS[form]})", "1.00", "≤ 0.7",
                f"{ours / c:.2f} ± {error * ours / c:.2f}", ours / c <= 0.7, CODE)
    for form, workloads in timed.items():
        # With tgt a command of ours ends later, as it should: its cost, not a goal.
        workloads = {name: w for name, w in workloads.items() if not name.startswith("tgt-")}
        for name, figures in workloads.items():
            small = name.startswith("rand") and name.endswith("qd32") and any(f"-{s}k-" in name for s in (4, 8, 16))
            goal = 1.2 if "8k-2seg" in name else 1.05 if small else 1.0
            timing(f"IOPS, {name} ({FORMS[form]})", figures["iops"]["ratio"], goal, False, form)
        for name, figures in workloads.items():
            if name.endswith("qd1"):
                timing(f"p99 latency, {name} ({FORMS[form]})", figures["p99"]["ratio"], 1, True, form)
    for form, value in forms.items():
        for n, s in value["sessions"].items():
            for figure in ("KiB", "login seconds"):
                c, ours = s[C][figure], s[OURS][figure]
                row(f"{figure} {'each of' if figure == 'KiB' else 'of'} {n} sessions ({FORMS[form]})",
                    f"{c:.1f}", "≤ C's", f"{ours:.1f}", ours <= c)
    return rows


def ratio(r):
    return f"{r['median']:.3f} ({r['min']:.2f} … {r['max']:.2f})"


def table(head, rows):
    """A table in reStructuredText."""
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    line = "  ".join("=" * w for w in widths)
    text = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([line, text[0], line, *text[1:], line])


def goals_table(rows):
    return table(["per command", "ib_iser", "goal", "ib_iser_rs", "met", "if not, why"],
                 [[r["what"], r[C], r["goal"], r[OURS], "yes" if r["met"] else "no", r["why"]] for r in rows])


def ratios_plot(results, figure, title, path):
    forms = results["forms"]
    names = list(next(iter(forms.values()))["timed"])
    fig, ax = plt.subplots(figsize=(8, 0.28 * len(names) + 1.2))
    for k, (form, value) in enumerate(forms.items()):
        points = [(i, value["timed"][n][figure]["ratio"]) for i, n in enumerate(names) if n in value["timed"]]
        y = [i + 0.2 * k for i, _ in points]
        x = [r["median"] for _, r in points]
        low = [r["median"] - r["min"] for _, r in points]
        high = [r["max"] - r["median"] for _, r in points]
        ax.errorbar(x, y, xerr=[low, high], fmt="o", ms=4, capsize=2, label=FORMS[form])
    ax.axvline(1, color="black", lw=0.8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.invert_yaxis()
    ax.set_title(title, fontsize=10)
    ax.legend(fontsize=8)
    ax.grid(axis="x", lw=0.3)
    fig.tight_layout()
    fig.savefig(path)


def counts_plot(results, path):
    counts = results["counts"]
    shown = [n for n in ("randread-4k-qd32", "randwrite-4k-qd32", "write-8k-2seg-qd32", "randread-64k-qd32") if n in counts]
    figures = ["requests", "send doorbells", "receive doorbells", "completions", "registrations", "header maps", "locks"]
    fig, axes = plt.subplots(1, len(shown), figsize=(2.6 * len(shown), 3), sharey=True)
    for ax, name in zip(axes, shown):
        for k, driver in enumerate((C, OURS)):
            ax.barh([i + 0.4 * k for i in range(len(figures))], [counts[name][driver][f] for f in figures],
                    height=0.4, color=COLOURS[driver], label=driver)
        ax.set_yticks([i + 0.2 for i in range(len(figures))], figures, fontsize=8)
        ax.set_title(name, fontsize=8)
        ax.grid(axis="x", lw=0.3)
    axes[0].invert_yaxis()
    axes[-1].legend(fontsize=7)
    fig.tight_layout()
    fig.savefig(path)


def page(results, rows, plots):
    machine = ", ".join(f"{k} {v}" for k, v in results["machine"].items())
    text = [".. SPDX-License-Identifier: GPL-2.0", "", "=" * 34, "ib_iser_rs and C's ib_iser measured", "=" * 34, ""]
    text[2] = text[4] = "=" * len(text[3])
    text += [f"Made by ``make bench`` on {results['date']}: {machine}.", "",
             "Both drivers in one boot of the same guest, round by round; a figure is the median of the",
             "ratios of paired rounds, ib_iser_rs to ib_iser, with the least and the largest.", ""]
    for plot in plots:
        text += [f".. image:: {plot}", ""]
    text += ["Goals", "=====", "",
             goals_table(rows), ""]
    for form, value in results["forms"].items():
        text += [f"Measured, {FORMS[form]}", "=" * (10 + len(FORMS[form])), ""]
        marks = [d for d in ("iscsi_tcp", "tcm_loop") if any(d in w["iops"] for w in value["timed"].values())]
        head = ["workload", "IOPS", C, *marks, "mean µs", "p50", "p99", "p99.9", "CPU µs", "IOPS ratio",
                "p99 ratio", "CPU ratio"]
        lines = []
        for name, w in value["timed"].items():
            lines.append([name, f"{w['iops'][OURS]:.0f}", f"{w['iops'][C]:.0f}",
                          *(f"{w['iops'].get(d, 0):.0f}" for d in marks),
                          *(f"{w[k][OURS]:.0f}" for k in ("mean", "p50", "p99", "p99.9", "cpu_us")),
                          *(ratio(w[k]["ratio"]) for k in ("iops", "p99", "cpu_us"))])
        text += [table(head, lines), ""]
        for driver, p in value["profile"].items():
            text += [f"Profile of {driver}, 4k reads: {p['own samples']} of {p['samples']} samples are its own, of "
                     f"{p['commands']} commands.", "",
                     table(["module", "share"], [[k, f"{100 * v:.2f} %"] for k, v in p["modules"].items()]), "",
                     table(["own function", "share of own"],
                           [[k, f"{100 * v:.1f} %"] for k, v in p["functions"].items()]), ""]
    if results["counts"]:
        text += ["Counted", "=======", "", "Per command, ib_iser → ib_iser_rs.", ""]
        shown = ["requests", "SEND", "REG_MR", "LOCAL_INV", "send doorbells", "receive doorbells", "completions",
                 "registrations", "header maps", "list maps", "segments", "locks", "libiscsi locks", "allocations"]
        lines = [[name, *(f"{w[C][k]:.2f} → {w[OURS][k]:.2f}" for k in shown)]
                 for name, w in results["counts"].items() if C in w and OURS in w]
        text += [table(["workload", *shown], lines), ""]
    if results["instructions"]:
        text += ["Instructions", "============", "", "Per command, counted by the emulator.", ""]
        lines = [[workload, d, f"{v['own']:.0f}", f"{v['helper calls']:.1f}",
                  *(f"{v['modules'].get(m, 0):.0f}" for m in ("rdma_rxe", "ib_core", "libiscsi")),
                  f"{v['all']:.0f}"] for workload, i in results["instructions"].items() for d, v in i.items()]
        text += [table(["workload", "driver", "own", "calls for Rust", "rdma_rxe", "ib_core", "libiscsi",
                        "whole kernel"], lines), ""]
    if results["switched"]:
        text += ["Switched off and on", "===================", "",
                 "Instructions of tracepoints and of latencies per command: the patched no-ops that it passes, what",
                 "it runs of the driver's code that is theirs, and what the kernel records an event by.", ""]
        columns = ["no-ops", "off", "on", "kernel's tracing, off", "kernel's tracing, on", "all own, off", "all own, on"]
        text += [table(["workload", "", *columns],
                       [[workload, what, *(f"{s[c]:g}" for c in columns)]
                        for workload, both in results["switched"].items() for what, s in both.items()]), ""]
    return "\n".join(text)


def main():
    out = sys.argv[1]
    results = collect(out)
    results["date"] = datetime.date.today().isoformat()
    results["goals"] = rows = goals(results)
    with open(f"{out}/results.json", "w") as f:
        json.dump(results, f, indent=1)
    plots = []
    if results["forms"]:
        plots = ["results-iops.svg", "results-p99.svg"]
        ratios_plot(results, "iops", "IOPS, ib_iser_rs / ib_iser", f"{out}/{plots[0]}")
        ratios_plot(results, "p99", "p99 latency, ib_iser_rs / ib_iser", f"{out}/{plots[1]}")
    if results["counts"]:
        plots.append("results-counts.svg")
        counts_plot(results, f"{out}/{plots[-1]}")
    with open(f"{out}/results.rst", "w") as f:
        f.write(page(results, rows, plots))
    print(goals_table(rows))
    print(f"{sum(r['met'] for r in rows)} of {len(rows)} goals met; {out}/results.rst, {out}/results.json")


if __name__ == "__main__":
    main()
