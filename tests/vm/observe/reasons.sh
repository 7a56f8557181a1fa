#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# "Why did this session drop?" of Documentation/observability.rst tells it, for each of the reasons in
# its table but that of a login (drops.sh): in what iser-stat says, in the log, and in the totals.
# only: ib_iser_rs
# tools: iser-stat
# module: few_retries
# guest: --peer target --disk 64M --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
. /share/tests/vm/observe.sh
far=iqn.2003-01.org.example:far
rxe_up 10.0.0.1
load_driver
iscsid_up
hostile_up 10.0.0.1

# session_to TARGET PORTAL [PING-INTERVAL PING-TIMEOUT] - logs in; an abort may take $abort_timeout.
abort_timeout=60
session_to() {
	target=$1 portal=$2
	discover
	set_node $target 'node.conn[0].timeo.noop_out_interval' "${3:-0}"
	set_node $target 'node.conn[0].timeo.noop_out_timeout' "${4:-0}"
	set_node $target node.session.timeo.replacement_timeout 600
	set_node $target node.session.err_timeo.abort_timeout $abort_timeout
	connect $target
	wait_for 30 "udev has looked at $disk" test -e "/run/udev/data/b$(<"/sys/block/${disk##*/}/dev")"
	udevadm settle
}

# I/O of 4 KiB until it is wanted no more, and the blocks that the scripted target takes for the judge's.
loads=()
load() { # READ|WRITE [FIRST] [COUNT]
	local way=(if="$disk" of=/dev/null iflag=direct skip="${2:-0}")
	[ "$1" = read ] || way=(if=/dev/zero of="$disk" oflag=direct seek="${2:-0}")
	dd bs=4k count="${3:-1}" "${way[@]}" >/dev/null 2>&1 3>&- 4>&- &
	loads+=($!)
}
loads_end() {
	wait "${loads[@]}"
	loads=()
}
patience() { echo "$1" >"/sys/block/${disk##*/}/device/timeout"; }

# because NAME TEXT - the recipe's answer, since the call of `before`: that total has grown by one, and
# of the reasons that end a session no other one, the log says it once, and so does iser-stat.
before() { cp $seen/totals /run/totals && lines=$(dmesg | wc -l); }
grown_totals() { as_told "grep -v ' 0$' /sys/kernel/debug/ib_iser_rs/totals" | grep -vxFf /run/totals; }
says_why() {
	as_told 'iser-stat' >"$results/stat-$1"
	grep -qE "session ${session#session} \($target\): .*last error: .*$2" "$results/stat-$1"
}
because() {
	local line="ib_iser_rs: .*$portal.*: $2"
	wait_for 120 "that iser-stat says: $2" says_why "$1" "$2"
	grown_totals >"$results/totals-$1"
	as_told 'dmesg | grep ib_iser_rs' | tail -n 20 >"$results/log-$1"
	cat "$results/stat-$1" "$results/totals-$1"
	grep -q "^$1 " "$results/totals-$1" || fail "no more $1: $(cat "$results/totals-$1")"
	# That no connection could be made anew is another matter.
	equal "reasons" "$1" "$(grep -oE '^(failures|protocol_errors)_[a-z_]+' "$results/totals-$1" | grep -v failures_connecting | paste -sd' ')"
	dmesg | tail -n +$((lines + 1)) | grep -qE "$line" || fail "not in the log: $line: $(cat "$results/log-$1")"
	say "$1"
}
back() { wait_for 180 "the session" logged_in "$session"; }

session_to $hostile 10.0.0.1:3261

# The target ended it.
before
ask hang_up
because failures_ended "connection failed, it was ended by the target or the network"
back

# The target is broken.
before
ask arm name=opcode-0x25
load read 2000
because protocol_errors_opcode "connection failed, protocol error, .*opcode 0x25"
back
loads_end

# Or reaches for what it must not.
before
ask arm name=key-never-advertised
load read 2000
because failures_work_request "connection failed, a work request ended with: "
back
loads_end

# A send is not done, nor is what is behind it: to end the access to a command that is aborted.
before
trace_start fence_begin fence_done connection_failed
ask arm name=takes-nothing
patience 2
load read 2000
held() { /share/tests/hostile/hostile-target --ask result | grep -q '"held": 1,'; }
wait_for 60 "a read without an answer" held
patience 600
for n in 1 2 3 4; do load write "$n" 4000; done
because failures_fence "connection failed, the target's access to aborted commands could not be ended"
ask disarm
back
count_of "fences that did not end" 1 " session=${session#session} ended=0" < <(events fence_done)
count_of "failures" 1 "session=${session#session} reason=fence " < <(events connection_failed)
kill "${loads[@]}" 2>/dev/null
loads_end

# The target hangs: nothing that is asked of it is answered.
logout $target
abort_timeout=2
session_to $hostile 10.0.0.1:3261
must "target reset" trace-cmd record -q -o /run/reset.dat -e iser_rs:error_handler \
	sg_reset --target --no-escalate "$(sg_of "$session" 0)"
trace-cmd report -i /run/reset.dat 2>/dev/null >$results/reset
for step in begun answered succeeded; do
	count_of "target reset: $step" 1 "session=${session#session} itt=-1 target_reset: $step" <$results/reset
done
before
trace_start error_handler connection_state
patience 2
kill -STOP $hostile_pid
load read
because failures_error_handling "connection failed, the target did not abort a command, or reset, when it was asked to"
kill -CONT $hostile_pid
back
patience 30
loads_end
events error_handler >$results/steps
for step in begun gave_up failed; do
	grep -q "session=${session#session} itt=.* abort: $step" $results/steps || fail "not traced: $step: $(cat $results/steps)"
done
events connection_state | grep -q " state=closed portal=$portal target=$target" || fail "no end of the connection"
! dmesg | tail -n +$((lines + 1)) | grep -q "ping timeout" || fail "that was a ping"

# Nobody answers any more.
before
kill $hostile_pid
wait $hostile_pid
nobody() { grown_totals | grep -q '^failures_connecting '; }
wait_for 120 "an attempt to connect" nobody
because failures_ended "connection failed, it was ended by the target or the network"
as_told 'dmesg | grep ib_iser_rs' >$results/log-failures_connecting
grep -q "ib_iser_rs: $portal: cannot connect, at answer of the portal: refused, " $results/log-failures_connecting ||
	fail "not said: $(cat $results/log-failures_connecting)"
hostile_up 10.0.0.1
back
logout $target

# Pings have no answer.
session_to $hostile 10.0.0.1:3261 2 3
before
kill -STOP $hostile_pid
gone() { ! logged_in "$session"; }
wait_for 120 "the loss" gone
as_told 'iser-stat' | tee $results/stat-ping
grep -q "^warning: session ${session#session} ($target): recovering" $results/stat-ping || fail "not said"
equal "reasons" "" "$(grown_totals | grep -vE '^(connects_failed|failures_connecting) ')"
dmesg | tail -n +$((lines + 1)) | grep -q 'ping timeout' || fail "the kernel does not say that it was a ping"
kill -CONT $hostile_pid
back
logout $target
say "pings"

# The way there is cut.
must "target in the other guest" on target "portal=10.0.0.2:3260
	rxe_up 10.0.0.2 && lio_up && backstore d0 iblock \$(disk disk0) &&
	lio_target $far 10.0.0.2:3260 && lio_lun $far 0 d0"
modprobe -a sch_netem few_retries || fail "no netem, or no few_retries"
must "netem" tc qdisc add dev eth0 root netem limit 100000
session_to $far 10.0.0.2:3260
before
must "loss" tc qdisc change dev eth0 root netem limit 100000 loss 100%
load write
because failures_work_request "connection failed, a work request ended with: transport retry counter exceeded"
must "no loss" tc qdisc change dev eth0 root netem limit 100000
wait_for 180 "the session" or_new_rxe eth0 logged_in "$session"
loads_end

# The device goes away.
before
must "remove the RDMA device" rdma link delete rxe_eth0
because failures_device_removed "connection failed, the RDMA device is removed"
must "the device is back" rdma link add rxe_eth0 type rxe netdev eth0
wait_for 180 "the session" or_new_rxe eth0 logged_in "$session"
logout $far
