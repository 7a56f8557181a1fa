#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A SendTargets answer that fills many PDUs arrives whole: 151 targets with names of the
# greatest length; the last of them can be logged in to. No answer is lost that is there before
# the kernel's reply to the request.
# module: slow_return
. /share/tests/vm/lib.sh
initiator_up
backstore d0 ramdisk 8
long=$(printf 'x%.0s' {1..190})
for n in {1..151}; do
	printf 'iqn.2003-01.org.example:%s-%03d\n' "$long" "$n"
done >/tmp/names
while read -r name; do lio_target "$name"; done </tmp/names
last=$(tail -n 1 /tmp/names)
say "$(wc -l </tmp/names) targets, names of ${#last} bytes"
lio_lun "$last" 0 d0

# iscsiadm forgets an answer that it gets before the kernel's reply to the request. The call that
# sends the request returns late here, and only then the kernel replies. With ib_iser iscsiadm
# times out and crashes.
if [ "$DRIVER" = ib_iser_rs ]; then
	modprobe slow_return function=iscsi_conn_send_pdu ms=50 || fail "no slow_return"
fi
for round in 1 2; do
	discover
	sed 's/.* //' $results/targets | sort | cmp - /tmp/names || fail "not the names that were configured (round $round)"
	equal "answers with this portal" 151 "$(grep -c "^$portal,1 " $results/targets)"
done
equal "sessions left by discovery" "" "$(sessions)"
if [ "$DRIVER" = ib_iser_rs ]; then
	calls=$(cat /sys/module/slow_return/parameters/calls)
	((calls >= 8)) || fail "only $calls requests were late"
	modprobe -r slow_return
fi
connect "$last"
verified "the last target" --size="$(slow 1m 256k)"
