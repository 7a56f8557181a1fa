#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make demo: what an administrator would do, from an RDMA device to a mounted file
# system, with everything that was written verified.
. /share/tests/vm/lib.sh

table=()
row() { table+=("$(printf '%-26s %s' "$1" "$2")"); }

step() {
	echo
	echo "### $(cut -d. -f1 /proc/uptime) s: $*"
}

step "a RoCE device over eth0, and an LIO target with an iSER portal at $portal"
rxe_up "${portal%:*}"
rdma link
lio_up
backstore demo fileio /tmp/demo.img 256
lio_target $iqn
lio_lun $iqn 0 demo
row kernel "$(uname -r), $(nproc) CPUs"
row "RDMA device" "rxe, RoCE v2, MTU $(cat /sys/class/net/eth0/mtu)"
row target "LIO, iSER at $portal, 256 MiB in a file"

step "modprobe $DRIVER"
load_driver
iscsid_up
modinfo -F description "$DRIVER"
row driver "$DRIVER"

step "iscsiadm -m discovery -o new -o old -t st -I iser -p $portal -l"
iscsiadm -m discovery -o new -o old -t st -I iser -p "$portal" -l || fail "discovery and login"
session=$(session_of $iqn)
wait_for 60 "disk of $session" disk_of "$session" 0
disk=$(disk_of "$session" 0)
iscsiadm -m session -P 1 | grep -E 'Target|Transport|State|Interface Name'
equal "transport of the session" iser "$(iscsiadm -m session | cut -d: -f1)"
lsscsi -t -s
row "discovery and login" "$session, $disk"

step "fio: random reads of 4 KiB, 32 at a time"
fio --name=r --filename="$disk" --rw=randread --bs=4k --iodepth=32 --ioengine=libaio --direct=1 \
	--runtime=4 --time_based --output-format=terse --terse-version=3 \
	--output=$results/randread || fail "random reads"
iops=$(cut -d';' -f8 $results/randread)
equal "errors of the reads" 0 "$(cut -d';' -f5 $results/randread)"
[ "$iops" -gt 0 ] || fail "no reads were done"
echo "$iops IOPS"
row "random reads 4 KiB QD32" "$iops IOPS"

step "fio: verified writes (crc32c), block sizes from 512 B to 1 MiB"
jobs=() n=0
for bs in 512 1k 2k 4k 8k 16k 32k 64k 128k 256k 512k 1m; do
	jobs+=(--name="bs-$bs" --bs=$bs --offset=$((n++ * 8))m --size=$([ ${#bs} -lt 3 ] && echo 1m || echo 4m))
done
fio --filename="$disk" --rw=randwrite --verify=crc32c --verify_fatal=1 --iodepth=8 --direct=1 \
	--ioengine=libaio --thread --output=$results/verify --output-format=terse --terse-version=3 \
	"${jobs[@]}" || fail "verified writes"
equal "jobs that verified without error" $n "$(awk -F';' '$5 == 0 && $6 > 0' $results/verify | wc -l)"
kib=$(awk -F';' '{ s += $6 } END { print s }' $results/verify)
echo "$n block sizes, $kib KiB read back and compared"
row "verified writes" "$n block sizes 512 B … 1 MiB, $((kib / 1024)) MiB read back, 0 errors"
sync "$disk"
cmp -n $((96 << 20)) "$disk" /tmp/demo.img || fail "the target's file differs from the disk"
row "target's file" "the first 96 MiB are equal to the disk"

step "mkfs.ext4, mount, copy a tree, unmount, mount, compare"
tree=/usr/lib/python3
sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
mkfs.ext4 -q "$disk" && mount "$disk" /mnt && cp -a $tree/. /mnt/ && umount /mnt || fail "file system"
echo 3 >/proc/sys/vm/drop_caches
mount "$disk" /mnt || fail "second mount"
sums $tree >/tmp/want
sums /mnt >/tmp/got
umount /mnt || fail "second unmount"
cmp /tmp/want /tmp/got || fail "the copied tree differs"
files=$(wc -l </tmp/got)
[ "$files" -gt 100 ] || fail "only $files files were copied"
fsck.ext4 -fn "$disk" >/tmp/fsck 2>&1 || fail "fsck: $(cat /tmp/fsck)"
echo "$files files are the same"
row "ext4" "$files files copied, same checksums after a new mount, fsck clean"

step "logout, modprobe -r $DRIVER"
iscsiadm -m node -u || fail logout
equal "sessions after logout" "" "$(sessions)"
udevadm settle
modprobe -r "$DRIVER" || fail unload
! driver_loaded || fail "$DRIVER is still loaded"
row "logout and unload" "clean"

reports=$(reports)
[ -z "$reports" ] || fail "the kernel reported: $reports"
row "kernel log" "no warning, no bug"
echo
printf '%s\n' "${table[@]}"
echo
echo "All of it held, $(cut -d. -f1 /proc/uptime) s after the guest's start."
