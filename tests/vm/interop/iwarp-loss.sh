#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# iWARP, by siw: the connection is lost under verified I/O, three times, and comes back each time,
# and at no other time.
# kernel: debug
# guest: --limit 900
# by name: takes ten minutes
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
siw_up
load_driver
iscsid_up
scripted_target --like scst
discover
# All that is lost here is by the target's doing.
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 0
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 0
connect $iqn
connections() { ask_target state | grep -o '"count": [0-9]*' | tr -dc 0-9; }
came_back() { [ "$(connections)" -gt "$before" ]; }
traffic_start --size=256k
for n in 1 2 3; do
	before=$(connections)
	ask_target hang_up >/dev/null
	wait_for 60 "another connection" came_back
	wait_for 60 "login after the loss" logged_in "$session"
	traffic_moves
	say "back, round $n"
done
traffic_stop
if [ "$DRIVER" = ib_iser_rs ]; then
	equal "connections made anew" 3 \
		"$(sed -n 's/^reconnects: //p' "/sys/kernel/debug/ib_iser_rs/session-${session#session}/info")"
fi
verified "after it" --size=256k
logout $iqn
must "the scripted target ends" ask_target stop
