# SPDX-License-Identifier: GPL-2.0
"""Metrics in Prometheus' text format, read more strictly than Prometheus does, and held
against what the module says in debugfs."""
import glob
import os
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
SEEN = "/sys/kernel/debug/ib_iser_rs"


class Malformed(Exception):
    """It is not as the format has it."""


def need(condition, what):
    if not condition:
        raise Malformed(what)


def labels_of(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        need(match and match[1] not in labels, f"labels {text}")
        labels[match[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), match[2])
        at = match.end()
    return labels


def parse(text):
    """{name: [(labels, value)…]}"""
    need(text.endswith("\n"), "the last line has no end")
    samples, kinds, current, seen = {}, {}, None, set()
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("# HELP "):
            name, _, text_of_help = line[7:].partition(" ")
            need(re.fullmatch(NAME, name) and text_of_help and name not in kinds, line)
            kind = next(lines).split(" ")
            need(kind[:3] == ["#", "TYPE", name] and kind[3] in ("counter", "gauge", "histogram"), f"{kind}")
            kinds[name], current = kind[3], name
            continue
        match = SAMPLE.fullmatch(line)
        need(match, line)
        name, labels, value = match[1], labels_of(match[2] or ""), float(match[3])
        base = re.sub("_(bucket|sum|count)$", "", name) if kinds.get(current) == "histogram" else name
        need(base == current, f"{name} among those of {current}")
        need((kinds[base] == "counter") == base.endswith("_total"), f"{name} is a {kinds[base]}")
        need((name, key := tuple(sorted(labels.items()))) not in seen, f"twice: {line}")
        seen.add((name, key))
        need(kinds[base] == "gauge" or value >= 0, line)
        samples.setdefault(name, []).append((labels, value))
    for name, kind in kinds.items():
        if kind == "histogram":
            histogram(name, samples)
    return samples


def histogram(name, samples):
    series = {}
    for labels, value in samples[f"{name}_bucket"]:
        rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        series.setdefault(rest, []).append((float(labels["le"]), value))
    for rest, buckets in series.items():
        need(buckets == sorted(buckets) and [n for _, n in buckets] == sorted(n for _, n in buckets), f"{name} {rest}")
        need(buckets[-1][0] == float("inf"), f"{name}: no last bucket")
        need((dict(rest), buckets[-1][1]) in samples[f"{name}_count"], f"{name}_count")


# Which of the module's counters is which metric, as the manual has it.
COUNTERS = {
    "commands_read": ("commands", {"direction": "read"}), "commands_write": ("commands", {"direction": "write"}),
    "commands_none": ("commands", {"direction": "none"}), "bytes_read": ("bytes", {"direction": "read"}),
    "bytes_write": ("bytes", {"direction": "write"}), "responses": ("responses", {}),
    "registered_commands": ("registered_commands", {}), "immediate_commands": ("immediate_commands", {}),
    "immediate_bytes": ("immediate_bytes", {}), "unsolicited_pdus": ("unsolicited_pdus", {}),
    "control_pdus_sent": ("control_pdus", {"direction": "sent"}),
    "control_pdus_received": ("control_pdus", {"direction": "received"}),
    "wr_send": ("work_requests", {"kind": "send"}), "wr_reg": ("work_requests", {"kind": "register"}),
    "wr_local_inv": ("work_requests", {"kind": "invalidate"}), "wr_receive": ("work_requests", {"kind": "receive"}),
    "doorbells_send": ("doorbells", {"queue": "send"}), "doorbells_receive": ("doorbells", {"queue": "receive"}),
    "completions_send": ("completions", {"queue": "send"}),
    "completions_receive": ("completions", {"queue": "receive"}),
    "remote_invalidations": ("invalidations", {"by": "target"}),
    "local_invalidations": ("invalidations", {"by": "initiator"}), "send_queue_stalls": ("send_queue_stalls", {}),
    "fences": ("fences", {}), "aborts": ("aborts", {}), "resets": ("resets", {}),
    "protocol_errors": ("protocol_errors", {}),
}
GAUGES = {"receives_posted": None, "receive_low_water": "iser_rs_receive_queue_low_water"}


def value(samples, name, **labels):
    """The one that has these labels, and maybe more."""
    found = [v for have, v in samples.get(name, []) if labels.items() <= have.items()]
    need(len(found) == 1, f"{name} {labels}: {found}")
    return found[0]


def counters():
    """{connection: {counter: number}}"""
    found = {}
    for path in glob.glob(f"{SEEN}/connection-*/counters"):
        connection = os.path.basename(os.path.dirname(path)).partition("-")[2]
        found[connection] = {name: int(n) for name, n in map(str.split, open(path))}
    return found


def same_as_counters(samples, before):
    """Every counter of every connection is a metric, with a value that it has had from `before` until
    now: targets ping. Returns how many."""
    count = 0
    for connection, now in counters().items():
        for counter, expected in now.items():
            if counter in GAUGES:
                if GAUGES[counter]:
                    need(value(samples, GAUGES[counter], connection=connection) == expected, counter)
                continue
            name, labels = COUNTERS[counter]
            got = value(samples, f"iser_rs_{name}_total", connection=connection, **labels)
            need(before[connection][counter] <= got <= expected,
                 f"{counter} of connection {connection}: {expected}, {got}")
            count += 1
    for line in open(f"{SEEN}/totals"):
        name, _, expected = line.partition(" ")
        kind, _, reason = re.sub("protocol_errors", "protocolerrors", name).partition("_")
        if kind in ("failures", "protocolerrors"):
            got = value(samples, "iser_rs_connection_failures_total", reason=reason)
        else:
            known = {"connections_failed": "connections_lost"}.get(name, name)
            got = value(samples, f"iser_rs_{known}_total")
        need(got == int(expected), f"{name}: {expected}, {got}")
        count += 1
    return count
