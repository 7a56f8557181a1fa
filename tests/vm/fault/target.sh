#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The target's machine stops for a moment, and for longer than NOPs wait for an answer; it is
# killed and started again. I/O waits and goes on, nothing is lost.
# guest: --peer target --disk 64M
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 600
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 2
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 3
connect $iqn
# Written before all of it, and not after.
must "write" dd if=/dev/urandom of="$disk" bs=1M count=4 seek=32 oflag=direct
before=$(dd if="$disk" bs=1M count=4 skip=32 iflag=direct status=none | sha256sum)
traffic_start --size=1m

faults=0
lost() { ! logged_in "$session"; }
back() { # WHAT
	wait_for 240 "the session" logged_in "$session"
	traffic_moves
	faults=$((faults + 1))
	say "$1"
}
for round in $(seq "$(soak 1 40)"); do
	vm_pause target
	sleep 1 # how long it stops
	vm_resume target
	back "stopped for a moment"

	vm_pause target
	wait_for 120 "notice of the loss" lost
	vm_resume target
	back "stopped for long"

	vm_kill target
	wait_for 120 "notice of the loss" lost
	vm_start target
	remote_target_up
	back "killed and started again"
done
equal "sessions" "$session" "$(sessions)"
traffic_stop
equal "what was written before" "$before" "$(dd if="$disk" bs=1M count=4 skip=32 iflag=direct status=none | sha256sum)"
same_disk
injected $faults "times the target was away"
