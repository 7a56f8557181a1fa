#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The tracepoints and counters of what happens seldom: login and logout, aborts, resets and fences,
# lost connections, a device that is removed. The log names session, target and portal, and does
# not fill up by a target that stays away.
# only: ib_iser_rs
# guest: --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/observe.sh
slow_target
discover
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 0
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 0

# A login, from the first event to the last.
trace_start connection_state cm_event login
connect $iqn
number=${session#session}
dir=$(connection_of "$session")
n=${dir##*-}
for state in connecting up bound; do
	count_of "state $state" 1 "connection=$n .*state=$state portal=$portal" < <(events connection_state)
done
events cm_event >/run/cm
for event in "address resolved" "route resolved" established; do
	count_of "event $event" 1 "connection=$n event=\"$event\" status=0 portal=$portal" </run/cm
done
events login >/run/login
count_of "last login request" 1 "connection=$n session=$number request stage=1 next_stage=3 transit=1" </run/login
count_of "last login response" 1 "connection=$n session=$number response stage=1 next_stage=3 transit=1 status=0x0000" </run/login
equal "requests and responses" "$(grep -c request /run/login)" "$(grep -c response /run/login)"
say "login"

# An abort: the target's disk stands still.
trace_start error_handler fence_begin fence_done
echo 2 >"/sys/block/${disk##*/}/device/timeout"
must "stop the target's disk" dmsetup suspend --noflush --nolockfs d0
dd if="$disk" of=/dev/null bs=16k count=1 iflag=direct 2>/dev/null 3>&- 4>&- &
aborted() { [ "$(counter "$dir" aborts)" -gt 0 ]; }
wait_for 60 "abort" aborted
must "let the target's disk go on" dmsetup resume --noudevsync d0
wait
must "LUN reset" sg_reset --device --no-escalate "$(sg_of "$session" 0)"
events error_handler >/run/eh
equal "aborts" "$(grep -c 'abort: begun' /run/eh)" "$(counter "$dir" aborts)"
grep -qE "connection=$n session=$number itt=0x[0-9a-f]+ abort: begun" /run/eh || fail "no abort with a tag"
for step in begun answered succeeded; do
	count_of "LUN reset: $step" 1 "connection=$n session=$number itt=-1 lun_reset: $step" </run/eh
done
equal "resets" 1 "$(counter "$dir" resets)"
fences=$(counter "$dir" fences)
[ "$fences" -gt 0 ] || fail "no fence"
count_of "fences begun" "$fences" "connection=$n session=$number" < <(events fence_begin)
count_of "fences done" "$fences" "connection=$n session=$number ended=1" < <(events fence_done)
equal "slots after that" 1 "$(wc -l <"$dir/slots")"
say "error handlers: $(wc -l </run/eh) steps, $fences fences"

# A target that is gone, and comes back.
trace_start connection_failed connection_state
before=$(total connections_failed)
lio_enable $iqn 0
lost() { ! logged_in "$session"; }
wait_for 60 "the loss" lost
refused() { [ "$(total connects_failed)" -ge 2 ] || [ "$(total failures_connecting)" -ge 2 ]; }
lio_enable $iqn 1
wait_for 180 "the session" logged_in "$session"
equal "connections lost" $((before + 1)) "$(total connections_failed)"
events connection_failed | grep -qE "connection=$n session=$number reason=ended text=\"connection failed, .*\" portal=$portal target=$iqn" ||
	fail "not traced: $(events connection_failed)"
count_of "its end" 1 "connection=$n session=$number state=closed portal=$portal target=$iqn$" < <(events connection_state)
again=$(connection_of "$session")
[ "$again" != "$dir" ] || fail "the new connection has the number of the old one"
grep -q "connection failed, " <<<"$(info "$again" last_error)" || fail "last error: $(info "$again" last_error)"
equal "failures of the session" 1 "$(info "$again" failures)"
equal "reconnects" 1 "$(info "$again" reconnects)"
equal "reconnects in all" 1 "$(total reconnects)"
[ "$(counter "$again" commands_read)" -lt "$(counter "$again" completions_receive)" ] || fail "counters of the new connection"
line="ib_iser_rs: $iqn at $portal (session $number): connection failed, "
equal "lines in the log" 1 "$(dmesg | grep -cF "$line")"
say "loss and return: $(info "$again" last_error)"

# The device goes away.
trace_start device_removal connection_failed
must "remove the RDMA device" rdma link delete rxe_eth0
wait_for 60 "the loss" lost
count_of "removals" 1 "connection=${again##*-} session=$number device=rxe_eth0 portal=$portal" < <(events device_removal)
events connection_failed | grep -q 'reason=device_removed ' || fail "no failure for the removal"
equal "failures by removal" 1 "$(total failures_device_removed)"
say "removal"

# And stays away: iscsid tries again and again, the log does not.
tried() { [ "$(total connects_failed)" -gt $((tries + 12)) ]; }
tries=$(total connects_failed)
for try in $(seq 14); do
	iscsiadm -m discovery -t st -I iser -p $portal >/dev/null 2>&1 || true
done
wait_for 240 "attempts" tried
lines=$(dmesg | grep -c "ib_iser_rs: .*$portal.*: cannot connect")
[ "$lines" -le 10 ] || fail "$lines lines for $(total connects_failed) attempts"
say "$lines lines for $(total connects_failed) attempts"
! dmesg | grep -E 'ib_iser_rs: .*(0x)?[0-9a-f]{12,16}' || fail "an address in the log"
