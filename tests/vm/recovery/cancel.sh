#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Who gives up while a connection is being made loses nothing but that: iscsiadm and iscsid
# are killed in the middle of it, then all works as before.
# guest: --peer target --disk 16M
. /share/tests/vm/lib.sh
remote_target

# A killed iscsiadm leaves its endpoint behind: an attempt to connect is seen by one more.
endpoints() { find /sys/class/iscsi_endpoint -mindepth 1 | wc -l; }
connecting() { [ "$(endpoints)" -gt "$before" ]; }

# The address answers ARP, but the packets of the connection go nowhere.
for n in 1 2 3; do
	must "drop packets" on target "modprobe sch_netem && tc qdisc replace dev eth0 root netem loss 100%"
	ip neigh replace 10.0.0.2 lladdr "$(on target cat /sys/class/net/eth0/address)" dev eth0
	before=$(endpoints)
	iscsiadm -m discovery -t st -I iser -p "$portal" >/run/cancelled 2>&1 3>&- 4>&- &
	busy=$!
	wait_for 30 "an attempt to connect" connecting
	kill -9 $busy
	wait $busy
	say "round $n: iscsiadm killed while connecting"
	must "let packets through" on target "tc qdisc del dev eth0 root"
	iscsiadm -m discovery -t st -I iser -p "$portal" || fail "discovery after round $n"
done

must "drop packets" on target "tc qdisc replace dev eth0 root netem loss 100%"
before=$(endpoints)
iscsiadm -m node -T $iqn -l >/run/cancelled 2>&1 3>&- 4>&- &
busy=$!
wait_for 30 "an attempt to connect" connecting
kill -9 $busy $(pidof iscsid)
wait $busy
must "let packets through" on target "tc qdisc del dev eth0 root"
# What a killed iscsid leaves behind, the next one may clean up.
iscsid 3>&- 4>&- || fail "iscsid does not start again"
wait_for 30 "iscsid" iscsiadm -m iface
wait_for 180 "login after it" iscsiadm -m node -T $iqn -l
session=$(session_of $iqn | tail -n 1)
wait_for 60 "disk" disk_of "$session" 0
disk=$(disk_of "$session" 0)
verified "after it" --size="$(slow 1m 256k)"
# The endpoint of the killed iscsid has no owner in user space. That it does not keep the
# driver from being unloaded is seen at the end, as in every test.
