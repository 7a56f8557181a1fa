#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Aborts, LUN resets and target resets under load, with a target that is well, slow, that
# answers late, and that is dead for a while: no command is lost or comes back twice, none is
# done after it has failed, and no memory is touched once its command is back.
# guest: --peer target --disk 64M --limit 600
# by name: not seen to pass yet
. /share/tests/vm/lib.sh
portal=10.0.0.2:3260
rxe_up 10.0.0.1
must "target in the other guest" on target "portal=$portal; rxe_up 10.0.0.2 && lio_up &&
	modprobe dm_mod && dmsetup create slow --table \"0 131072 linear \$(disk disk0) 0\" &&
	backstore d0 iblock /dev/mapper/slow && lio_target $iqn && lio_lun $iqn 0 d0"
load_driver
iscsid_up
discover
set_node $iqn node.session.timeo.replacement_timeout 600
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 2
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 3
set_node $iqn 'node.conn[0].timeo.login_timeout' 60
set_node $iqn node.session.err_timeo.abort_timeout 3
set_node $iqn node.session.err_timeo.lu_reset_timeout 3
set_node $iqn node.session.err_timeo.tgt_reset_timeout 3
connect $iqn
sg=$(sg_of "$session" 0)
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_eh

# What the target counted.
seen() { on target "cd $core/iblock_0/d0/statistics/scsi_tgt_dev && cat aborts_complete aborts_no_task resets" | paste -sd ' '; }
# What libiscsi did.
aborts() { dmesg | grep -c 'iscsi_eh_abort.*aborting'; }
lost() { ! logged_in "$session"; }
well() {
	wait_for 120 "the session, $1" logged_in "$session"
	kill -0 $late 2>/dev/null || fail "$1: $(cat $results/late)"
	say "$1; aborts, of no task, resets at the target: $(seen)"
}
stop() { must "stop the target's disk" on target dmsetup suspend --noflush --nolockfs slow; }
go() { must "let the target's disk go on" on target dmsetup resume slow; }

touch /run/late
python3 /share/tests/vm/fault/late.py "$disk" /run/late >$results/late 2>&1 3>&- 4>&- &
late=$!
faults=0
for round in $(seq "$(soak 1 20)"); do
	sleep 2
	for n in 1 2 3; do
		must "LUN reset $n" sg_reset --device --no-escalate "$sg"
	done
	must "target reset" sg_reset --target --no-escalate "$sg"
	well "3 LUN resets and a target reset"

	# Slow: the abort is answered, as soon as the disk goes on.
	before=$(aborts)
	aborted() { [ "$(aborts)" -gt "$before" ]; }
	stop
	wait_for 60 "an abort" aborted
	sleep 1
	go
	well "slow"

	# Late: nothing is answered in time, neither aborts nor resets, so that the connection is
	# given up. Then all of it is answered.
	stop
	wait_for 120 "the end of the connection" lost
	go
	well "late"

	# Dead: not even a NOP is answered.
	before=$(aborts)
	vm_link target off
	wait_for 60 "an abort" aborted
	wait_for 120 "the end of the connection" lost
	vm_link target on
	well "dead"

	# A reset while it is slow.
	stop
	sleep 1
	sg_reset --device --no-escalate "$sg" >/run/reset 2>&1 3>&- 4>&- &
	reset=$!
	sleep 1
	go
	wait $reset || say "LUN reset of a slow target: $(cat /run/reset)"
	well "reset when slow"
	faults=$((faults + 8))
done
sleep 2
rm /run/late
over() { ! kill -0 $late 2>/dev/null; }
wait_for 180 "the end of the commands" over
wait $late || fail "$(cat $results/late)"
cat $results/late
grep -qE '^[1-9][0-9]* good, [1-9][0-9]* failed, [1-9]' $results/late || fail "that is no load"
read -r complete none resets <<<"$(seen)"
[ $((complete + none)) -gt 0 ] || fail "the target saw no abort"
[ "$resets" -gt 2 ] || fail "the target saw $resets LUN resets"
dmesg | grep -oE 'iscsi_eh_[a-z_]*.*(success|SUCCESS|failed|FAILED|timed out).*' | sed 's/ \[.*\]//' | sort | uniq -c
equal "commands on their way" "0 0" "$(paste -sd ' ' "/sys/block/${disk##*/}/inflight" | xargs)"
verified "after it" --size=1m --offset=32m
blockdev --flushbufs "$disk"
here=$(sha256sum "$disk" | cut -d' ' -f1)
there=$(on target 'sha256sum <$(disk disk0)' | cut -d' ' -f1)
equal "content of the target's disk" "$here" "$there"
injected $faults faults
