#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A network that loses, delays, reorders and duplicates packets, and one that is down for a
# while, cost time and nothing else: verified I/O goes on over all of it.
# guest: --peer target --disk 64M --limit 600
# by name: not seen to pass yet
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 600
connect $iqn
modprobe sch_netem
traffic_start --size=1m

# network ARGUMENTS… - of netem, on what the initiator sends and on what the target sends.
network() {
	must "netem here" tc qdisc replace dev eth0 root netem "$@"
	must "netem there" on target "modprobe sch_netem && tc qdisc replace dev eth0 root netem $*"
}

through() { # WHAT ARGUMENTS…
	network "${@:2}"
	traffic_moves 240
	traffic_moves 240
	tc -s qdisc show dev eth0 | grep -oE 'Sent.*|dropped [0-9]+' | head -n 1
	say "$1; the session is $(state_of "$session")"
}
for percent in $(soak "1 5" "1 2 3 4 5 1 2 3 4 5"); do
	through "$percent % lost" loss "$percent%"
done
through "delayed by 5 ms, give or take 5" delay 5ms 5ms
through "a quarter of them out of order" delay 2ms reorder 75% 50%
through "5 % duplicated" duplicate 5%
through "all of it" delay 2ms 1ms loss 1% duplicate 2% reorder 90% 50%
must "a good network" tc qdisc del dev eth0 root
must "a good network" on target tc qdisc del dev eth0 root
traffic_moves

# The interface goes down and its addresses stay: the connection manager is told nothing.
for round in $(seq "$(soak 1 5)"); do
	ip link set eth0 down
	lost() { ! logged_in "$session"; }
	wait_for 120 "notice of the interface being down" lost
	ip link set eth0 up
	wait_for 240 "the session" logged_in "$session"
	traffic_moves
	say "interface down and up, round $round"
done
equal "sessions" "$session" "$(sessions)"
traffic_stop
blockdev --flushbufs "$disk"
here=$(sha256sum "$disk" | cut -d' ' -f1)
there=$(on target 'sha256sum <$(disk disk0)' | cut -d' ' -f1)
equal "content of the target's disk" "$here" "$there"
