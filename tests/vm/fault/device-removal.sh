#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The RDMA device is removed, 50 times: while a session is idle, under verified I/O, while a
# connection is being made or logs in, the first one or one that was lost. Its removal ends,
# nothing is lost, and with the device the session is back.
# guest: --peer target --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
portal=10.0.0.2:3261 iqn=$hostile
rxe_up 10.0.0.1
must "target in the other guest" on target ". $here/fault.sh; rxe_up 10.0.0.2 && hostile_up 10.0.0.2"
load_driver
back() {
	wait_for 120 "the session" logged_in "$session"
	equal "sessions" "$session" "$(sessions)"
}

# As an administrator has it, with iscsid.
iscsid_up
discover
set_node $iqn node.session.timeo.replacement_timeout 600
connect $iqn
errors() { dmesg | grep -c 'detected conn error'; }
lost() { [ "$(errors)" -gt "$before" ]; }
with_iscsid() {
	before=$(errors)
	faults removal any 1
	wait_for 60 "notice of the loss" lost
	back
}
with_iscsid
traffic_start --size=1m
with_iscsid
traffic_moves
traffic_stop
logout $iqn
pkill iscsid
none() { ! pidof iscsid; }
wait_for 30 "the end of iscsid" none

# And quicker, without. There is time for something to happen while a connection is made.
must "a slow network" on target "modprobe sch_netem && tc qdisc replace dev eth0 root netem delay 50ms"
faults removal connect "$(soak 12 300)"
faults removal login "$(soak 12 300)"
must "a fast network" on target "tc qdisc del dev eth0 root"
faults removal idle "$(soak 12 300)"
session=$(session_of $iqn)
disk=$(disk_of "$session" 0)
traffic_start --size=1m
faults removal io "$(soak 12 300)"
traffic_moves
traffic_stop
verified "in the end" --size=1m
must "end the session" python3 $here/forget.py
injected $faults removals
