#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A command costs the RDMA device no more than it must: work requests, doorbells,
# completions and mappings, counted.
# only: ib_iser_rs
# by name: a probe may miss a call, as one send of 512, and putting probes on locks has crashed a guest
# debug: no, counts are the same there and take long
. /share/tests/vm/lib.sh
. /share/tests/vm/bench.sh
bench_target
use "$DRIVER"

# That what is found to be none below would be seen: a login maps headers, allocates and locks.
counting login /usr/sbin/iscsiadm -m session -r "${session#session}" -o new
keeps login "header maps>0" "allocations>0" "locks>0" "libiscsi locks>0"
must "end of the second session" iscsiadm -m session -r "$(session_of $iqn | sed 's/session//' | sort -n | tail -n 1)" -u

# A ping of the target, now and then, is no command but a request, a receive and an answer. A read
# that is answered before its posting has returned, which being watched makes longer, is
# invalidated by us. And a kprobe does not see what interrupts another one.
limits() {
	local name=$1
	shift
	keeps "$name" "allocations==0" "header maps==0" "receive doorbells<=0.1" "receives>=0.9" \
		"locks<=0.002" "send doorbells<=1.05" "receive completions>=0.99" "SEND<=1.01" "SEND>=0.999" "$@"
}

count read-4k 1024 --rw=randread --bs=4k --iodepth=32
limits read-4k "completions<=1.05" "REG_MR<=1.001" "requests<=2.05" "LOCAL_INV<=0.05" "list unmaps>=0.99"
# shellcheck disable=SC2154 # Of bench.sh.
count read-4k-batches 1024 --rw=randread --bs=4k --iodepth=32 $batches
limits read-4k-batches "completions<=1.05" "requests<=2.05"
count read-4k-qd1 512 --rw=randread --bs=4k --iodepth=1
limits read-4k-qd1 "completions<=1.05" "requests<=2.05"
count write-4k 1024 --rw=randwrite --bs=4k --iodepth=32
limits write-4k "completions<=2.01" "requests<=1.01" "registrations<=0.005"
count write-8k-2 1024 --rw=randwrite --bs=8k --iodepth=16 $scattered
limits write-8k-2 "completions<=2.01" "requests<=1.01" "registrations<=0.005" "segments>=1.99" "send entries>=2.98"

# LIO takes no more than 8 KiB of immediate data, and iscsid asks for no more by itself; the
# device takes 16 segments after a header.
leave
"/share/tests/hostile/hostile-target" --address "${portal%:*}" --name ${iqn}big \
	--set TargetRecvDataSegmentLength=65536 --set MaxRecvDataSegmentLength=65536 \
	>$results/big-target 2>&1 3>&- 4>&- &
wait_for 60 "target of large immediate data" grep -q listening $results/big-target
use "$DRIVER" ${iqn}big "${portal%:*}:3261" 'node.conn[0].iscsi.MaxXmitDataSegmentLength' 65536
for n in 3 8 16; do
	count write-$n 512 --rw=randwrite --bs=$((4 * n))k --iodepth=4 $scattered
	limits write-$n "completions<=2.05" "requests<=1.01" "registrations<=0.005" "segments>=$((n - 1)).9" "send entries>=$n.9"
done
leave
