#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Pings of an idle connection are answered in both directions: the initiator's NOP-Out by
# the target, the target's NOP-In by the initiator.
. /share/tests/vm/lib.sh
initiator_up
backstore d0 ramdisk 8
lio_target $iqn
lio_lun $iqn 0 d0
# The target pings as often as it can, and drops who does not answer.
mkdir -p "$config/target/iscsi/$iqn/tpgt_1/acls/iqn.1993-08.org.debian:01:guest"
acl=acls/iqn.1993-08.org.debian:01:guest
mkdir "$config/target/iscsi/$iqn/tpgt_1/$acl/lun_0"
ln -s "$config/target/iscsi/$iqn/tpgt_1/lun/lun_0" "$config/target/iscsi/$iqn/tpgt_1/$acl/lun_0/d0"
lio_set $iqn $acl/attrib/nopin_timeout 3
lio_set $iqn $acl/attrib/nopin_response_timeout 3
discover
set_node $iqn 'node.conn[0].timeo.noop_out_interval' 1
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 10
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_conn
connect $iqn

pings() { dmesg | grep -c 'Sending nopout as ping'; }
at_least() { [ "$(pings)" -ge "$1" ]; }
before=$(pings)
begin=$SECONDS
# A ping is sent only after the one before was answered.
wait_for 120 "eight pings" at_least $((before + 8))
idle() { [ $((begin + 12)) -le $SECONDS ]; }
wait_for 60 "12 s of idle connection" idle
dmesg | grep -iE 'ping timeout|detected conn error' && fail "a ping was not answered"
dmesg | grep -i 'nopin' | grep -iE 'timeout|did not' && fail "the target had no answer to its ping"
logged_in "$session" || fail "the session is $(state_of "$session")"
say "$(($(pings) - before)) pings answered"
verified "after the pings" --size=1m
