#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The link goes down, for a moment and for long, with I/O running: I/O waits and goes on,
# with nothing lost.
# guest: --peer target --disk 64M
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 300
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 2
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 3
connect $iqn
traffic_start

vm_link target off
sleep 0.5 # shorter than any timeout: a retransmission, no loss of the connection
vm_link target on
traffic_moves
say "after a short loss the session is $(state_of "$session")"

lost() { ! logged_in "$session"; }
for n in 1 2; do
	vm_link target off
	wait_for 120 "notice of the loss" lost
	say "round $n: noticed"
	vm_link target on
	wait_for 180 "the session" logged_in "$session"
	traffic_moves
	say "round $n: back"
done
equal "sessions" "$session" "$(sessions)"
traffic_stop
same_disk
