#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Discovery and login to an address that cannot work end in bounded time, with an error,
# and leave nothing behind; so does a device that cannot register memory. Then the right
# address works.
# module: no_registration
. /share/tests/vm/lib.sh
initiator_up
backstore d0 ramdisk 16
lio_target $iqn
lio_lun $iqn 0 d0
lio_target ${iqn}-tcp 10.0.0.1:3270 tcp
sed -i 's/^discovery.sendtargets.reopen_max.*/discovery.sendtargets.reopen_max = 1/' /etc/iscsi/iscsid.conf
ip link add dummy0 type dummy && ip link set dummy0 up && ip addr add 10.9.0.1/24 dev dummy0
ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev dummy0

try() { # WHAT PORTAL REASON
	local rc begin=$SECONDS
	timeout 120 iscsiadm -m discovery -o new -o old -t st -I iser -p "$2" -l >/run/refused 2>&1
	rc=$?
	[ $rc != 0 ] || fail "$1: discovery at $2 succeeded: $(cat /run/refused)"
	[ $rc != 124 ] || fail "$1: no end after 120 s"
	[ -s /run/refused ] || fail "$1: no word about what is wrong"
	say "$1: status $rc after $((SECONDS - begin)) s: $(tail -n 1 /run/refused)"
	equal "$1: sessions" "" "$(sessions)"
	equal "$1: endpoints" "" "$(ls /sys/class/iscsi_endpoint)"
	# The driver gives its reason, in a line of its own.
	[ "$DRIVER" != ib_iser_rs ] || dmesg | grep -q "ib_iser_rs: $2: $3" || fail "$1: no line '$2: $3' in the log"
	kill -0 "$(pidof iscsid | cut -d' ' -f1)" || fail "$1: iscsid is gone"
}

try "no route" 192.0.2.1:3260 "cannot connect, at address: no RDMA device has a route to this address"
try "no RDMA device" 10.9.0.2:3260 "cannot connect, at address: no RDMA device leads there"
try "nobody listens" 10.0.0.1:3999 "cannot connect, at answer of the portal: refused"
try "nobody there" 10.0.0.77:3260 "cannot connect, at address: no answer"
try "TCP portal" 10.0.0.1:3270 "cannot connect, at answer of the portal: refused"
must "device without registration" modprobe no_registration netdev=eth0
try "no registration" "$portal" "cannot connect, at address: device rxe_eth0 cannot register memory"
must "device with registration" modprobe -r no_registration
discover
connect $iqn
verified "the right address" --size="$(slow 1m 256k)"
