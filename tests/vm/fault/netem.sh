#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A network that delays and duplicates packets, loses some for a while, or is down for a while,
# costs time and nothing else: verified I/O goes on over all of it.
# guest: --peer target --disk 64M --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
bad_networks
lost() { ! logged_in "$session"; }
losses=0
traffic_start --size=1m
through "delayed by 5 ms" delay 5ms
through "5 % duplicated" duplicate 5%
# The connection is made anew, and none of what it was in the middle of is lost.
for round in $(seq "$(soak 3 30)"); do
	network loss 1%
	wait_for 120 "a connection that does not last" lost
	losses=$((losses + 1))
	good_network
	wait_for 240 "the session" logged_in "$session"
	traffic_moves 240
	say "1 % lost of many commands at a time: the connection was made anew, round $round"
done

# The interface goes down and its addresses stay: the connection manager is told nothing.
for round in $(seq "$(soak 1 5)"); do
	ip link set eth0 down
	wait_for 120 "notice of the interface being down" lost
	ip link set eth0 up
	losses=$((losses + 1))
	wait_for 240 "the session" or_new_rxe eth0 logged_in "$session"
	traffic_moves
	say "interface down and up, round $round"
done
equal "sessions" "$session" "$(sessions)"
traffic_stop
same_disk
injected $((dropped + losses)) "packets and connections lost"
