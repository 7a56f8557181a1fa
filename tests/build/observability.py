# SPDX-License-Identifier: GPL-2.0
"""Holds the names in the observability guide against those in the source."""
import glob
import re
import shlex
import sys


def read(*paths):
    return "\n".join(open(path).read() for path in paths)


def section(title, end):
    """The guide's text from the heading TITLE to the heading END."""
    begin = re.search(rf"^{title}\n[=-]+\n", guide, re.MULTILINE)
    return guide[begin.end():re.search(rf"^{end}\n[=-]+\n", guide, re.MULTILINE).start()]


def quoted(text):
    return set(re.findall(r"``([a-z_0-9]+)``", text))


def counters():
    """Of a connection: those of `counts!`, and those that the queue pair tells."""
    found = set(re.findall(r'\bto\("([a-z_]+)"', read("rust/rdma/statistics.rs")))
    for block in re.findall(r"counts! \{\n(.*?)\n\}", read("rust/iser/observed.rs"), re.DOTALL):
        found |= set(re.findall(r"^ +([a-z_]+),$", block, re.MULTILINE))
    return found


def totals():
    block = re.search(r"counts! \{\n(.*?)\n\}", read("rust/iser/totals.rs"), re.DOTALL)[1]
    return set(re.findall(r"^ +([a-z_]+),$", block, re.MULTILINE))


def reasons():
    return set(re.findall(r'=> "([a-z_]+)",', read("rust/iser/protocol_error.rs"))) | \
        set(re.findall(r'^ +\w+ = "([a-z_]+)",', read("rust/iser/reason.rs"), re.MULTILINE))


guide = read("Documentation/observability.rst")
header = read("rust/trace/iser_rs.h")
prometheus = read(*glob.glob("tools/iser-stat/src/prometheus/*.rs"))
tracepoints = set(re.findall(r"TRACE_EVENT\((\w+)", header))
fields = set(re.findall(r"__(?:field|string)\((?:[\w ]+, )?(\w+)[,)]", header))
metrics = set(re.findall(r'"(iser_rs_[a-z_]+)"', prometheus))
told = quoted(section("Tracepoints", "Metrics"))
drops = section("Why did this session drop\\?", "Why can I not log in\\?")
in_drops = set(re.findall(r"``failures_([a-z_]+)``", drops))
info = set(re.findall(r'"([a-z_]+): ', read("rust/iser/show.rs")))
in_totals = quoted(section("totals", "Tracepoints")) - {"protocol_errors_", "failures_"}
# name: what the source has, what the guide has, whether the guide may name more there
checks = {
    "lines of info": (info, quoted(section("info", "counters")), True),
    "tracepoints and fields": (tracepoints | fields, told, True),
    "counters": (counters(), quoted(section("counters", "slots")), False),
    "totals and reasons": (totals() | reasons(), in_totals | in_drops, False),
    "metrics": (metrics, set(re.findall(r"``(iser_rs_[a-z_]+)``", section("Metrics", "The log"))), False),
}
# A comment behind a command is not part of it; lines of the log are not commands.
recipes = re.findall(r"^    ([a-z].*?)(?: +#.*)?$", section("Recipes", "Files"), re.MULTILINE)
walked = read(*(f"tests/vm/observe/{name}.sh" for name in ("recipes", "drops", "reasons")))
words = (shlex.split(line)[0] for line in re.findall(r"\b(?:as_told|on_screen) (['\"].*)", walked))
checks["commands of recipes"] = {c for c in recipes if not c.startswith("ib_iser_rs:")}, set(words), False
# Each of the table of why a session drops has to be brought about. Of protocol errors one will do.
checks["reasons of drops"] = set(re.findall(r"``(failures_[a-z_]+)``", drops)), \
    set(re.findall(r"\bfailures_[a-z_]+", walked)), False
status = 0
for what, (source, named, more) in checks.items():
    if not source:
        sys.exit(f"FAILED: no {what} are found in the source")
    for name in sorted(source - named):
        print(f"{what}: {name} is not in the guide")
        status = 1
    for name in sorted(set() if more else named - source):
        print(f"{what}: {name} is in the guide alone")
        status = 1
    print(f"{len(source)} {what}")
sys.exit(status)
