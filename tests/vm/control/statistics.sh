#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# iscsiadm -s tells what happened: commands, responses and task management requests are
# counted as they are sent.
. /share/tests/vm/lib.sh
one_disk

statistic() { iscsiadm -m session -s | sed -n "s/^[[:space:]]*$1: //p"; }
iscsiadm -m session -s >$results/statistics || fail "no statistics"
cat $results/statistics
commands=$(statistic scsicmd_pdus)
responses=$(statistic scsirsp_pdus)
tmf=$(statistic tmfcmd_pdus)
answered=$(statistic tmfrsp_pdus)
must "write 100 times 4 KiB" fio --filename="$disk" --rw=write --bs=4k --size=400k --direct=1 --name=w
must "read 200 times 8 KiB" fio --filename="$disk" --rw=read --bs=8k --size=1600k --direct=1 --name=r
must "reset" sg_reset --device --no-escalate "$(sg_of "$session" 0)"
iscsiadm -m session -s >>$results/statistics
for error in digest_err timeout_err; do
	equal "$error" 0 "$(statistic $error)"
done

# fio's own, and what udev or the block layer may do besides.
grew() { # NAME BEFORE EXPECTED SLACK
	local by=$(($(statistic "$1") - $2))
	[ $by -ge "$3" ] && [ $by -le $(($3 + $4)) ] || fail "$1 grew by $by, expected $3 to $(($3 + $4))"
	say "$1 grew by $by"
}
grew scsicmd_pdus "$commands" 300 100
grew scsirsp_pdus "$responses" 300 100
grew tmfcmd_pdus "$tmf" 1 0
grew tmfrsp_pdus "$answered" 1 0
