#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Whoever looks at connections that come and go sees what there is, or that it is gone, and
# disturbs nothing: files in debugfs read and kept open, tracepoints and latencies switched,
# iser-stat run, while sessions log in and out and are cut.
# only: ib_iser_rs
# kernel: debug
# tools: iser-stat
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
quick_up

python3 $here/observe/kept.py >$results/kept 2>&1 3>&- 4>&- || fail "$(cat $results/kept)"
cat $results/kept
unload_driver
load_driver
say "an open file keeps the module, not the connection"

python3 $here/observe/races.py "$(soak 6 2000)" >$results/races 2>&1 3>&- 4>&- ||
	fail "$(tail -n 30 $results/races) $(tail -n 5 $results/target)"
cat $results/races
