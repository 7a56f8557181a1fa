#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# iscsid is killed and started again while a session is idle, under verified I/O, while the
# connection is lost, while it is made anew, while the first one is made and during login.
# The session is taken over or a login works at once, nothing is lost, nothing left behind.
# guest: --peer target --disk 64M --limit 600
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 600
# A login that breaks off keeps LIO busy for 15 s, iscsid's own limit for the next.
set_node $iqn 'node.conn[0].timeo.login_timeout' 20
# iscsid waits that long for a first login whose connection is lost, and tries in vain again
# for as often as this says: by its first stop libiscsi has the session end.
set_node $iqn node.session.initial_login_retry_max 1
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 2
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 3
modprobe sch_netem

kills=0
killed() { # WHEN
	local pids
	pids=$(pidof iscsid) || fail "no iscsid to kill $1"
	# shellcheck disable=SC2086 # It has two processes.
	kill -9 $pids
	none() { ! pidof iscsid; }
	wait_for 30 "the end of iscsid" none
	kills=$((kills + 1))
	say "killed $1"
}
started() {
	iscsid 3>&- 4>&- || fail "iscsid does not start again"
	wait_for 60 "iscsid" iscsiadm -m iface
}
lost() { ! logged_in "$session"; }
back() { # WHEN
	wait_for 180 "the session, killed $1" logged_in "$session"
	equal "sessions, killed $1" "$session" "$(sessions)"
}
network() { must "network of the target: $*" on target "modprobe sch_netem; tc qdisc $*"; }
connecting() { rdma res show qp 2>/dev/null | grep -q 'type RC state INIT'; }
login_begins() {
	iscsiadm -m node -T $iqn -l >/run/interrupted 2>&1 3>&- 4>&- &
	login=$!
}
login_ended() { ! kill -0 "$login" 2>/dev/null; }
# Without another process, as it does not last long. A login that was over before anybody looked, as
# on a machine that is busy, is begun again.
in_login() {
	local s state
	if login_ended; then
		iscsiadm -m node -T $iqn -u
		login_begins
	fi
	for s in /sys/class/iscsi_session/*/state; do
		[ -e "$s" ] && read -r state <"$s" && [ "$state" != LOGGED_IN ] && return
	done
	return 1
}
mac=$(on target cat /sys/class/net/eth0/address)

# interrupted STATE WHEN - a login during which iscsid is killed when it is in STATE.
interrupted() {
	login_begins
	wait_for 60 "a login $2" "$1"
	killed "$2"
	network del dev eth0 root
	wait_for 60 "the end of iscsiadm" login_ended
	! wait $login || fail "iscsiadm says that a login without iscsid succeeded"
	started
	again() { [ -n "$(session_of $iqn)" ] || iscsiadm -m node -T $iqn -l; }
	wait_for 120 "a login after one killed $2" again
	session=$(session_of $iqn)
	back "$2"
	# An iscsid that takes over a session before its first scan leaves it at that.
	must "scan" iscsiadm -m session --rescan
	wait_for 60 "disk" disk_of "$session" 0
	disk=$(disk_of "$session" 0)
	verified "killed $2" --size=256k
}

connect $iqn
for round in $(seq "$(soak 1 10)"); do
	killed "when idle"
	started
	back "when idle"
	verified "killed when idle" --size=256k

	traffic_start --size=1m
	killed "under I/O"
	traffic_moves # without it, too
	started
	back "under I/O"
	traffic_moves

	vm_link target off
	wait_for 120 "notice of the loss" lost
	killed "while the connection is lost"
	vm_link target on
	started
	back "while the connection is lost"
	traffic_moves

	# The connection is lost when nobody is there to notice.
	killed "before the connection is lost"
	must "disable the target" on target "lio_enable $iqn 0"
	wait_for 120 "notice of the loss" lost
	must "enable the target" on target "lio_enable $iqn 1"
	started
	back "before the connection is lost"
	traffic_moves

	network replace dev eth0 root netem loss 100%
	wait_for 120 "notice of the loss" lost
	ip neigh replace 10.0.0.2 lladdr "$mac" dev eth0
	wait_for 120 "an attempt to connect again" connecting
	killed "while the connection is made anew"
	network del dev eth0 root
	started
	back "while the connection is made anew"
	traffic_moves
	traffic_stop
	logout $iqn

	network replace dev eth0 root netem loss 100%
	ip neigh replace 10.0.0.2 lladdr "$mac" dev eth0
	interrupted connecting "while the first connection is made"
	logout $iqn

	network replace dev eth0 root netem delay 1s
	interrupted in_login "during login"
	say "round $round is over"
done
same_disk
injected $kills kills
