#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What is done with a disk: ext4, xfs and btrfs made, filled and checked; discard, at once
# and by a file system; the disk resized; persistent reservations of two initiators.
# guest: --limit 400
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
modprobe -a ext4 xfs btrfs || fail "no file systems in this kernel"
initiator_up
backstore d0 fileio /tmp/d0 304
lio_target $iqn
echo 8388607 >$core/fileio_0/d0/attrib/max_unmap_lba_count
lio_lun $iqn 0 d0
discover
connect $iqn
# This kernel's LIO has a block limits page of 44 bytes, and sd wants 64 before it looks for what
# may be discarded at a time; so it has to be told, with either driver, whenever it has looked.
can_discard() {
	echo unmap | tee "/sys/block/${disk##*/}/device/scsi_disk/"*/provisioning_mode >/dev/null
}

stored() { du -k /tmp/d0 | cut -f1; }
# Random data is written until there is no room; what was written is there after a new mount.
filled() { # NAME MAKE CHECK
	local name=$1 n=0
	# shellcheck disable=SC2086 # Options without spaces.
	must "make $name" $2
	must "mount $name" mount "$disk" /mnt
	cp -a /usr/lib/python3 /mnt/tree || fail "$name: copy"
	until ! head -c 8M /dev/urandom >"/mnt/data$n" 2>/run/full; do n=$((n + 1)); done
	grep -q "No space left" /run/full || fail "$name: filling it ended with: $(cat /run/full)"
	(cd /mnt && find . -type f ! -name "data$n" -exec md5sum {} + >/run/sums)
	must "unmount $name" umount /mnt
	echo 3 >/proc/sys/vm/drop_caches
	# shellcheck disable=SC2086
	must "check $name" $3 "$disk"
	must "mount $name again" mount "$disk" /mnt
	(cd /mnt && md5sum --quiet -c /run/sums) || fail "$name: not what was written"
	say "$name: $n files of 8 MiB and $(wc -l </run/sums) in all are what was written"
}
filled ext4 "mkfs.ext4 -q -F -E nodiscard $disk 128M" "fsck.ext4 -fn"
before=$(stored)
rm /mnt/data*
# Blocks are free when the journal has that.
must "sync" sync -f /mnt
can_discard
must "fstrim" fstrim /mnt
[ "$(stored)" -lt $((before / 2)) ] || fail "the target stores $(stored) KiB, $before before fstrim"
say "fstrim: the target stores $(stored) KiB instead of $before"
umount /mnt
filled xfs "mkfs.xfs -q -f -K -d size=300m $disk" "xfs_repair -n"
umount /mnt
filled btrfs "mkfs.btrfs -q -f -K -b 128M $disk" "btrfs check"
umount /mnt
same_content /tmp/d0

can_discard
must "discard" blkdiscard --force "$disk"
[ "$(stored)" -lt 1024 ] || fail "the target still stores $(stored) KiB"
must "zeroes after discard" cmp -n 4194304 "$disk" /dev/zero
logout $iqn
say "discard"

# The target's disk grows under a mounted file system, and the initiator is told to look.
truncate -s 64M /tmp/d1
modprobe loop
loop=$(losetup -f --show /tmp/d1) || fail "no loop device"
backstore d1 iblock "$loop"
lio_lun $iqn 1 d1
connect $iqn 1
must "file system" mkfs.ext4 -q "$disk"
must "mount" mount "$disk" /mnt
sized() { [ "$(blockdev --getsize64 "$disk")" = $(($1 << 20)) ]; }
for mib in 96 128; do
	truncate -s ${mib}M /tmp/d1
	must "the target's disk" losetup -c "$loop"
	case $mib in
	96) must "rescan" iscsiadm -m session -R ;;
	*) echo 1 >"/sys/block/${disk##*/}/device/rescan" ;;
	esac
	wait_for 30 "$mib MiB" sized $mib
	must "grow the file system" resize2fs "$disk"
done
head -c 100M /dev/urandom >/mnt/data || fail "the file system has not grown"
umount /mnt
must "check the file system" fsck.ext4 -fn "$disk"
logout $iqn
say "64 MiB grew to 128"

# Reservations: two initiators of one disk, and what each may do. The same commands, and
# the same answers, with either driver.
reservations() {
	local a b
	set -- --no-inquiry
	a=$(sg_by $iqn-a) b=$(sg_by $iqn-b)
	step() { # WHAT STATUS COMMAND…
		local what=$1 status=$2 rc
		shift 2
		"$@" >/run/answer 2>&1
		rc=$?
		echo "$what: status $rc"
		# Numbers that go on counting.
		sed "s,$a,A,; s,$b,B,; s/generation=.*/generation/; s/,i,0x.*//" /run/answer
		equal "$what" "$status" "$rc"
	}
	write() { dd if=/dev/zero of="$(block_by "$1")" bs=4k count=1 oflag=direct status=none 2>/dev/null; }
	step "A registers" 0 sg_persist "$@" --out --register --param-sark=0xa "$a"
	step "B registers" 0 sg_persist "$@" --out --register --param-sark=0xb "$b"
	step "keys" 0 sg_persist "$@" --in --read-keys "$a"
	step "A reserves for itself" 0 sg_persist "$@" --out --reserve --param-rk=0xa --prout-type=3 "$a"
	step "B cannot" 24 sg_persist "$@" --out --reserve --param-rk=0xb --prout-type=3 "$b"
	step "B cannot write" 1 write $iqn-b
	step "A can write" 0 write $iqn-a
	step "reservation" 0 sg_persist "$@" --in --read-reservation "$b"
	step "B takes over" 0 sg_persist "$@" --out --preempt --param-rk=0xb --param-sark=0xa --prout-type=3 "$b"
	step "A cannot write" 1 write $iqn-a
	step "B can write" 0 write $iqn-b
	step "status" 0 sg_persist "$@" --in --read-full-status "$b"
	step "B clears" 0 sg_persist "$@" --out --clear --param-rk=0xb "$b"
	step "no keys" 0 sg_persist "$@" --in --read-keys "$a"
}
session_by() {
	local s
	for s in $(sessions); do
		[ "$(<"/sys/class/iscsi_session/$s/initiatorname")" != "$1" ] || echo "$s"
	done
}
sg_by() { sg_of "$(session_by "$1")" 1; }
block_by() { disk_of "$(session_by "$1")" 1; }
must "forget all" iscsiadm -m node -o delete
iface iser.a iser $iqn-a
iface iser.b iser $iqn-b
ours=$DRIVER
for DRIVER in ib_iser $ours; do
	use_driver "$DRIVER"
	interfaces="-I iser.a -I iser.b" discover
	login $iqn
	for i in a b; do wait_for 60 "disk of initiator $i" block_by $iqn-$i; done
	udevadm settle
	(reservations) >$results/reservations-$DRIVER || fail "reservations with $DRIVER: $(tail -n 5 $results/reservations-$DRIVER)"
	logout $iqn
done
diff $results/reservations-ib_iser $results/reservations-$ours || fail "reservations with ib_iser (<) and $ours (>)"
say "persistent reservations: $(grep -c ': status' $results/reservations-$ours) answers as with ib_iser"
