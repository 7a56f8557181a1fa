#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The recipes of Documentation/observability.rst tell what is wrong with sessions that are made
# slow on purpose: by a slow target, by remote invalidation that is withheld, by a receive queue
# that runs dry. drops.sh has those that are lost.
# only: ib_iser_rs
# tools: iser-stat
# module: fail_call
# guest: --limit 400
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
. /share/tests/vm/observe.sh
slow=iqn.2003-01.org.example:slow
# session_to TARGET - logs in, and waits until nobody does anything there but the test.
session_to() {
	set_node "$1" 'node.conn[0].timeo.noop_out_interval' 0
	set_node "$1" 'node.conn[0].timeo.noop_out_timeout' 0
	connect "$1"
	wait_for 30 "udev has looked at $disk" test -e "/run/udev/data/b$(<"/sys/block/${disk##*/}/dev")"
	udevadm settle
}

initiator_up
lio_target $iqn
lio_target $slow
backstore d0 ramdisk 32
lio_lun $iqn 0 d0
truncate -s 64M /tmp/d1
modprobe -a loop dm_mod dm_delay
loop=$(losetup -f --show /tmp/d1)
must "device" dmsetup create d1 --table "0 131072 delay $loop 0 0"
backstore d1 iblock /dev/mapper/d1
lio_lun $slow 0 d1
discover

# Which target is slow?
session_to $iqn
near=$session near_disk=$disk
session_to $slow
must "a slow device" sh -c "dmsetup suspend --nolockfs d1 && dmsetup load d1 --table '0 131072 delay $loop 0 2000' &&
	dmsetup resume --noudevsync d1"
loads=()
# load READ|WRITE [DISK] - commands of 4 KiB, one after the other, until unload.
load() {
	local way=(if="${2:-$disk}" of=/dev/null iflag=direct count=1)
	[ "$1" = read ] || way=(if=/dev/zero of="${2:-$disk}" oflag=direct)
	touch /run/load
	while [ -e /run/load ]; do dd bs=4k "${way[@]}" 2>/dev/null; done 3>&- 4>&- &
	loads+=($!)
}
unload() {
	rm -f /run/load
	wait "${loads[@]}"
	loads=()
}
load read "$near_disk"
load read
as_told 'iser-stat latency on'
as_told 'iser-stat -i 10' >$results/slow
as_told 'iser-stat latency off'
cat $results/slow
# Whom it waits for.
waits() { as_told 'iser-stat hung --older-than 1' >$results/waits && grep -q ' posted ' $results/waits; }
wait_for 60 "a command that takes long" waits
cat $results/waits
equal "targets whose commands take long" $slow "$(awk '/ posted / { print $NF }' $results/waits | sort -u)"
unload
# The target with the highest of what is in that column.
slowest=$(awk -F '  +' '{ sub(/^ +/, "") }
	/^SESSION +STATE/ { for (n = 1; n <= NF; n++) if ($n == "READ p99") at = n; next }
	at { t = $at; f = sub(/ms$/, "", t) ? 1 : sub(/µs$/, "", t) ? .001 : sub(/s$/, "", t) ? 1000 : 0
	if (t * f > most) { most = t * f; name = $NF } } END { print name }' $results/slow)
equal "the slow target" $slow "$slowest"
logout $slow
say "slow: $slowest"

# Is the memory registration rate what I expect? One for each read, and for each write that is
# longer than what is sent along.
disk=$near_disk dir=$(connection_of "$near")
rates() {
	snapshot "$dir"
	must "reads" dd if="$disk" of=/dev/null bs=4k count=50 iflag=direct
	must "short writes" dd if=/dev/zero of="$disk" bs=4k count=50 oflag=direct
	must "long writes" dd if=/dev/zero of="$disk" bs=64k count=50 oflag=direct
	settled
	equal "registrations" 100 "$(grown wr_reg)"
	say "$(info "$dir" remote_invalidation), $(grown registered_commands) registered, $(grown local_invalidations) invalidated here"
}
# per_command NAME LOAD PATTERN - what is on the screen under it.
per_command() {
	load "$2"
	on_screen 'iser-stat --watch' "$1" "per command +$3"
	unload
	grep "per command" "$results/screen-$1.txt"
}
rates
per_command reads read '1\.00 registrations, 0\.00 with immediate data, (1\.00|0\.[89]\d) invalidated by the target, 0\.[01]\d by us'
per_command writes write '0\.00 registrations, 1\.00 with immediate data, 0\.00 invalidated by the target, 0\.00 by us'
equal "remote invalidation" yes "$(info "$dir" remote_invalidation)"
[ "$(grown local_invalidations)" -le 20 ] || fail "registrations that this side invalidates: $(grown local_invalidations)"

# Has the receive queue run dry? Buffers are lost: the call that gives them back does nothing.
dry() {
	as_told 'rdma statistic show link' >/run/statistic
	grep -o 'send_rnr_err [0-9]*' /run/statistic | cut -d' ' -f2
}
modprobe fail_call || fail "no fail_call"
text=$(awk -v of="[$DRIVER]" '$4 == of && $2 ~ /[tT]/ { print $1 }' /proc/kallsyms | sort | sed -n '1p;$p' | paste -sd' ')
before=$(dry)
happened() { [ "$(cat /sys/module/fail_call/parameters/failed)" = Y ] || [ "$(dry)" -gt "$before" ]; }
load read
for n in $(seq 20); do
	[ "$(dry)" = "$before" ] || break
	echo "iser_rs_post_recv 1 0 -1 $text" >/sys/module/fail_call/parameters/arm
	wait_for 60 "loss of more buffers" happened
done
echo off >/sys/module/fail_call/parameters/arm
rm /run/load
[ "$(dry)" -gt "$before" ] || fail "the device has always found a receive"
hangs() { as_told 'iser-stat hung --older-than 1' >$results/hangs && grep -q "posted .*$iqn" $results/hangs; }
wait_for 60 "a command that hangs" hangs
cat $results/hangs
say "dry: $(($(dry) - before)) times, after $n losses of receives"
lio_enable $iqn 0
lio_enable $iqn 1
unload
wait_for 180 "the session" logged_in "$near"

logout $iqn
hostile_up 10.0.0.1
discover 10.0.0.1:3261
portal=10.0.0.1:3261
session_to $hostile
dir=$(connection_of "$session")
ask arm name=withheld
ask notes
trace_start command_posted response
rates
count_of "responses without invalidation" 100 ' invalidated=locally$' < <(events response)
# What the tracepoints say of tags and keys is what has come to the target.
/share/tests/hostile/hostile-target --ask notes >$results/notes
events command_posted | sed -n 's/.* itt=\(0x[0-9a-f]*\) .* registered=1 stag=\(0x[0-9a-f]*\)$/\1 \2/p' | sort >$results/posted
python3 -c 'import json, sys
for note in json.load(sys.stdin):
    print("%#x %#x" % (note["itt"], note["stag"]))' <$results/notes | sort >$results/seen
equal "tags and keys" 100 "$(wc -l <$results/posted)"
must "tags and keys are those that the target has seen" cmp $results/posted $results/seen
echo 0 >$tracing/events/enable
per_command withheld read '1\.00 registrations, 0\.00 with immediate data, 0\.00 invalidated by the target, 1\.00 by us'
ask disarm
equal "remote invalidation" yes "$(info "$dir" remote_invalidation)"
equal "registrations that this side invalidates" 100 "$(grown local_invalidations)"
