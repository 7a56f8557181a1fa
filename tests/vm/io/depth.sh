#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# cmds_max from 2 to 2048 and queue_depth are what was asked for (a disk's depth is at most
# what the host can queue, and libiscsi's least cmds_max is 16: ours takes it for less, C's
# driver refuses less), and I/O that wants more at a time than there are commands still gets
# done.
# guest: --memory 4G
. /share/tests/vm/lib.sh
initiator_up
backstore d0 fileio /tmp/d0 64
lio_target $iqn
lio_lun $iqn 0 d0
lio_set $iqn attrib/default_cmdsn_depth 512
discover

try() { # CMDS_MAX QUEUE_DEPTH
	local can want=$2
	set_node $iqn node.session.cmds_max "$1"
	set_node $iqn node.session.queue_depth "$2"
	connect $iqn
	can=$(cat "$(host_of "$session")/can_queue")
	[ "$can" -gt 0 ] && [ "$can" -le $(($1 < 16 ? 16 : $1)) ] || fail "cmds_max is $1, but can_queue is $can"
	# C's driver has room for fewer.
	[ "$DRIVER" = ib_iser ] || equal "can_queue with cmds_max $1" $(($1 < 16 ? 16 : $1)) "$can"
	[ "$want" -le "$can" ] || want=$can
	equal "queue_depth of the disk" "$want" "$(cat "/sys/block/${disk##*/}/device/queue_depth")"
	say "cmds_max $1: can_queue $can, queue_depth $want"
	verified "cmds_max $1" --bs=4k --size="$(slow 3m 1m)" --iodepth=256
	same_content /tmp/d0
	logout $iqn
}

if [ "$DRIVER" = ib_iser ]; then
	set_node $iqn node.session.cmds_max 2
	! iscsiadm -m node -T $iqn -l >/run/refused 2>&1 || fail "cmds_max 2 was accepted"
	dmesg | grep -q 'invalid max cmds of 2' || fail "no line in the log about cmds_max 2"
else
	try 2 1
	try 4 4
	dmesg | grep 'cmds_max 2 ' || fail "no line in the log about cmds_max 2"
fi
try 16 1
try 32 16
try 128 32
try 2048 1024
