#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# More data sent unasked than the send queue has entries for: what finds no room is counted, and
# sent a little later. There is a receive for each task all the while.
# only: ib_iser_rs
. /share/tests/vm/lib.sh
. /share/tests/vm/observe.sh
initiator_up
backstore d0 ramdisk 64
lio_target $iqn
lio_lun $iqn 0 d0
lio_set $iqn param/InitialR2T No
lio_set $iqn param/FirstBurstLength 262144
discover
set_node $iqn node.session.iscsi.InitialR2T No
set_node $iqn node.session.iscsi.FirstBurstLength 262144
set_node $iqn node.session.queue_depth 128
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 0
connect $iqn
quiet
dir=$(connection_of "$session")
equal "first burst" 262144 "$(info "$dir" first_burst)"
# Each takes 31 entries and more, of which there are 2047.
write() { # DEPTH
	verified "depth $1" --iodepth="$1" --bs=256k --size=32m --rw=write
	settled
	# The block layer makes one command of some.
	equal "PDUs sent unasked, depth $1" $(($(grown commands_write) * 31)) "$(grown unsolicited_pdus)"
}
snapshot "$dir"
write 4
equal "stalls of 4 writes at a time" 0 "$(grown send_queue_stalls)"
snapshot "$dir"
write 128
stalls=$(grown send_queue_stalls)
[ "$stalls" -gt 0 ] || fail "128 writes of 256 KiB at a time have always found room"
low=$(counter "$dir" receive_low_water) posted=$(counter "$dir" receives_posted)
slots=$(info "$dir" slots)
[ "$low" -ge "$slots" ] && [ "$low" -lt "$(info "$dir" receive_queue)" ] && [ "$low" -le "$posted" ] ||
	fail "receives: $posted, $low at the least, for $slots slots"
say "$stalls stalls; receives: $low at the least, for $slots slots"
