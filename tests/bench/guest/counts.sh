#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The guest's part of counting, one driver after the other. What is counted does not depend on how
# busy the machine is.
#
#   DRIVER/WORKLOAD.counts      of counts.bt, for counts.py
#   DRIVER/WORKLOAD.json        fio's report of what ran while instructions were counted
#   symbols-DRIVER              where functions are
#   STATE-WORKLOAD.json         as above, with tracepoints on, latencies on, or both off again
# Instructions are counted if there is BLOCKS, the emulator's folder for DRIVER-WORKLOAD and
# STATE-WORKLOAD, see insns.c. QUICK leaves workloads out, and takes fewer commands for each.
. /share/tests/vm/lib.sh
. /share/tests/vm/bench.sh
QUICK=${QUICK:-} BLOCKS=${BLOCKS:-}
if [ -n "$QUICK" ]; then
	commands=500 probed=300
else
	commands=2000 probed=1000
fi
if [ -n "$BLOCKS" ]; then
	for p in /sys/class/virtio-ports/*; do
		[ "$(<"$p/name")" != insns ] || exec 5<>"/dev/${p##*/}"
	done
fi

blocks() { # FILE
	local answer
	echo "$BLOCKS/$1" >&5
	read -r answer <&5 && [ "$answer" = ok ] || fail "no counts of instructions for $1: $answer"
}

# counted_job FILE NAME FIO-OPTIONS… - as many commands as are counted.
counted_job() {
	blocks discarded
	job "$2" --number_ios=$commands "${@:3}"
	blocks "$1"
}

# switched WORKLOAD FIO-OPTIONS… - once more with what can be switched on, and without it.
switched() {
	local events=/sys/kernel/tracing/events/iser_rs/enable times=/sys/kernel/debug/ib_iser_rs/latency
	echo 1 >$events || fail "no tracepoints"
	counted_job "tracepoints-$1" "tracepoints-$1" "${@:2}"
	echo 0 >$events
	echo 1 >$times || fail "no latencies"
	counted_job "latencies-$1" "latencies-$1" "${@:2}"
	echo 0 >$times
	counted_job "off-$1" "off-$1" "${@:2}"
}

machine
bench_target
[ -n "$QUICK" ] || fencing_target
for driver in ib_iser ib_iser_rs; do
	use $driver
	mkdir -p $results/$driver
	awk '$2 ~ /[tTwW]/' /proc/kallsyms >$results/symbols-$driver
	if [ -n "$BLOCKS" ]; then
		# What runs for the first time is translated, and paid for, once.
		job warm-up --number_ios=500 --rw=randrw --bs=8k --iodepth=32
		while read -r name options; do
			# shellcheck disable=SC2086 # Options are words.
			counted_job "$driver-$name" "$driver/$name" $options
			case $QUICK$driver-$name in
			# shellcheck disable=SC2086
			ib_iser_rs-rand*-4k-qd32) switched "$name" $options ;;
			esac
		done < <(workloads)
		say "instructions: $driver"
	fi
	while read -r name options; do
		# shellcheck disable=SC2086 # Options are words.
		count "$driver/$name" $probed $options
		keeps "$driver/$name"
	done < <(workloads)
	say "counted: $driver"
	[ -z "$QUICK" ] || continue
	use_fencing $driver
	while read -r name options; do
		# shellcheck disable=SC2086 # Options are words.
		count "$driver/$name" $probed $options
		keeps "$driver/$name"
	done < <(fencing_workloads)
	say "counted: $driver with a target that invalidates no keys"
done
