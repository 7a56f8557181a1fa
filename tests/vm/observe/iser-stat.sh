#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# iser-stat shows what the module and the kernel say: as a list, as JSON, as metrics and on a
# terminal; idle, under load, with commands that hang, in recovery and after it has failed; without
# the module, without a session, and without root. Its exit status says how bad it is.
# only: ib_iser_rs
# tools: iser-stat
# guest: --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/observe.sh
second=iqn.2003-01.org.example:second

# stat_is STATUS WHAT PATTERN ARGUMENTS… - how it ends, and what it says by either output.
stat_is() {
	local out rc
	out=$(/share/iser-stat "${@:4}" 2>&1)
	rc=$?
	printf '$ iser-stat %s\n%s\n' "${*:4}" "$out" >>$results/said
	[ "$rc" = "$1" ] || fail "$2: iser-stat ${*:4}: status $rc: $out"
	grep -qE -- "$3" <<<"$out" || fail "$2: iser-stat ${*:4} says: $out"
}
checked() { python3 $here/observe/iser_stat.py "$@" || fail "iser-stat: $*"; }

what="without the module"
stat_is 3 "$what" "ib_iser_rs is not loaded: modprobe ib_iser_rs"
stat_is 3 "$what" '"driver": null' --json
stat_is 3 "$what" "cannot be seen: ib_iser_rs is not loaded" hung
stat_is 3 "$what" '"commands": null' hung --json
stat_is 3 "$what" "no latency histograms: ib_iser_rs is not loaded" latency on
stat_is 0 "$what" "^iser_rs_loaded 0$" --textfile
stat_is 3 "$what" "needs a terminal" --watch
stat_is 3 "usage" "unexpected argument" --nonsense

initiator_up
what="without a session"
stat_is 0 "$what" "there is no iSER session: iscsiadm -m node -l"
stat_is 0 "$what" '"sessions": \[\]' --json
stat_is 0 "$what" "no command is in flight for 30 s or longer" hung
stat_is 0 "$what" "^off$" latency
stat_is 0 "$what" "^iser_rs_loaded 1$" --textfile
checked seen none "there is no iSER session"
say "without the module, without a session"

slow_disk d0
backstore d1 ramdisk 64
for t in "$iqn d0" "$second d1"; do
	lio_target "${t% *}"
	lio_lun "${t% *}" 0 "${t#* }"
done
discover
for t in $second $iqn; do
	set_node $t 'node.conn[0].timeo.noop_out_interval' 0
	set_node $t node.session.timeo.replacement_timeout 5
	connect $t
done
quiet
number=${session#session}
checked idle
stat_is 0 "idle" "^ +$number +up +rxe_eth0/1 +${disk##*/} .* $portal +$iqn$"

# Under load.
stat_is 0 "latencies" "" latency on
equal "latencies" 1 "$(cat $seen/latency)"
touch /run/load
while [ -e /run/load ]; do dd if="$disk" of=/dev/null bs=16k count=64 iflag=direct 2>/dev/null; done 3>&- 4>&- &
load=$!
checked busy "$number"
stat_is 0 "under load" "^ +$number +up " -i 1
stat_is 0 "latencies" "" latency off
checked screen "$number"
cat $results/screen.txt
rm /run/load
wait $load

# By somebody else: what sysfs says, and what is missing.
install -m 755 /share/iser-stat /tmp/
nobody() { setpriv --reuid=nobody --regid=nogroup --clear-groups /tmp/iser-stat "$@" 2>&1; }
out=$(nobody) || fail "status $? without root: $out"
grep -qE "^ +$number +up .* $portal +$iqn$" <<<"$out" || fail "without root: $out"
grep -q "may be read by root only: run this as root" <<<"$out" || fail "without root: $out"
printf '$ iser-stat # as nobody\n%s\n' "$out" >>$results/said
equal "status of hung without root" 3 "$(nobody hung >/dev/null; echo $?)"
say "without root: $out"

# Metrics.
mkdir /tmp/metrics
checked textfile /tmp/metrics/iser.prom
cp /tmp/metrics/iser.prom $results/
stat_is 3 "metrics to nowhere" "cannot write /nowhere/a.prom: No such file" --textfile /nowhere/a.prom

# Commands that hang.
must "stop the target's disk" dmsetup suspend --noflush --nolockfs d0
# Not one after the other on the disk: reads that meet in the queue would be merged.
for n in 1 2 3; do
	dd if="$disk" of=/dev/null bs=16k count=1 skip=$((n * 16)) iflag=direct 2>/dev/null 3>&- 4>&- &
done
old() { [ "$(/share/iser-stat hung --older-than 2 | grep -c posted)" = 3 ]; }
wait_for 60 "three old commands" old
checked hung "$number" 3 16384
checked seen hung "(?m)^ *$number +up .* 3 +[0-9.]+ s"
cat $results/hung.txt
must "let the target's disk go on" dmsetup resume --noudevsync d0
wait
stat_is 0 "after that" "no command is in flight for 2 s" hung --older-than 2

# A target that is gone: its session recovers, then fails; then it is back. The last that failed is a
# connection, or a login that the target let in and then refused.
gone='(connection failed|login refused, the target is not available \(status 0x0301\))'
lio_enable $iqn 0
says_why() {
	/share/iser-stat -i 0 >$results/recovering
	[ $? = 1 ] && grep -qE "^ +$number +recovering .*$iqn$" $results/recovering &&
		grep -qE "^warning: session $number \($iqn\): recovering, its I/O waits; last error: connection failed, .* ago$" $results/recovering
}
wait_for 60 "recovering, and why" says_why
checked wait 120 2 -i 0 >$results/failed
checked seen failed "failed, its I/O fails"
cat $results/screen-failed.txt
grep -qE "^critical: session $number \($iqn\): failed, its I/O fails until the portal answers again" $results/failed ||
	fail "failed: $(cat $results/failed)"
grep -qE "^ +[0-9]+ +up .*$second$" $results/failed || fail "the other session: $(cat $results/failed)"
stat_is 0 "metrics of a failed session" "^iser_rs_session_state\{.*session=\"$number\",state=\"failed\"\} 1$" --textfile
lio_enable $iqn 1
checked wait 180 0 -i 0 >$results/back
grep -qE "^ +$number +up " $results/back || fail "back: $(cat $results/back)"
grep -qE "^session $number \($iqn\): up again; last error: $gone, .* ago$" $results/back || fail "back: $(cat $results/back)"
stat_is 0 "metrics of a session that is back" "^iser_rs_session_reconnects_total\{.*session=\"$number\"\} [1-9]" --textfile
say "recovering, failed, and back"
