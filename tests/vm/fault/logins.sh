#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Logins and logouts, half of them interrupted: by the target, by killing iscsiadm, by removal
# of the RDMA device. What the kernel has of RDMA and iSCSI objects in the end is what it had
# in the beginning, and memory does not become more with each of them.
# guest: --peer target --disk 16M --append slab_nomerge --limit 600
# by name: not seen to pass yet
. /share/tests/vm/lib.sh
remote_target
# A login that breaks off keeps LIO busy for 15 s, iscsid's own limit for the next.
set_node $iqn 'node.conn[0].timeo.login_timeout' 20
# iscsid waits that long for a first login whose connection is lost, and tries in vain again
# for as often as this says: by its first stop libiscsi has the session end.
set_node $iqn node.session.initial_login_retry_max 1

objects() {
	local class
	rdma res show | sed 's/^[0-9]*: //'
	for class in iscsi_session iscsi_connection iscsi_endpoint scsi_host scsi_device; do
		echo "$class $(find /sys/class/$class -mindepth 1 2>/dev/null | wc -l)"
	done
	echo "users of the driver $(cat "/sys/module/$DRIVER/refcnt")"
}
memory() { # what is allocated by size, and areas of vmalloc
	echo 3 >/proc/sys/vm/drop_caches
	for s in /sys/kernel/slab/*/shrink; do echo 1 >"$s"; done 2>/dev/null
	awk '/^kmalloc-/ {print $1, $2}' /proc/slabinfo
	echo "vmalloc $(wc -l </proc/vmallocinfo)"
}

none() { [ -z "$(sessions)" ]; }
gone() { ! kill -0 "$login" 2>/dev/null; }
logged_out() { # a session that is not connected can be logged out of, too
	none || iscsiadm -m node -T $iqn -u >/run/logout 2>&1
	none
}
count=0 interrupted=0
whole() {
	connect $iqn
	verified "login-$count" --size=128k --iodepth=4
	objects >/run/logged-in
	logout $iqn
	count=$((count + 1))
}
# broken HOW - at any time in the first second of a login.
broken() {
	iscsiadm -m node -T $iqn -l >/run/interrupted 2>&1 3>&- 4>&- &
	login=$!
	sleep "0.$(printf %03d $((RANDOM % 1000)))"
	case $1 in
	target)
		must "disable the target" on target "lio_enable $iqn 0"
		must "enable the target" on target "lio_enable $iqn 1"
		;;
	iscsiadm) kill -9 $login ;;
	device)
		must "remove the device" rdma link delete rxe_eth0
		must "add the device" rdma link add rxe_eth0 type rxe netdev eth0
		;;
	esac
	wait_for 180 "the end of iscsiadm" gone
	wait $login
	say "login $count interrupted by $1: status $?"
	# iscsid goes on for a while with what a killed iscsiadm has asked for.
	[ "$1" != iscsiadm ] || iscsiadm -m node -T $iqn -l >/dev/null 2>&1
	wait_for 180 "a logout after a login interrupted by $1" logged_out
	count=$((count + 1)) interrupted=$((interrupted + 1))
}
settled() { [ "$(objects)" = "$(cat /run/objects)" ]; }

whole
broken target
whole
objects >/run/objects
memory >/run/memory
! cmp -s /run/objects /run/logged-in || fail "a session makes no difference to: $(cat /run/objects)"
first=$count
hows=(target iscsiadm device iscsiadm)
for round in $(seq 0 "$(soak 3 248)"); do
	whole
	broken "${hows[round % 4]}"
done
wait_for 60 "objects as in the beginning: $(cat /run/objects)" settled
objects
memory >/run/memory-end
cp /run/memory /run/memory-end $results
cycles=$((count - first))
diff /run/memory /run/memory-end | grep '^>' | head -20
# A leak of one object with each login is as many as there were logins.
join /run/memory /run/memory-end | awk -v n=$cycles '$3 - $2 >= n {print $1 ": " $2 ", then " $3; bad = 1} END {exit bad}' ||
	fail "memory became more in $cycles logins"
say "$count logins"
injected $interrupted interruptions
