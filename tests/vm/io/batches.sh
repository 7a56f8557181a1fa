#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Commands that come in batches: all are sent, whether the last of a batch is one the target may be
# sent, or is put off as the target's window or the host is full; by one disk, and by two of a
# session at once.
# guest: --limit 400
. /share/tests/vm/lib.sh
initiator_up
lio_target $iqn
for n in 0 1; do
	backstore d$n fileio /tmp/d$n 16
	lio_lun $iqn $n d$n
done
discover
batches="--iodepth=64 --iodepth_batch_submit=32 --iodepth_batch_complete_min=32"

# batch NAME FIO-OPTIONS… - on both disks.
batch() {
	local n pids=()
	for n in 0 1; do
		wait_for 60 "disk $n" disk_of "$session" $n
		disk=$(disk_of "$session" $n)
		# shellcheck disable=SC2086 # Options are words.
		verified "$1-$n" $batches "${@:2}" &
		pids+=($!)
	done
	for n in 0 1; do
		wait "${pids[n]}" || exit 1
	done
	for n in 0 1; do
		disk=$(disk_of "$session" $n)
		same_content /tmp/d$n
	done
	say "$1"
}

say "as many as fit"
connect $iqn
size=$(slow 8m 1m)
# shellcheck disable=SC2086 # Options are words.
verified "one disk" $batches --size="$size"
batch "two disks" --size="$size"
batch "mixed sizes" --size="$size" --bsrange=4k-256k
logout $iqn

say "more than the session has commands"
set_node $iqn node.session.cmds_max 16
set_node $iqn node.session.queue_depth 64
connect $iqn
batch "few commands" --size="$(slow 4m 512k)"
logout $iqn

say "more than the target takes"
set_node $iqn node.session.cmds_max 128
lio_set $iqn attrib/default_cmdsn_depth 7
connect $iqn
batch "small window" --size="$(slow 4m 512k)"
