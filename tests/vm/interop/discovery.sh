#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Discovery and login in every form of iscsiadm: records made, updated and deleted, login at
# once, discoverydb with CHAP, static records, several interfaces and several portals.
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
initiator_up
backstore d0 fileio /tmp/d0 16
second=${portal%:*}:3262
for t in 0 1; do
	lio_target $iqn$t
	lio_lun $iqn$t 0 d0
	mkdir "$config/target/iscsi/$iqn$t/tpgt_1/np/$second"
	lio_set $iqn$t np/$second/iser 1
done
st=(iscsiadm -m discovery -t st -I iser -p "$portal")
records() { iscsiadm -m node 2>/dev/null | sort; }
value() { iscsiadm -m node -T "$1" -p "$portal" 2>/dev/null | sed -n "s/^$2 = //p"; }
# What LIO sees: initiators that are logged in to a target.
initiators() { tr -d '\0' <"$config/target/iscsi/$1/tpgt_1/dynamic_sessions" | sort; }
# It frees a session some time after it has answered the logout.
nobody() { [ -z "$(initiators "$1")" ]; }

both=$(for t in 0 1; do printf '%s,1 %s\n' "$portal" $iqn$t "$second" $iqn$t; done | sort)
must "-o new" "${st[@]}" -o new
equal "records after -o new: each target by each portal" "$both" "$(records)"
must "a record of our own making" iscsiadm -m node -T ${iqn}0 -p "$portal" -o update \
	-n 'node.conn[0].timeo.noop_out_interval' -v 77

lio_target ${iqn}2
must "-o new -o old" "${st[@]}" -o new -o old
equal "records with a third target" 5 "$(records | wc -l)"
equal "a value that is kept" 77 "$(value ${iqn}0 'node.conn\[0\].timeo.noop_out_interval')"
must "-o update" "${st[@]}" -o update
equal "a value that is updated" 5 "$(value ${iqn}0 'node.conn\[0\].timeo.noop_out_interval')"
rm -f "$config/target/iscsi/${iqn}2/tpgt_1/lun"/*/* 2>/dev/null
lio_enable ${iqn}2 0
rmdir "$config/target/iscsi/${iqn}2/tpgt_1/np/$portal" "$config/target/iscsi/${iqn}2/tpgt_1" \
	"$config/target/iscsi/${iqn}2" || fail "LIO: cannot remove the third target"
must "-o delete" "${st[@]}" -o delete
equal "records after -o delete" "$both" "$(records)"
say "records: made, kept, updated, deleted"

must "login at once" "${st[@]}" -o new -o old -l
equal "sessions: two targets by two portals each" 4 "$(sessions | wc -l)"
wait_for 60 "disk by the second portal" disk_of "$(session_of ${iqn}1 | tail -n 1)" 0
disk=$(disk_of "$(session_of ${iqn}1 | tail -n 1)" 0)
verified "second portal" --size=1m
same_content /tmp/d0
must "logout" iscsiadm -m node -u
must "forget all" iscsiadm -m node -o delete
equal "records" "" "$(records)"
say "login at once, by two portals"

# A record by hand, without discovery.
must "static record" iscsiadm -m node -o new -T ${iqn}1 -p "$portal,1" -I iser
login ${iqn}1
equal "transport of the session" iser "$(iscsiadm -m session | cut -d: -f1)"
logout ${iqn}1
must "forget it" iscsiadm -m node -o delete
for t in 0 1; do wait_for 60 "the end of the sessions at ${iqn}$t" nobody ${iqn}$t; done
say "static record"

# Several interfaces: a session by each, each with a name of its own.
iface iser.a iser $iqn-initiator-a
iface iser.b iser $iqn-initiator-b
must "two interfaces" iscsiadm -m discovery -t st -I iser.a -I iser.b -p "$portal" -o new
equal "records of two interfaces" 8 "$(iscsiadm -m node -P 1 | grep -c 'Iface Name: iser[.]')"
must "login by both" iscsiadm -m node -T ${iqn}0 -p "$portal" -l
equal "initiators at the target" "$iqn-initiator-a $iqn-initiator-b" "$(initiators ${iqn}0 | xargs)"
must "login by one" iscsiadm -m node -T ${iqn}1 -p "$portal" -I iser.b -l
equal "initiators at the other target" "$iqn-initiator-b" "$(initiators ${iqn}1 | xargs)"
must "logout" iscsiadm -m node -u
must "forget all" iscsiadm -m node -o delete
say "several interfaces"

# discoverydb, to a target that wants CHAP for discovery, in both directions.
auth=$config/target/iscsi/discovery_auth
for a in userid=finder password=finders-secret-1 userid_mutual=portal password_mutual=portals-secret-2 \
	enforce_discovery_auth=1; do
	echo -n "${a#*=}" >"$auth/${a%=*}" || fail "LIO: $a"
done
sed -i 's/^discovery.sendtargets.reopen_max.*/discovery.sendtargets.reopen_max = 1/' /etc/iscsi/iscsid.conf
db=(iscsiadm -m discoverydb -t st -I iser -p "$portal")
must "discovery record" "${db[@]}" -o new
found() { "${db[@]}" -o new --discover >/run/found 2>&1; }
db_set() { must "set $1" "${db[@]}" -o update -n "discovery.sendtargets.auth.$1" -v "$2"; }
db_set authmethod CHAP
db_set username finder
db_set password wrong-secret-0
! found || fail "discovery with a wrong password: $(cat /run/found)"
equal "records without the right password" "" "$(records)"
equal "sessions left" "" "$(sessions)"
db_set password finders-secret-1
db_set username_in portal
db_set password_in portals-secret-2
wait_for 60 "discovery with CHAP in both directions" found
equal "records by discoverydb" "$both" "$(records)"
must "forget the portal" "${db[@]}" -o delete
equal "sessions left" "" "$(sessions)"
say "discoverydb with CHAP"
