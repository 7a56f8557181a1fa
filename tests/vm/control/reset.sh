#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Resets of a LUN and of a target under verified I/O: the target does them, the I/O is done
# in the end and is right.
. /share/tests/vm/lib.sh
one_disk
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_eh
statistics=$core/fileio_0/d0/statistics/scsi_tgt_dev
sg=$(sg_of "$session" 0)
traffic_start

for n in 1 2 3; do
	before=$(cat $statistics/resets)
	must "LUN reset $n" sg_reset --device --no-escalate "$sg"
	[ "$(cat $statistics/resets)" -gt "$before" ] || fail "the target saw no LUN reset"
	traffic_moves
done
dmesg | grep -q 'dev reset result = SUCCESS' || fail "no successful LUN reset in the log"
say "3 LUN resets"

for n in 1 2; do
	must "target reset $n" sg_reset --target --no-escalate "$sg"
	wait_for 60 "session after target reset" logged_in "$session"
	traffic_moves
done
dmesg | grep -oE 'iscsi_eh_(target|session)_reset.*|tgt .* reset result = .*' | sort | uniq -c
say "2 target resets"
traffic_stop
same_content /tmp/d0
