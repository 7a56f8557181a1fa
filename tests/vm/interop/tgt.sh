#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tgt, which takes no immediate data and invalidates no keys: every command that moves
# data is fenced by a local invalidation, under verified I/O, a LUN reset and a logout.
# guest: --limit 400
. /share/tests/vm/lib.sh

rxe_up "${portal%:*}"
# tgtd keeps its RDMA buffers in huge pages.
echo 100 >/proc/sys/vm/nr_hugepages
truncate -s 64M /tmp/d0
tgtd -f --iser pool_sz_mb=128 >$results/tgtd.log 2>&1 3>&- 4>&- &
wait_for 60 "tgtd" tgtadm --lld iser --mode sys --op show
must "a target" tgtadm --lld iser --mode target --op new --tid 1 -T $iqn
must "a lun" tgtadm --lld iser --mode logicalunit --op new --tid 1 --lun 1 -b /tmp/d0
must "open to all" tgtadm --lld iser --mode target --op bind --tid 1 -I ALL
# Without this SendTargets does not name it.
must "open to us" tgtadm --lld iser --mode target --op bind --tid 1 \
	-Q "${initiator:-iqn.1993-08.org.debian:01:guest}"

load_driver
iscsid_up
discover
connect $iqn 1
equal "ImmediateData" 0 "$(cat /sys/class/iscsi_session/"$session"/immediate_data)"

jobs=() n=0
for bs in 512 4k 8k; do
	jobs+=(--name="bs-$bs" --bs=$bs --offset=$((n++ * 8))m --size="$(slow 512k 64k)")
done
for bs in 64k 256k 1m; do
	jobs+=(--name="bs-$bs" --bs=$bs --offset=$((n++ * 8))m --size="$(slow 8m 1m)")
done
verified sizes --iodepth=16 "${jobs[@]}"
say "6 block sizes verified"
must "a LUN reset" sg_reset -d "$(sg_of "$session" 1)"
verified after-reset --offset=48m --size="$(slow 4m 256k)" --bs=4k --iodepth=8
say "verified after a LUN reset"
same_content /tmp/d0
logout $iqn
