#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tgt, which takes no immediate data and invalidates no keys: every command that moves
# data is fenced by a local invalidation, under verified I/O of all sizes, by iSER and by
# TCP at the same time, a LUN reset, CHAP, the end and return of the target, and a logout.
# guest: --limit 400
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
. /share/tests/vm/tgt.sh
rxe_up "${portal%:*}"
truncate -s 64M /tmp/d0
tcp=$iqn-tcp
tgt_up() {
	tgt_start
	tgt_target iser 1 $iqn /tmp/d0
	tgt_target iscsi 2 $tcp /tmp/d0
}
tgt_up
load_driver
iscsid_up
tgt_discover
equal "targets by iSER" "$portal,1 $iqn" "$(cat $results/targets)"
must "discovery by TCP" iscsiadm -m discovery -o new -o old -t st -I default -p "$portal"
# That names the one for iSER as well.
must "no TCP to that" iscsiadm -m node -T $iqn -I default -o delete
connect $tcp 1
by_tcp=$disk
connect $iqn 1
equal "ImmediateData" 0 "$(cat /sys/class/iscsi_session/"$session"/immediate_data)"

by_iser=$disk
sizes 4m 512 4k 8k 64k 256k 1m 4m
verified iser --iodepth=16 "${jobs[@]}" 3>&- 4>&- &
io=$!
disk=$by_tcp
verified tcp --offset=32m --size=8m --bs=64k --iodepth=8
wait $io || fail "verified I/O by iSER"
for disk in "$by_tcp" "$by_iser"; do same_content /tmp/d0; done
say "7 block sizes verified by iSER, with TCP at the same time"
logout $tcp

must "a LUN reset" sg_reset -d "$(sg_of "$session" 1)"
verified after-reset --offset=48m --size="$(slow 4m 256k)" --bs=4k --iodepth=8
kept "$session"
say "verified after a LUN reset"
same_content /tmp/d0

set_node $iqn node.session.timeo.replacement_timeout 120
logout $iqn
connect $iqn 1
traffic_start
kill -9 $tgtd
lost() { ! logged_in "$session"; }
wait_for 60 "loss of the connection" lost
wait $tgtd 2>/dev/null
tgt_up
wait_for 120 "the session" logged_in "$session"
traffic_moves
traffic_stop
same_content /tmp/d0
logout $iqn
say "tgtd was killed, and came back"

account() { must "account $1" tgtadm --lld iser --mode account "$@"; }
# tgtd 1.0.85 takes an entry off a list twice, and dies, some time after an initiator gave a
# login up: each refused login has a tgtd of its own.
fresh_tgt() {
	kill -9 $tgtd 2>/dev/null
	wait $tgtd 2>/dev/null
	tgt_up
	account --op new --user someone --password right-secret-1
	account --op new --user target --password other-secret-2
	account --op bind --tid 1 --user someone
	account --op bind --tid 1 --user target --outgoing
}
set_node $iqn node.session.initial_login_retry_max 1
refused() { # WHAT STATUS
	local rc
	iscsiadm -m node -T $iqn -l >/run/refused 2>&1
	rc=$?
	cat /run/refused
	equal "status of a login with $1" "$2" $rc
	equal "sessions after a login with $1" "" "$(sessions)"
	fresh_tgt
}
fresh_tgt
refused "no CHAP" 24
set_node $iqn node.session.auth.authmethod CHAP
set_node $iqn node.session.auth.username someone
set_node $iqn node.session.auth.password wrong-secret-0
refused "a wrong password" 24
set_node $iqn node.session.auth.password right-secret-1
set_node $iqn node.session.auth.username_in target
set_node $iqn node.session.auth.password_in wrong-secret-0
# It is this side that ends it.
refused "a wrong password of the target" 19
set_node $iqn node.session.auth.password_in other-secret-2
connect $iqn 1
verified "mutual CHAP" --size=1m
say "mutual CHAP"
