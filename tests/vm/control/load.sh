#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Loading: parameters out of their range fail it and say so, the transport's name can be
# had by one driver only, modinfo describes the module, and the parameters take effect.
# only: ib_iser_rs
. /share/tests/vm/lib.sh

logged() { dmesg | grep -qF "$1" || fail "the kernel log does not say: $1"; }
refused() {
	if modprobe "$DRIVER" "$1" 2>/run/modprobe; then
		fail "loaded with $1"
	fi
	logged "parameter ${1%%=*}=${1#*=} is out of range, it must be 1 to $2"
	driver_loaded && fail "loaded in spite of $1"
}
modprobe libiscsi
refused max_sectors=0 32768
refused max_sectors=32769 32768
refused max_lun=0 4294967295

modprobe ib_iser
if modprobe "$DRIVER" 2>/run/modprobe; then
	fail "loaded beside ib_iser"
fi
logged "a transport named iser is registered already; unload ib_iser first"
[ -d /sys/class/iscsi_transport/iser ] || fail "ib_iser's transport is gone"
modprobe -r ib_iser

for field in license description author "parm:.*max_lun:.*default:512" "parm:.*max_sectors:.*1 to 32768" "parm:.*log_limit:.*default:10"; do
	modinfo "$DRIVER" | grep -qE "^$field" || fail "modinfo lacks $field: $(modinfo "$DRIVER")"
done
equal license GPL "$(modinfo -F license "$DRIVER")"

modprobe "$DRIVER" max_sectors=64 max_lun=3
rxe_up "${portal%:*}"
lio_up
iscsid_up
lio_target $iqn
for lun in 0 1 2 3 4; do
	backstore "d$lun" ramdisk 16
	lio_lun $iqn $lun "d$lun"
done
discover
connect $iqn
# The midlayer takes "max" literally.
wait_for 30 "LUN 3" disk_of "$session" 3
equal "largest command" 32 "$(cat "/sys/block/${disk##*/}/queue/max_hw_sectors_kb")"
[ -z "$(disk_of "$session" 4)" ] || fail "LUN 4 is there with max_lun=3"
verified small-commands --bs=256k --size=4m
logout $iqn

# The extremes. Of many sectors a device takes as many as its regions have pages, but for one.
# loaded_with MAX_SECTORS KIB - a command has so many KiB then, and I/O of this size arrives.
loaded_with() {
	unload_driver
	modprobe "$DRIVER" max_sectors="$1"
	connect $iqn
	queue=/sys/block/${disk##*/}/queue
	equal "largest command with max_sectors=$1" "$2" "$(cat "$queue/max_hw_sectors_kb")"
	echo "$2" >"$queue/max_sectors_kb" || fail "no commands of $2 KiB"
	verified "max_sectors=$1" --bs="$2k" --size=8m --iodepth=4
	logout $iqn
}
loaded_with 1 4
logged "max_sectors=1 is less than disks can have, using 8"
loaded_with 32768 2044
