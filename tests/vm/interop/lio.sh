#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# LIO as an administrator sets it up, with targetcli on a whole system, and the stock
# services: discovery, login, verified I/O of all sizes by iSER and by TCP at the same time
# to one disk, the target restarted under I/O, logout.
# guest: --systemd --append net.ifnames=0 --limit 400
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
# Nothing is loaded by this test: whatever asks for ib_iser gets this driver.
[ "$DRIVER" = ib_iser ] || cp /share/modprobe.conf "/etc/modprobe.d/$DRIVER.conf"
# It has the port, where it is installed too.
systemctl stop tgt
rxe_up "${portal%:*}"
truncate -s 128M /tmp/d0
targetcli() { must "targetcli $1" /usr/bin/targetcli "$@"; }
targetcli set global auto_add_default_portal=false auto_save_on_exit=false
targetcli /backstores/fileio create name=d0 file_or_dev=/tmp/d0
targetcli /iscsi create $iqn
targetcli /iscsi/$iqn/tpg1/luns create /backstores/fileio/d0
targetcli /iscsi/$iqn/tpg1 set attribute authentication=0 demo_mode_write_protect=0 generate_node_acls=1 cache_dynamic_acls=1
tcp=${portal%:*}:3261
targetcli /iscsi/$iqn/tpg1/portals create "${portal%:*}" "${portal#*:}"
targetcli "/iscsi/$iqn/tpg1/portals/$portal" enable_iser true
targetcli /iscsi/$iqn/tpg1/portals create "${tcp%:*}" "${tcp#*:}"

discover
only_driver
must "discovery by TCP" iscsiadm -m discovery -o new -o old -t st -I default -p "$tcp"
# By TCP it names both portals, by iSER only those for it.
must "no TCP to the portal for iSER" iscsiadm -m node -T $iqn -p "$portal" -I default -o delete
login $iqn
for s in $(session_of $iqn); do
	wait_for 60 "disk of $s" disk_of "$s" 0
done
by() { iscsiadm -m session | sed -n "s/^$1: \[\([0-9]*\)\].*/session\1/p"; }
iser=$(disk_of "$(by iser)" 0) tcp=$(disk_of "$(by tcp)" 0)
[ "$iser" != "$tcp" ] || fail "one disk by both transports"

# At the same time, each in its half; then each reads what the other has written.
disk=$iser
sizes 4m 512 4k 8k 12k 64k 128k 256k 512k 1m 4m
verified "iser" --iodepth=4 "${jobs[@]}" 3>&- 4>&- &
io=$!
disk=$tcp
verified "tcp" --iodepth=4 --offset=64m --size="$(slow 24m 4m)" --bs=64k
wait $io || fail "verified I/O by iSER"
for d in $iser $tcp; do
	disk=$d
	same_content /tmp/d0
done
say "verified by iSER and TCP at the same time"

disk=$iser
for s in $(by iser); do session=$s; done
kept "$session"
traffic_start
lost() { ! logged_in "$session"; }
for n in 1 2; do
	targetcli "/iscsi/$iqn/tpg1" disable
	wait_for 60 "loss of the connection" lost
	targetcli "/iscsi/$iqn/tpg1" enable
	wait_for 120 "the session" logged_in "$session"
	traffic_moves
	say "back, round $n"
done
traffic_stop
same_content /tmp/d0
must "logout" iscsiadm -m node -u
equal "sessions" "" "$(sessions)"
