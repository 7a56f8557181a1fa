#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tools/drgn/iser_rs.py finds in the kernel's memory what debugfs shows: the connections, how they
# are, their counters, and the slots with commands that hang.
# only: ib_iser_rs
. /share/tests/vm/lib.sh
. /share/tests/vm/observe.sh
slow_target
discover
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 0
connect $iqn
quiet
dir=$(connection_of "$session")
memory() { drgn --quiet --no-default-symbols /share/tools/drgn/iser_rs.py "$(modinfo -n ib_iser_rs)" >$results/memory 2>&1; }
must "stop the target's disk" dmsetup suspend --noflush --nolockfs d0
dd if="$disk" of=/dev/null bs=16k count=1 iflag=direct 2>/dev/null 3>&- 4>&- &
dd if=/dev/zero of="$disk" bs=64k count=1 seek=9 oflag=direct 2>/dev/null 3>&- 4>&- &
both() { [ "$(wc -l <"$dir/slots")" = 3 ]; }
wait_for 60 "two commands in the slots" both
memory || fail "drgn: $(cat $results/memory)"
cp "$dir/slots" "$dir/info" "$dir/counters" $results/
must "let the target's disk go on" dmsetup resume --noudevsync d0
wait
cat $results/memory

has() { grep -qxE "$1" $results/memory || fail "not there: $1"; }
has "connection ${dir##*-}"
for name in target portal device port qp host session; do
	has "  $name: $(sed -n "s/^$name: //p" $results/info)"
done
while read -r name count; do
	case $name in
	commands_* | bytes_* | immediate_* | registered_commands)
		[ "$count" = 0 ] || has ".*[ ]$name $count(,.*)?"
		;;
	esac
done <$results/counters
while read -r slot _ state direction bytes _; do
	[ "$slot" = slot ] || has "  slot $slot: $state \(.*\), $direction of $bytes bytes, for [0-9.]+ s"
done <$results/slots
has "  2 of [0-9]+ slots in use"
has "1 connections"

# Without a connection, and without the module.
logout $iqn
memory || fail "drgn without a connection: $(cat $results/memory)"
has "0 connections"
unload_driver
! memory || fail "drgn without the module"
grep -q "ib_iser_rs is not loaded" $results/memory || fail "without the module: $(cat $results/memory)"
