#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How far the receive queue went down is exact: with a target that takes nothing any more no
# invalidation is done behind what is sent then, and each answer that waits for one keeps its receive.
# only: ib_iser_rs
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
. /share/tests/vm/observe.sh
portal=10.0.0.1:3261
rxe_up 10.0.0.1
load_driver
iscsid_up
hostile_up 10.0.0.1
target_has() { /share/tests/hostile/hostile-target --ask result | grep -q "\"$1\": $2\b"; }
discover
set_node $hostile 'node.conn[0].timeo.noop_out_interval' 0
set_node $hostile 'node.conn[0].timeo.noop_out_timeout' 0
connect $hostile
quiet
dir=$(connection_of "$session")
echo 600 >"/sys/block/${disk##*/}/device/timeout"

answers=20
ask arm name=takes-nothing
loads=()
# load WAY SKIP COUNT - that many commands of 4 KiB, one after the other.
load() {
	local way=(if="$disk" of=/dev/null iflag=direct skip="$2")
	[ "$1" = read ] || way=(if=/dev/zero of="$disk" oflag=direct seek="$2")
	dd bs=4k count="$3" "${way[@]}" 2>/dev/null 3>&- 4>&- &
	loads+=($!)
}
for n in $(seq $answers); do load read $((1024 + 8 * n)) 1; done
wait_for 60 "reads without an answer" target_has held $answers
ask go
for n in 1 2 3 4; do load write $((n * 100)) 50; done
stuck() { target_has ready 0 && [ "$(awk '$3 == "posted" && $4 == "write" && $6 >= 1000' "$dir/slots" | wc -l)" = 4 ]; }
wait_for 60 "writes that are not taken" stuck
before=$(counter "$dir" receives_posted)
low=$(counter "$dir" receive_low_water)
[ "$low" -gt $((before - answers)) ] || fail "it has been as low as that before: $low, now $before"
ask go
keep() { [ "$(grep -c ' invalidating read ' "$dir/slots")" = $answers ]; }
wait_for 60 "answers that wait" keep
equal "receives in the queue" $((before - answers)) "$(counter "$dir" receives_posted)"
equal "fewest receives" $((before - answers)) "$(counter "$dir" receive_low_water)"
ask go
wait "${loads[@]}"
equal "fewest receives, afterwards" $((before - answers)) "$(counter "$dir" receive_low_water)"
[ "$(counter "$dir" receives_posted)" -gt $((before - 16)) ] || fail "receives are not back"
equal "connections lost" 0 "$(total connections_failed)"
say "the receive queue was down to $((before - answers)) of $before"
