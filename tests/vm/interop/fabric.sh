#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# RoCE v2 over all that an Ethernet port may be: IPv6, global and link-local, a VLAN, and a
# bond whose active link is lost, with its hardware address, under verified I/O.
# guest: --peer target --links 2 --disk 64M --limit 400
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
modprobe -a 8021q bonding || fail "no VLANs or bonds in this kernel"
rxe_up 10.0.0.1
# The peer has one target by all addresses that it comes to have.
must "target in the other guest" on target "
	modprobe -a 8021q bridge
	rxe_up 10.0.0.2 && lio_up && backstore d0 iblock \$(disk disk0) &&
	lio_target $iqn 10.0.0.2:3260 && lio_lun $iqn 0 d0"
load_driver
iscsid_up

# by WHAT PORTAL - discovery, login and verified I/O; stays logged in.
by() {
	iscsiadm -m node -o delete >/dev/null 2>&1
	discover "$2"
	grep -qF "$2,1 $iqn" $results/targets || fail "$1: not among the portals: $(cat $results/targets)"
	must "login by $1" iscsiadm -m node -T $iqn -p "$2" -l
	session=$(session_of $iqn)
	equal "$1: address of the session" "${3:-$2}" "$(connected_to)"
	wait_for 60 "disk by $1" disk_of "$session" 0
	disk=$(disk_of "$session" 0)
	sizes 1m 512 4k 60k 128k 1m
	verified "by $1" --iodepth=4 "${jobs[@]}"
	say "verified by $1"
}
connected_to() {
	local c=/sys/class/iscsi_connection/connection${session#session}:0
	python3 -c 'import ipaddress, sys
address, port = ipaddress.ip_address(sys.argv[1]), sys.argv[2]
print(f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}")' "$(<"$c/address")" "$(<"$c/port")"
}
# both COMMAND… - here and there, as 1 and 2.
both() {
	local n=1
	eval "${*//@/1}" || fail "$*"
	must "$*" on target "${*//@/2}"
}
portal_for() { must "portal $1" on target "mkdir -p '$config/target/iscsi/$iqn/tpgt_1/np/$1' &&
	echo 1 >'$config/target/iscsi/$iqn/tpgt_1/np/$1/iser'"; }
settled() { ! ip -6 addr show dev "$1" | grep -q tentative; }

both ip addr add fd00::@/64 dev eth0 nodad
portal_for '[fd00::2]:3260'
by "IPv6" '[fd00::2]:3260'
logout $iqn

both ip link add link eth0 name vlan5 type vlan id 5
both ip link set vlan5 up
both ip addr add 10.0.5.@/24 dev vlan5
both ip addr add fd05::@/64 dev vlan5 nodad
portal_for 10.0.5.2:3260
portal_for '[fd05::2]:3260'
# What is sent is tagged: counted on the VLAN's device.
sent() { cat /sys/class/net/vlan5/statistics/tx_bytes; }
before=$(sent)
by "a VLAN" 10.0.5.2:3260
say "$(($(sent) - before)) bytes by the VLAN"
logout $iqn
by "a VLAN and IPv6" '[fd05::2]:3260'
logout $iqn
iscsiadm -m node -o delete

ll=$(on target "ip -6 -o addr show dev eth0 scope link" | grep -o 'fe80:[0-9a-f:]*')
for link in eth0 vlan5; do
	wait_for 30 "our link-local address" settled $link
	equal "link-local address of $link there" "$ll" "$(on target "ip -6 -o addr show dev $link scope link" | grep -o 'fe80:[0-9a-f:]*')"
done
must "portal of all addresses" on target "mkdir '$config/target/iscsi/$iqn/tpgt_1/np/[::]:3261' &&
	echo 1 >'$config/target/iscsi/$iqn/tpgt_1/np/[::]:3261/iser'"
# An address that a target names has no zone; only a record by hand can say which link.
# The VLAN has the same address as eth0, whose route comes first: the zone alone tells them apart.
for link in eth0 vlan5; do
	must "record of the link-local portal" iscsiadm -m node -o new -T $iqn -p "[$ll%$link]:3261,1" -I iser
	before=$(sent)
	must "login by link-local address" iscsiadm -m node -T $iqn -l
	session=$(session_of $iqn)
	wait_for 60 "disk by link-local address" disk_of "$session" 0
	disk=$(disk_of "$session" 0)
	verified "link-local" --size=4m --bs=64k
	by=$(($(sent) - before))
	if [ $link = eth0 ]; then ((by < 1 << 20)); else ((by > 1 << 20)); fi ||
		fail "link-local by $link: $by bytes by the VLAN"
	say "verified by $(connected_to) of $link"
	logout $iqn
	iscsiadm -m node -o delete
done

# A bond of both links here. There, a bridge: LIO does not listen any more after the address of
# its own bond has changed (isert_setup_id: rdma_bind_addr() failed: -98).
both ip link del vlan5
must "end of rxe" rdma link delete rxe_eth0
must "end of the target" on target "lio_enable $iqn 0 && rdma link delete rxe_eth0 &&
	rmdir $config/target/iscsi/$iqn/tpgt_1/np/*"
ip link add bond0 type bond mode active-backup fail_over_mac active miimon 100
must "bridge" on target ip link add br0 type bridge
for n in 0 1; do
	both ip link set eth$n down
	both ip addr flush dev eth$n
	both ip link set eth$n mtu 9000
	ip link set eth$n master bond0
	must "eth$n to the bridge" on target "ip link set eth$n master br0 && ip link set eth$n up"
done
ip link set bond0 mtu 9000 up
rxe_up 10.0.7.1 bond0
must "target over the bridge" on target "ip link set br0 mtu 9000 up && rxe_up 10.0.7.2 br0 && lio_target $iqn 10.0.7.2:3260"
by "a bond" 10.0.7.2:3260
set_node $iqn node.session.timeo.replacement_timeout 120
logout $iqn
login $iqn
session=$(session_of $iqn)
wait_for 60 "disk by the bond" disk_of "$session" 0
disk=$(disk_of "$session" 0)
traffic_start --size=2m

active() { cat /sys/class/net/bond0/bonding/active_slave; }
active_is() { [ "$(active)" = "$1" ]; }
goes_on() {
	# Until the bond sees that its link is gone, nothing can be sent.
	wait_for 120 "I/O moves" or_new_rxe bond0 more_passes $(($(wc -l <$results/passes) + 1))
	traffic_moves
}
for n in $(seq "$(soak 2 20)"); do
	old=$(active)
	new=$([ "$old" = eth0 ] && echo eth1 || echo eth0)
	mac=$(cat /sys/class/net/bond0/address)
	vm_link initiator off "${old#eth}"
	wait_for 30 "the other link" active_is "$new"
	[ "$(cat /sys/class/net/bond0/address)" != "$mac" ] || fail "the bond's address is the same as before"
	goes_on
	vm_link initiator on "${old#eth}"
	wait_for 60 "the session" logged_in "$session"
	goes_on
	say "round $n: I/O went from $old to $new"
done
equal "sessions" "$session" "$(sessions)"
traffic_stop
blockdev --flushbufs "$disk"
equal "content of the target's disk" "$(sha256sum <"$disk")" "$(on target 'd=$(disk disk0); blockdev --flushbufs "$d"; sha256sum <"$d"')"
