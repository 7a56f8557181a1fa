#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Commands that are not plain reads and writes: UNMAP, WRITE SAME, flush and commands
# without data take effect; residuals and sense data reach user space as the target sent them.
. /share/tests/vm/lib.sh
one_disk

say "UNMAP"
must "fill" dd if=/dev/urandom of="$disk" bs=1M count=16 oflag=direct
must "UNMAP" sg_unmap --lba=8192 --num=8192 "$disk"
blockdev --flushbufs "$disk"
used=$(du -k --apparent-size /tmp/d0 | cut -f1)
blocks=$(stat -c %b /tmp/d0)
[ "$blocks" -le $((12 * 2048 + 256)) ] || fail "UNMAP freed nothing in the target's file ($blocks blocks of $used KiB)"
cmp -n $((4 << 20)) -i $((4 << 20)):0 /tmp/d0 /dev/zero || fail "what was unmapped does not read as zero"
must "zeroes read back" cmp -n $((4 << 20)) -i $((4 << 20)):0 "$disk" /dev/zero

say "WRITE SAME"
head -c 512 /dev/urandom >/tmp/pattern
must "WRITE SAME(16)" sg_write_same --16 --lba=100 --num=300 --in=/tmp/pattern --xferlen=512 "$disk"
for lba in 100 250 399; do
	cmp -n 512 -i $((lba * 512)):0 /tmp/d0 /tmp/pattern || fail "WRITE SAME did not write block $lba"
done
! cmp -s -n 512 -i $((400 * 512)):0 /tmp/d0 /tmp/pattern || fail "WRITE SAME wrote too far"

say "flush, TEST UNIT READY, residuals, sense"
must "SYNCHRONIZE CACHE" sg_sync "$disk"
must "TEST UNIT READY 100 times" sg_turs --number=100 "$disk"
python3 $here/io/commands.py "$(sg_of "$session" 0)" /tmp/d0 || fail "residual or sense data"
same_content /tmp/d0
