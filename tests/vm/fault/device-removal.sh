#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The RDMA device is removed while a session is idle, under verified I/O, while a
# connection is being made, during login and while a lost connection is made anew. Its
# removal ends, nothing is lost, and with the device the session is back.
# guest: --peer target --disk 64M --limit 900
# by name: not seen to pass yet
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 600
# A login that breaks off keeps LIO busy for 15 s, iscsid's own limit for the next.
set_node $iqn 'node.conn[0].timeo.login_timeout' 20
# iscsid waits that long for a first login whose connection is lost, and tries in vain again
# for as often as this says: by its first stop libiscsi has the session end.
set_node $iqn node.session.initial_login_retry_max 1

removals=0
# remove WHEN - the device; what uses it has to let go of it soon.
remove() {
	local pid begin=$SECONDS
	rdma link delete rxe_eth0 3>&- 4>&- &
	pid=$!
	ended() { ! kill -0 $pid 2>/dev/null; }
	if ! (wait_for 60 "removal of the device $1" ended); then
		cat /proc/$pid/stack
		echo w >/proc/sysrq-trigger
		fail "the device cannot be removed $1"
	fi
	wait $pid || fail "rdma link delete $1"
	equal "RDMA devices after removal $1" "" "$(ls /sys/class/infiniband)"
	removals=$((removals + 1))
	say "removed $1, in $((SECONDS - begin)) s"
}

add() {
	must "add the device" rdma link add rxe_eth0 type rxe netdev eth0
	wait_for 30 "RDMA device" grep -q ACTIVE /sys/class/infiniband/rxe_eth0/ports/1/state
}

lost() { ! logged_in "$session"; }
back() {
	wait_for 120 "the session" logged_in "$session"
	equal "sessions" "$session" "$(sessions)"
}

# Of the target, which its peer's removals are no concern of.
network() { must "network of the target: $*" on target "modprobe sch_netem; tc qdisc $*"; }
connecting() { rdma res show qp 2>/dev/null | grep -q 'type RC state INIT'; }
in_login() { session=$(session_of $iqn) && [ -n "$session" ] && ! logged_in "$session"; }
login_ended() { ! kill -0 "$login" 2>/dev/null; }

# interrupted STATE WHEN - a login during which the device is removed when it is in STATE.
interrupted() {
	iscsiadm -m node -T $iqn -l >/run/interrupted 2>&1 3>&- 4>&- &
	login=$!
	wait_for 60 "a login $2" "$1"
	remove "$2"
	network del dev eth0 root
	add
	wait_for 180 "the end of iscsiadm" login_ended
	if wait $login; then
		say "login $2 went on by itself"
	else
		tail -n 1 /run/interrupted
		must "login after one that failed" iscsiadm -m node -T $iqn -l
	fi
	session=$(session_of $iqn)
	back
}

mac=$(on target cat /sys/class/net/eth0/address)
for round in $(seq "$(soak 1 10)"); do
	[ -n "$(sessions)" ] || connect $iqn
	remove "when idle"
	wait_for 60 "notice of the loss" lost
	add
	back

	traffic_start
	remove "under I/O"
	add
	back
	traffic_moves

	# Once more, when the session is about to be connected again.
	remove "under I/O"
	network replace dev eth0 root netem loss 100%
	ip neigh replace 10.0.0.2 lladdr "$mac" dev eth0
	add
	wait_for 120 "an attempt to connect again" connecting
	remove "while a lost connection is made anew"
	network del dev eth0 root
	add
	back
	traffic_moves
	traffic_stop
	logout $iqn

	network replace dev eth0 root netem loss 100%
	ip neigh replace 10.0.0.2 lladdr "$mac" dev eth0
	interrupted connecting "while a connection is made"
	logout $iqn

	network replace dev eth0 root netem delay 1s
	interrupted in_login "during login"
	say "round $round is over"
done

wait_for 60 "disk" disk_of "$session" 0
disk=$(disk_of "$session" 0)
verified "in the end" --size=1m
blockdev --flushbufs "$disk"
here=$(sha256sum "$disk" | cut -d' ' -f1)
there=$(on target 'sha256sum <$(disk disk0)' | cut -d' ' -f1)
equal "content of the target's disk" "$here" "$there"
injected $removals removals
