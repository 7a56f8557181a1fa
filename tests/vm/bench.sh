# SPDX-License-Identifier: GPL-2.0
# For benchmarks and tests that count: after lib.sh. One boot, several drivers.
. /share/tests/vm/tgt.sh

bench=/share/tests/bench
# tgtd 1.0.85 refuses to listen at any port but 3260 for iSER.
portal=${portal%:*}:3262
tcp=${iqn}tcp
# fio's option for writes of as many segments as pages, see scattered_pages.
scattered="--iomem=mmapshared:/tmp/pages"

# bench_target [PEER] - a target with a disk in memory, by iSER and by TCP; in the guest
# PEER, or else in this one.
bench_target() {
	local up="lio_up && backstore d0 ramdisk 128 &&
		lio_target $iqn && lio_lun $iqn 0 d0 &&
		lio_target $tcp \${portal%:*}:3261 tcp && lio_lun $tcp 0 d0"
	if [ -n "${1:-}" ]; then
		portal=10.0.0.2:3262
		rxe_up 10.0.0.1
		must "target in the other guest" on "$1" "portal=$portal; rxe_up 10.0.0.2 && $up"
	else
		rxe_up "${portal%:*}"
		eval "$up" || fail "no target"
	fi
	scattered_pages
	iscsid_up
}

# fencing_target - tgt, beside the other: a key that it was told is invalidated by this side.
fencing=${iqn}tgt
fencing_target() {
	truncate -s 64M /tmp/fencing
	tgt_start "portal=${portal%:*}:3263"
	tgt_target iser 1 "$fencing" /tmp/fencing
}
# use_fencing DRIVER - logs in to that.
use_fencing() { lun=1 discover=tgt_discover use "$1" "$fencing" "${portal%:*}:3260"; }

# Name and options of what is measured with it.
fencing_workloads() {
	printf '%s\n' 'tgt-randread-4k-qd1 --rw=randread --bs=4k --iodepth=1' \
		'tgt-randread-4k-qd32 --rw=randread --bs=4k --iodepth=32' \
		'tgt-randwrite-4k-qd32 --rw=randwrite --bs=4k --iodepth=32'
}

# Pages of memory for fio of which no two are neighbours both there and in the machine: a
# write of N pages from it has N segments.
scattered_pages() {
	python3 -c '
import os
fd = os.open("/tmp/pages", os.O_RDWR | os.O_CREAT)
for first in 0, 1:
    for page in range(first, 512, 2):
        os.pwrite(fd, bytes(4096), page * 4096)'
}

# leave - logs out and unloads whatever driver there is.
leave() {
	local driver
	counter_stop
	if [ -n "$(sessions)" ]; then
		must "logout" iscsiadm -m node -u
	fi
	for driver in ib_iser ib_iser_rs; do
		if [ -d /sys/module/$driver ]; then
			wait_for 20 "unload of $driver" modprobe -r $driver
		fi
	done
}

