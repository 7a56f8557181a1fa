#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Several LUNs, several targets and several sessions with one target carry I/O at the
# same time, each to its own place.
# guest: --memory 4G
. /share/tests/vm/lib.sh
initiator_up
for t in 0 1; do
	lio_target $iqn$t
	for l in 0 1 2; do
		backstore d$t$l ramdisk 24
		lio_lun $iqn$t $l d$t$l
	done
done
discover
set_node ${iqn}1 node.session.nr_sessions 3
login ${iqn}0
login ${iqn}1
equal "sessions" 4 "$(sessions | wc -l)"
equal "sessions with the second target" 3 "$(session_of ${iqn}1 | wc -l)"

# Each target's LUN n once, by sessions in turn: all 6 LUNs and all 4 sessions are used.
jobs=() disks=() n=0
s0=$(session_of ${iqn}0)
mapfile -t s1 < <(session_of ${iqn}1)
for place in "$s0 0" "$s0 1" "$s0 2" "${s1[0]} 0" "${s1[1]} 1" "${s1[2]} 2"; do
	read -r s l <<<"$place"
	wait_for 60 "LUN $l of $s" disk_of "$s" "$l"
	d=$(disk_of "$s" "$l")
	disks+=("$d")
	jobs+=(--name="d$((n++))" --filename="$d" --offset=0)
done
equal "disks that differ" 6 "$(printf '%s\n' "${disks[@]}" | sort -u | wc -l)"
must "I/O on all of them" fio --rw=randwrite --bs=16k --size="$(slow 4m 1m)" --ioengine=libaio --iodepth=8 --thread \
	--direct=1 --verify=crc32c --verify_fatal=1 --randrepeat=0 --output=$results/fio "${jobs[@]}"
say "6 LUNs by 4 sessions verified at once"

# Nothing went to a wrong place: a mark on each disk is there again by another way.
for n in "${!disks[@]}"; do
	echo "this is disk $n" | dd of="${disks[n]}" bs=512 seek=20000 conv=sync oflag=direct status=none ||
		fail "mark on disk $n"
done
for n in "${!disks[@]}"; do
	equal "mark of disk $n" "this is disk $n" \
		"$(dd if="${disks[n]}" bs=512 skip=20000 count=1 iflag=direct status=none | tr -d '\0')"
done
for l in 0 1 2; do
	d=$(disk_of "${s1[$(((l + 1) % 3))]}" $l)
	equal "mark of LUN $l by another session" "this is disk $((3 + l))" \
		"$(dd if="$d" bs=512 skip=20000 count=1 iflag=direct status=none | tr -d '\0')"
done
