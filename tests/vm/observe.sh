# SPDX-License-Identifier: GPL-2.0
# For tests/vm/observe: what user space sees of the driver, by Documentation/observability.rst.
seen=/sys/kernel/debug/ib_iser_rs
tracing=/sys/kernel/tracing

# connection_of SESSION - its directory.
connection_of() {
	local d
	for d in $seen/connection-*; do
		if [ "$(info "$d" session)" = "${1#session}" ]; then
			echo "$d"
		fi
	done
}

# info DIRECTORY NAME; counter DIRECTORY NAME; total NAME - a value.
info() { sed -n "s/^$2: //p" "$1/info" 2>/dev/null; }
counter() { awk -v name="$2" '$1 == name { print $2 }' "$1/counters" 2>/dev/null; }
total() { awk -v name="$1" '$1 == name { print $2 }' $seen/totals; }

# snapshot DIRECTORY - remembers the counters; settled - takes them again, when who has posted
# something has counted it, too: the answer may overtake that; grown NAME - by how much one has
# grown from the one to the other.
snapshot() { cp "$1/counters" /run/counters && watched=$1; }
settled() { wait_for 10 "that all is counted" all_counted; }
all_counted() {
	cp "$watched/counters" /run/counters-now
	awk '{ n[$1] = $2 } END {
		exit n["wr_local_inv"] != n["local_invalidations"] ||
			n["responses"] != n["commands_read"] + n["commands_write"] + n["commands_none"]
	}' /run/counters-now
}
grown() { awk -v name="$1" '$1 == name { n = $2 - n } END { print n }' /run/counters /run/counters-now; }

# grows NAME=COUNT… - by just as much, and all other counters but NAMEs without a count not at all.
grows() {
	local expected name
	cp /run/counters "$results/${what// /-}-before"
	cp /run/counters-now "$results/${what// /-}-after"
	for expected in "$@"; do
		if [ "${expected#*=}" != "$expected" ]; then
			equal "$what: ${expected%=*}" "${expected#*=}" "$(grown "${expected%=*}")"
		fi
	done
	while read -r name _; do
		case " $* receives_posted receive_low_water " in
		*" $name="* | *" $name "*) ;;
		*) equal "$what: $name" 0 "$(grown "$name")" ;;
		esac
	done </run/counters-now
}

# quiet - nobody but the test does I/O: no pings, and no udev that looks at the disk.
quiet() {
	udevadm settle
	udevadm control --exit
}

# trace_start EVENT… - into an empty buffer; events EVENT - what there is of it.
trace_start() {
	local event
	echo 0 >$tracing/events/enable
	echo 8192 >$tracing/buffer_size_kb
	echo >$tracing/trace
	for event in "$@"; do
		must "tracepoint $event" tee $tracing/events/iser_rs/"$event"/enable <<<1
	done
}
events() { grep " $1: " $tracing/trace; }

# count_of WHAT EXPECTED PATTERN… - lines of standard input that match.
count_of() {
	local what=$1 expected=$2
	shift 2
	equal "$what" "$expected" "$(grep -cE "$@")"
}

# as_told COMMAND - of a recipe in Documentation/observability.rst, as it is there, by what says it;
# on_screen COMMAND NAME PATTERN - one with a screen, until that shows PATTERN.
# tests/build/observability sees that the guide has it.
as_told() { PATH=/share:$PATH bash -c "$1" 2>&1 || true; }
on_screen() { PATH=/share:$PATH python3 $here/observe/iser_stat.py seen "$2" "$3" "$1" || fail "$1: $2"; }

# slow_disk NAME - a backstore whose disk stops by: dmsetup suspend --noflush --nolockfs NAME, and goes on
# by: dmsetup resume --noudevsync NAME, as there may be no udev that would be waited for.
slow_disk() {
	local loop
	truncate -s 64M "/tmp/$1"
	modprobe -a loop dm_mod
	loop=$(losetup -f --show "/tmp/$1") || fail "no loop device"
	must "device that can be stopped" dmsetup create "$1" --table "0 131072 linear $loop 0"
	backstore "$1" iblock "/dev/mapper/$1"
}

# slow_target - the usual start: the target $iqn with a lun whose disk, d0, can be stopped.
slow_target() {
	initiator_up
	slow_disk d0
	lio_target $iqn
	lio_lun $iqn 0 d0
}