# use DRIVER [IQN PORTAL [NAME VALUE]…] - logs in with it, with what is given of the record;
# $session and $disk are set. Without pings, as these are no commands.
use() {
	local name=${2:-$iqn} n
	leave
	DRIVER=$1
	rm -f /etc/modprobe.d/ib_iser_rs.conf
	load_driver >/dev/null
	${discover:-discover} "${3:-$portal}"
	for n in interval timeout; do
		set_node "$name" "node.conn[0].timeo.noop_out_$n" 0
	done
	for ((n = 4; n < $#; n += 2)); do
		set_node "$name" "${@:n:1}" "${@:n+1:1}"
	done
	connect "$name" "${lun:-0}"
	udevadm settle
}

# job NAME FIO-OPTIONS… - the result is in $results/NAME.json.
job() {
	local name=$1
	shift
	must "fio $name" fio --name="$name" --thread --direct=1 --ioengine=libaio --norandommap \
		--randrepeat=0 --group_reporting --filename="$disk" \
		--output-format=json --output="$results/$name.json" "$@"
}

# Bounds of the driver's code: what comes behind its last function begins with another page.
code() {
	grep "\[$DRIVER\]" /proc/kallsyms | awk '$2 ~ /[tT]/ { print "0x" $1 }' | sort |
		sed -n '1p;$p' | {
		read -r first
		read -r last
		echo $first
		printf '0x%x\n' $(((last | 4095) + 1))
	}
}

# counting NAME COMMAND… - what the driver does while the command runs; the result is in
# $results/NAME.counts, for counts.py.
counting() {
	local name=$1
	shift
	[ -n "${counter:-}" ] || counter_start
	counted
	must "count $name" "$@"
	counted
	tells | grep -v '"printf"' >"$results/$name.counts"
}

# The counter runs as long as the file is there: to start it takes many seconds.
counter_runs=/run/counter told=/run/counted
counter_start() {
	local bounds
	mapfile -t bounds < <(code)
	bpftrace -B none -f json -o $told -c "/bin/sh $bench/guest/until $counter_runs" $bench/counts.bt "${bounds[@]}" 3>&- 4>&- &
	counter=$!
	wait_for 120 "the counter" [ -e $counter_runs ]
}
counter_stop() {
	rm -f $counter_runs
	[ -z "${counter:-}" ] || wait "$counter"
	counter=
}

# counted - asks the counter for what was since the last time; tells prints it.
counted() {
	told_before=$(wc -l <$told)
	kill -USR1 "$counter" || fail "the counter has ended"
	wait_for 60 "what was counted" has_told
}
tells() { tail -n +$((told_before + 1)) $told; }
has_told() { tells | grep -q told; }

# count NAME COMMANDS FIO-OPTIONS… - what it does for so many commands.
count() {
	local name=$1 commands=$2
	shift 2
	counting "$name" /usr/bin/fio --name="${name//\//-}" --filename="$disk" --direct=1 --ioengine=libaio \
		--norandommap --thread --output=/dev/null --number_ios="$commands" "$@"
}

# keeps NAME LIMIT… - whether what was counted keeps within limits.
keeps() {
	local name=$1
	shift
	python3 $bench/counts.py "$results/$name.counts" "$@" || fail "$name"
}

# fio's options for commands that are submitted sixteen at a time.
batches="--iodepth_batch_submit=16 --iodepth_batch_complete_min=16"

# Name and options of what is measured with one session.
workloads() {
	local rw bs depth
	if [ -n "$QUICK" ]; then
		printf '%s\n' 'randread-4k-qd1 --rw=randread --bs=4k --iodepth=1' \
			'randread-4k-qd32 --rw=randread --bs=4k --iodepth=32' \
			'randwrite-4k-qd32 --rw=randwrite --bs=4k --iodepth=32' \
			"write-8k-2seg-qd32 --rw=randwrite --bs=8k --iodepth=32 $scattered" \
			'randread-64k-qd32 --rw=randread --bs=64k --iodepth=32'
		return
	fi
	for rw in randread randwrite; do
		for bs in 4k 8k 16k 64k; do
			for depth in 1 32; do
				echo "$rw-$bs-qd$depth --rw=$rw --bs=$bs --iodepth=$depth"
			done
		done
	done
	for rw in read write; do
		echo "$rw-128k-qd8 --rw=$rw --bs=128k --iodepth=8"
		echo "$rw-1m-qd4 --rw=$rw --bs=1m --iodepth=4"
	done
	echo "randread-4k-qd32-batches --rw=randread --bs=4k --iodepth=32 $batches"
	echo "randrw-4k-qd32 --rw=randrw --rwmixread=70 --bs=4k --iodepth=32"
	echo "write-8k-2seg-qd32 --rw=randwrite --bs=8k --iodepth=32 $scattered"
	echo "write-12k-3seg-qd32 --rw=randwrite --bs=12k --iodepth=32 $scattered"
	echo "write-32k-8seg-qd32 --rw=randwrite --bs=32k --iodepth=32 $scattered"
}

# machine - what this is measured on.
machine() {
	{
		uname -r
		nproc
		grep -m1 'model name' /proc/cpuinfo | cut -d: -f2
		cat /sys/class/net/eth0/mtu
	} >$results/machine
}
