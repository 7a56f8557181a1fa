#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A device that registers segments with gaps between them is given commands as they are: any
# layout, as in io/segments, without a boundary to which segments would have to keep. The device is
# siw, see tests/modules/sg_gaps.
# kernel: debug
# module: sg_gaps
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
lio_over_siw
must "a device that takes gaps" modprobe sg_gaps netdev=eth0
discover
connect $iqn
equal "boundary" 0 "$(cat "/sys/block/${disk##*/}/queue/virt_boundary_mask")"
python3 $here/io/segments.py "$disk" "$(sg_of "$session" 0)" /tmp/d0 || fail "a layout was transferred wrong"
same_content /tmp/d0
gaps=$(cat /sys/module/sg_gaps/parameters/gaps)
say "$gaps registrations with gaps"
[ "$gaps" -ge 50 ] || fail "the device was not asked to register gaps"
logout $iqn
must "the device as before" modprobe -r sg_gaps
