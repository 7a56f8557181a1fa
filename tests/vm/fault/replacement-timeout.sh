#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The cable is out, with I/O running: for less than replacement_timeout no I/O fails, for
# longer it fails after that time and not before, and with the cable in the disk works again.
# guest: --peer target --disk 64M
. /share/tests/vm/lib.sh
remote_target
timeout=15
set_node $iqn node.session.timeo.replacement_timeout $timeout
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 2
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 2
connect $iqn
traffic_start --size=1m

lost() { ! logged_in "$session"; }
for round in $(seq "$(soak 1 20)"); do
	vm_link target off
	wait_for 60 "notice of the loss" lost
	begin=$SECONDS
	sleep 3 # a part of the timeout, in which nothing may happen
	vm_link target on
	wait_for 120 "the session" logged_in "$session"
	traffic_moves
	say "round $round: back after $((SECONDS - begin)) s, no error"
done
traffic_stop

# When the loss was seen, by the kernel's clock; it waits from then on, or from a little later.
lost_at() { dmesg | sed -n 's/^\[ *\([0-9]*\)[.].* detected conn error.*/\1/p' | tail -n 1; }
gone() { ! kill -0 "$io" 2>/dev/null; }
for round in $(seq "$(soak 1 20)"); do
	before=$(lost_at)
	head -c 32M /dev/urandom >/run/data
	(
		dd if=/run/data of="$disk" bs=16k oflag=direct 2>/run/dd
		rc=$?
		cut -d. -f1 /proc/uptime >/run/failed-at
		exit $rc
	) 3>&- 4>&- &
	io=$!
	written() { [ "$(awk '{print $7}' "/sys/block/${disk##*/}/stat")" -gt "$sectors" ]; }
	sectors=$(($(awk '{print $7}' "/sys/block/${disk##*/}/stat") + 64))
	wait_for 60 "I/O" written
	vm_link target off
	wait_for 180 "the end of I/O" gone
	! wait $io || fail "I/O without a cable succeeded"
	grep -qi error /run/dd || fail "no I/O error: $(cat /run/dd)"
	records=$(sed -n 's/^\([0-9]*\)+.* records out/\1/p' /run/dd)
	at=$(lost_at)
	[ "$at" != "$before" ] || fail "I/O failed without a loss"
	took=$(($(</run/failed-at) - at))
	say "round $round: I/O failed $took s after the loss, $records writes were acknowledged"
	((took >= timeout)) || fail "I/O failed after $took s, replacement_timeout is $timeout"
	((took <= timeout + 30)) || fail "I/O failed only after $took s, replacement_timeout is $timeout"
	# From then on it fails at once.
	begin=$SECONDS
	! dd if="$disk" of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null || fail "I/O without a cable succeeded"
	((SECONDS - begin < timeout)) || fail "I/O took $((SECONDS - begin)) s to fail"

	vm_link target on
	wait_for 120 "the session" logged_in "$session"
	disk=$(disk_of "$session" 0)
	must "what was acknowledged is there" cmp -n $((records * 16384)) /run/data "$disk"
	verified "after round $round" --size=1m --offset=32m
done
equal "sessions" "$session" "$(sessions)"
same_disk
injected $((2 * round)) "times the cable was out"
