#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A command that the target does not finish in time is aborted: the target sees the abort,
# the command is done again, and what is written in the end is right.
. /share/tests/vm/lib.sh
initiator_up
truncate -s 64M /tmp/slow
modprobe -a loop dm_mod
slow=$(losetup -f --show /tmp/slow) || fail "no loop device"
must "device that can be stopped" dmsetup create slow --table "0 131072 linear $slow 0"
backstore d0 iblock /dev/mapper/slow
lio_target $iqn
lio_lun $iqn 0 d0
discover
connect $iqn
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_eh
echo 2 >"/sys/block/${disk##*/}/device/timeout"

aborts() { dmesg | grep -c 'iscsi_eh_abort.*aborting'; }
statistics=$core/iblock_0/d0/statistics/scsi_tgt_dev

for round in 1 2 3; do
	before=$(aborts)
	must "stop the target's disk" dmsetup suspend --noflush --nolockfs slow
	verified "round-$round" --size="$(slow 1m 256k)" --offset="$round"m --iodepth=8 3>&- 4>&- &
	io=$!
	aborted() { [ "$(aborts)" -gt "$before" ]; }
	wait_for 60 "abort" aborted
	must "let the target's disk go on" dmsetup resume slow
	wait $io || fail "I/O after the abort"
	say "round $round: $(($(aborts) - before)) aborts"
done
dmesg | grep -oE 'iscsi_eh_[a-z_]*.*(success|failed|timed out).*' | sort | uniq -c
done=$(dmesg | grep -c 'iscsi_eh_abort.*abort success')
[ "$done" -ge 3 ] || fail "$done aborts were answered"
seen=$(($(cat $statistics/aborts_complete) + $(cat $statistics/aborts_no_task)))
[ "$seen" -gt 0 ] || fail "the target saw no abort"
say "the target saw $seen"
logged_in "$session" || fail "the session is $(state_of "$session")"
same_content /tmp/slow
