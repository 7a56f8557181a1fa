#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The guest's part of the benchmark: measures both drivers round by round, in one boot.
#
# Everything goes to files in $results; see tests/bench/report.py for what becomes of them.
#   DRIVER/round-N/WORKLOAD.json    fio's report
#   DRIVER/round-N/cpu              lines "WORKLOAD BUSY-SECONDS"
#   DRIVER/fencing-N/…              as of a round, with a target that does not invalidate keys
#   DRIVER/round-N/profile          samples, lines "COUNT ADDRESS"
#   DRIVER/round-N/symbols          where functions are
#   DRIVER/sessions                 lines "SESSIONS LOGIN-SECONDS KIB"
# PEER is the guest with the target, ROUNDS how many of each driver, TIME the seconds of a
# workload, PROFILE those of a profile; QUICK leaves workloads out.
. /share/tests/vm/lib.sh
. /share/tests/vm/bench.sh
ROUNDS=${ROUNDS:-5} TIME=${TIME:-2} PROFILE=${PROFILE:-8} QUICK=${QUICK:-} PEER=${PEER:-}

# The machine's CPU time so far that was not idle, in seconds.
busy() { awk '/^cpu / { print ($2 + $3 + $4 + $7 + $8 + $9) / 100 }' /proc/stat; }

# workload NAME FIO-OPTIONS… - measures it with the driver in use.
workload() {
	local name=$1 begin
	shift
	begin=$(busy)
	job "$where/$name" --time_based --runtime="$TIME" "$@"
	echo "$name $begin $(busy)" | awk '{ print $1, $3 - $2 }' >>"$results/$where/cpu"
}

# all_disks - the disks of all sessions, for fio.
all_disks() {
	local s list=
	for s in $(session_of $iqn); do
		wait_for 60 "disk of $s" disk_of "$s" 0
		list+=":$(disk_of "$s" 0)"
	done
	echo "${list#:}"
}

more_sessions() { # COUNT, with those that there are
	local n
	for ((n = $(session_of $iqn | wc -l); n < $1; n++)); do
		must "session $n" iscsiadm -m session -r "${session#session}" -o new
	done
}

several_sessions() {
	local n disk
	for n in 4 16; do
		more_sessions $n
		disk=$(all_disks)
		workload "randread-4k-qd8-${n}sessions" --rw=randread --bs=4k --iodepth=$((8 * n))
	done
}

# profile - samples of all CPUs during reads, by address: perf itself gives a module's to the kernel.
profile() {
	local begin
	begin=$(cat "/sys/block/${disk##*/}/stat" | awk '{ print $1 }')
	must "profile" perf record -q -a -e cpu-clock -F 1999 -o /tmp/perf.data -- \
		fio --name=p --filename="$disk" --rw=randread --bs=4k --iodepth=32 --direct=1 --ioengine=libaio \
		--norandommap --thread --time_based --runtime="$PROFILE" --output=/dev/null
	{
		echo "# commands $(awk -v b="$begin" '{ print $1 - b }' "/sys/block/${disk##*/}/stat")"
		perf script -i /tmp/perf.data -F ip 2>/dev/null | sort | uniq -c
	} >"$results/$where/profile"
	awk '$2 ~ /[tTwW]/' /proc/kallsyms >"$results/$where/symbols"
	rm /tmp/perf.data
}

# order N - of the drivers in a round: A B, B A, A B, …
order() { if (($1 % 2)); then echo ib_iser ib_iser_rs; else echo ib_iser_rs ib_iser; fi; }

# round N DRIVER
round() {
	local name options
	where=$2/round-$1
	mkdir -p "$results/$where"
	use "$2"
	while read -r name options; do
		# shellcheck disable=SC2086 # Options are words.
		workload "$name" $options
	done < <(workloads)
	[ "$PROFILE" = 0 ] || profile
	[ -n "$QUICK" ] || several_sessions
	say "round $1 of $ROUNDS: $2"
}

# memory_in_use - KiB, once what is given back later has been.
memory_in_use() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^MemTotal/ { t = $2 } /^MemFree/ { f = $2 } END { print t - f }' /proc/meminfo
}

# Sessions, the time that their logins take, the memory that they take.
sessions_cost() {
	local n before begin
	use "$1"
	for n in 16 64; do
		leave
		load_driver >/dev/null
		discover
		before=$(memory_in_use)
		begin=$EPOCHREALTIME
		connect $iqn
		more_sessions $n
		echo "$n $begin $EPOCHREALTIME $before $(memory_in_use)" |
			awk '{ print $1, $3 - $2, ($5 - $4) / $1 }' >>"$results/$1/sessions"
	done
	say "sessions: $1: $(tr '\n' ';' <"$results/$1/sessions")"
}

# What it takes to end the access of a target that does not: of ib_iser_rs, whose commands are
# not over before, and of ib_iser, which leaves it open.
fencing_costs() {
	local n driver name options
	fencing_target
	for ((n = 1; n <= ROUNDS; n++)); do
		for driver in $(order $n); do
			where=$driver/fencing-$n
			mkdir -p "$results/$where"
			use_fencing "$driver"
			while read -r name options; do
				# shellcheck disable=SC2086 # Options are words.
				workload "$name" $options
			done < <(fencing_workloads)
		done
	done
	say "fencing"
}

# The outer marks: TCP, and the target's own loopback without any network.
marks() {
	where=iscsi_tcp/round-1
	mkdir -p "$results/$where"
	leave
	must "discovery by TCP" iscsiadm -m discovery -o new -o old -t st -I default -p "${portal%:*}:3261"
	connect $tcp
	every_workload
	must "logout" iscsiadm -m node -u
	say "iscsi_tcp"
	if [ -z "$PEER" ]; then
		loopback
	fi
}

every_workload() {
	local name options
	while read -r name options; do
		# shellcheck disable=SC2086 # Options are words.
		workload "$name" $options
	done < <(workloads)
}

loopback() {
	local tpg=$config/target/loopback/naa.6001405000000001/tpgt_1 d
	where=tcm_loop/round-1
	mkdir -p "$results/$where"
	modprobe tcm_loop || fail "no tcm_loop"
	mkdir -p $tpg/lun/lun_0 &&
		echo naa.6001405000000002 >$tpg/nexus &&
		ln -s $core/rd_mcp_0/d0 $tpg/lun/lun_0/d0 || fail "no loopback target"
	wait_for 30 "disk of tcm_loop" loopback_disk
	disk=$(loopback_disk)
	every_workload
	say "tcm_loop"
}
loopback_disk() {
	local d
	for d in /sys/block/sd*; do
		if readlink -f "$d" | grep -q tcm_loop; then
			echo "/dev/${d##*/}"
			return
		fi
	done
	return 1
}

bench_target "$PEER"
machine
for driver in ib_iser ib_iser_rs; do
	use $driver
	job warm-up-$driver --time_based --runtime="$TIME" --rw=randrw --bs=8k --iodepth=32
done
for ((n = 1; n <= ROUNDS; n++)); do
	for driver in $(order $n); do
		round $n "$driver"
	done
done
if [ -z "$QUICK" ]; then
	for driver in ib_iser ib_iser_rs; do
		sessions_cost $driver
	done
	marks
	[ -n "$PEER" ] || fencing_costs
fi
leave
use ib_iser_rs
