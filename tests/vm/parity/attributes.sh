#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# User space sees the same of the driver as of C's ib_iser: every attribute of transport,
# host, session, connection and endpoint with its value, and what iscsiadm -P 3 prints.
. /share/tests/vm/lib.sh
initiator_up
backstore d0 ramdisk 16
lio_target $iqn
lio_lun $iqn 0 d0

# Numbers that the kernel gives out one after the other, and names of disks, say nothing.
normalized() {
	sed -E -e "s/(host|session|connection|ep-|target)[0-9]+(:[0-9]+)*/\1N/g" \
		-e 's/\b[0-9]+:0:0:0\b/H:0:0:0/g' -e 's/\bsd[a-z]+\b/sdX/g' -e 's/SID: [0-9]+/SID: N/' \
		-e 's/Host Number: [0-9]+/Host Number: N/' -e 's/scsi[0-9]+ /scsiN /g' \
		-e "s/\b$1\b/DRIVER/g"
}

# Attributes that differ from run to run: only that they are there is compared.
value() {
	case $1 in
	*/uevent | */creator | */exp_statsn | */handle) echo "(there)" ;;
	*) cat "$1" 2>&1 | head -c 4096 ;;
	esac
}

dump() { # DRIVER
	local class object file
	for class in iscsi_transport iscsi_host iscsi_session iscsi_connection iscsi_endpoint scsi_host; do
		for object in /sys/class/$class/*; do
			case $object in
			*/iscsi_transport/tcp) continue ;;
			esac
			for file in $(find "$object/" -maxdepth 1 -type f | sort); do
				case $class/${file##*/} in
				scsi_host/scan | scsi_host/host_busy | scsi_host/unique_id | scsi_host/host_reset) continue ;;
				esac
				echo "$class ${object##*/} ${file##*/} $(stat -c %a "$file") $(value "$file")"
			done
		done
	done | normalized "$1" | sort
}

record() { # DRIVER
	must "load $1" modprobe --ignore-install "$1"
	[ -d "/sys/module/$1" ] || fail "$1 is not loaded"
	equal "transports" iser "$(ls /sys/class/iscsi_transport | grep -v tcp)"
	iscsiadm -m discovery -o new -o old -t st -I iser -p "$portal" -l || fail "login with $1"
	session=$(session_of $iqn)
	wait_for 60 "disk with $1" disk_of "$session" 0
	disk=$(disk_of "$session" 0)
	udevadm settle
	dump "$1" >"$results/sysfs-$2"
	iscsiadm -m session -P 3 | normalized "$1" >"$results/session-$2"
	iscsiadm -m host -P 4 | normalized "$1" >"$results/host-$2"
	(cd "/sys/block/${disk##*/}/queue" && grep -rH . . 2>/dev/null) | sort >"$results/queue-$2"
	logout $iqn
	wait_for 20 "unload of $1" modprobe -r "$1"
}

unload_driver
record ib_iser c
record "$DRIVER" ours
load_driver

[ "$(wc -l <$results/sysfs-c)" -gt 55 ] || fail "only $(wc -l <$results/sysfs-c) attributes were found"
grep -q '^iscsi_endpoint' $results/sysfs-c || fail "no endpoint was found"
grep -q 'Attached scsi disk' $results/session-c || fail "no disk in iscsiadm -P 3"
different=
for what in sysfs session host queue; do
	diff -u $results/$what-c $results/$what-ours || different+=" $what"
done
[ -z "$different" ] || fail "C's driver (-) and $DRIVER (+) differ:$different"
say "$(wc -l <$results/sysfs-c) attributes are the same"
