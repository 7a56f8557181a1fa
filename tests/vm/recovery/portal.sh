#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The target ends the connection and comes back, again and again, with I/O running: every
# write is there, once, and nothing fails.
# guest: --peer target --disk 64M
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 120
connect $iqn
traffic_start

lost() { ! logged_in "$session"; }
for n in 1 2 3; do
	must "disable the target" on target "lio_enable $iqn 0"
	wait_for 60 "loss of the connection" lost
	must "enable the target" on target "lio_enable $iqn 1"
	wait_for 120 "the session" logged_in "$session"
	traffic_moves
	say "back, round $n"
done
equal "sessions" "$session" "$(sessions)"
traffic_stop
verified "after it" --size="$(slow 2m 256k)"
same_disk
