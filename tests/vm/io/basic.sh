#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What is written with any block size from 512 B to 16 MiB, by any way that applications
# write, is what the target stores and what is read back.
. /share/tests/vm/lib.sh
one_disk fileio 192

# Every job has a region of its own, so that the target's file can be compared at the end.
jobs=() n=0 count=$(slow 128 32)
for bs in 512 1024 1536 2048 4096 8192 12288 16384 32768 65536 131072 258048 262144 524288 1048576 1052672; do
	size=$((bs * count < 3 << 20 ? bs * count : 3 << 20))
	jobs+=(--name="bs-$bs" --bs=$bs --offset=$((n++ * 4))m --size=$size)
done
verified sizes --iodepth=4 "${jobs[@]}"
say "$n block sizes up to 1 MiB verified"

# Larger than one command may be: split by the block layer, still one request for libaio.
verified large --offset=64m --size="$(slow 32m 8m)" --bs=4m --iodepth=2
verified huge --offset=64m --size="$(slow 64m 32m)" --bs=16m --iodepth=2
say "4 MiB and 16 MiB verified"

echo 3 >/proc/sys/vm/drop_caches
verified io_uring --ioengine=io_uring --offset=128m --size="$(slow 4m 256k)" --bs=4k
verified io_uring_fixed --ioengine=io_uring --fixedbufs --registerfiles --offset=144m --size="$(slow 8m 1m)" --bs=64k
verified buffered --direct=0 --ioengine=psync --end_fsync=1 --offset=160m --size="$(slow 6m 1m)" --bs=7k --rw=write
say "io_uring and buffered verified"

same_content /tmp/d0
# The reads and writes did go through the session.
read -r -a stat <"/sys/block/${disk##*/}/stat"
[ "${stat[4]}" -gt 0 ] && [ "${stat[0]}" -gt 0 ] || fail "no I/O on $disk: ${stat[*]}"
