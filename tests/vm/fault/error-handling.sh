#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Aborts, LUN resets and target resets under load, with a target that is well, slow, that
# answers late, that accesses memory after the abort, and that is dead for a while: no command
# is lost or comes back twice, none is done after it has failed, and no memory is touched once
# its command is back.
# guest: --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
portal=10.0.0.1:3261 iqn=$hostile
rxe_up 10.0.0.1
hostile_up 10.0.0.1
load_driver
iscsid_up
discover
set_node $iqn node.session.timeo.replacement_timeout 600
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 2
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 5
set_node $iqn 'node.conn[0].timeo.login_timeout' 20
set_node $iqn node.session.err_timeo.abort_timeout 2
set_node $iqn node.session.err_timeo.lu_reset_timeout 2
set_node $iqn node.session.err_timeo.tgt_reset_timeout 2
connect $iqn
sg=$(sg_of "$session" 0)
echo 1 >/sys/module/sg/parameters/allow_dio
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_eh

mode() { ask arm name=tardy mode="$1"; }
# What the target has seen since it was started.
seen() { /share/tests/hostile/hostile-target --ask result | sed -n "s/^ \"$1\": \([0-9]*\).*/\1/p" | grep . || echo 0; }
more() { # WHAT [COUNT] - than there were $before
	[ "$(seen "$1")" -ge $((before + ${2:-1})) ]
}
# The connection may be made anew before anybody looks.
errors() { dmesg | grep -c 'detected conn error'; }
lost() { [ "$(errors)" -gt "$lost" ]; }
good() { sed -n '$s/ .*//p' /run/progress; }
more_good() { [ "$(good)" -gt $((had + 20)) ] || ! kill -0 $late; }
well() {
	mode well
	wait_for 120 "the session, $1" logged_in "$session"
	had=$(good)
	wait_for 120 "I/O, $1" more_good
	kill -0 $late 2>/dev/null || fail "$1: $(cat $results/late)"
	say "$1"
}

# What is given to libiscsi, what it refuses, as during a LUN reset (iscsi_check_tmf_restrictions()), and what
# comes back: by probes of the function tracer, which sees each call. (bpftrace has missed one call in
# 100: while a probe's program runs, what preempts it on that CPU does not run it.)
tracing=/sys/kernel/tracing
mountpoint -q $tracing || mount -t tracefs tracefs $tracing
idle() { [ "$(paste -sd ' ' "/sys/block/${disk##*/}/inflight" | xargs)" = "0 0" ]; }
wait_for 60 "no commands" idle
must "trace commands" sh -euc "cd $tracing
	echo $(soak 4096 32768) >buffer_size_kb
	echo 'f:iser/given iscsi_queuecommand cmd=\$arg2' >dynamic_events
	echo 'f:iser/refused iscsi_queuecommand%return cmd=\$arg2 rc=\$retval:s32' >>dynamic_events
	echo 'f:iser/back scsi_done cmd=\$arg1' >>dynamic_events
	echo 'rc != 0' >events/iser/refused/filter
	echo 1 >events/iser/enable"
all_back() {
	cat $tracing/trace >$results/commands
	python3 $here/fault/pairs.py $results/commands >$results/pairs
}

mode well
touch /run/late
python3 $here/fault/late.py "$sg" /run/late /run/progress >$results/late 2>&1 3>&- 4>&- &
late=$!
wait_for 60 "I/O" test -s /run/progress
well "nothing is wrong"
for round in $(seq "$(soak 1 20)"); do
	for n in 1 2 3; do
		must "LUN reset $n" sg_reset --device --no-escalate "$sg"
	done
	must "target reset" sg_reset --target --no-escalate "$sg"
	well "3 LUN resets and a target reset"

	# Answers to commands and aborts cross.
	before=$(seen aborts)
	mode slow
	wait_for 120 "aborts" more aborts 4
	sg_reset --device --no-escalate "$sg" >/run/reset 2>&1 || say "LUN reset of a slow target: $(cat /run/reset)"
	well "slow"

	# Aborts and resets are answered too late, so that the connection is given up.
	before=$(seen late_answers) lost=$(errors)
	mode late
	wait_for 120 "late answers" more late_answers 2
	wait_for 120 "the end of the connection" lost
	well "late"

	# The command's memory is not its own any more, and was given back.
	before=$(seen refused) lost=$(errors)
	mode touch
	touched() { more refused || [ "$(seen granted)" -gt 0 ]; }
	wait_for 120 "an access after an abort" touched
	wait_for 120 "the end of the connection" lost
	well "access after an abort"

	# Dead: not even a NOP is answered. Then all that has come is.
	lost=$(errors)
	kill -STOP $hostile_pid
	wait_for 120 "the end of the connection" lost
	kill -CONT $hostile_pid
	well "dead"
done
rm /run/late
over() { ! kill -0 $late 2>/dev/null; }
wait_for 180 "the end of the commands" over
wait $late || fail "$(cat $results/late)"
cat $results/late
grep -qE '^[1-9][0-9]* good, [1-9][0-9]* failed, [1-9]' $results/late || fail "that is no load"
/share/tests/hostile/hostile-target --ask result >$results/seen || fail "the target does not tell what it has seen"
saw() { sed -n "s/^ \"$1\": \([0-9]*\).*/\1/p" $results/seen | grep . || echo 0; }
for what in aborts lun_resets target_resets slow held late_answers done_although_aborted refused; do
	say "$what: $(saw $what)"
	[ "$(saw $what)" -gt 0 ] || fail "the target has seen none: $what"
done
dmesg | grep -oE 'iscsi_eh_[a-z_]*.*(success|SUCCESS|failed|FAILED|timed out).*' | sed 's/ \[.*\]//' | sort | uniq -c
wait_for 60 "no commands on their way" idle
(wait_for 60 "the return of all commands" all_back) || fail "$(cat $results/pairs)"
echo 0 >$tracing/events/iser/enable
equal "events of which there is no record" 0 "$(awk '/entries-written/ {split($3, n, "/"); print n[2] - n[1]}' $results/commands)"
say "$(cat $results/pairs)"
[ "$(grep -c ': back: ' $results/commands)" -gt 100 ] || fail "that is no load"
verified "after it" --size=1m --offset=8m
# Each command that was not served, each reset, each access, each time that the target was dead.
injected $(($(saw slow) + $(saw held) + $(saw lun_resets) + $(saw target_resets) + $(saw refused) + round)) faults
