#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The initiator's pings of an idle connection are answered. (LIO does not ping over iSER; that
# a target's pings are answered is seen in hostile/access.)
. /share/tests/vm/lib.sh
initiator_up
backstore d0 ramdisk 8
lio_target $iqn
lio_lun $iqn 0 d0
discover
no_trouble() {
	! dmesg | grep -iE 'ping timeout|detected conn error' || fail "a ping was not answered"
	logged_in "$session" || fail "the session is $(state_of "$session")"
}

set_node $iqn 'node.conn[0].timeo.noop_out_interval' 1
set_node $iqn 'node.conn[0].timeo.noop_out_timeout' 10
echo 1 >/sys/module/libiscsi/parameters/debug_libiscsi_conn
connect $iqn
pings() { dmesg | grep -c 'Sending nopout as ping'; }
at_least() { [ "$(pings)" -ge "$1" ]; }
before=$(pings)
# A ping is sent only after the one before was answered.
wait_for 120 "eight pings" at_least $((before + 8))
no_trouble
say "$(($(pings) - before)) pings answered"
verified "after the pings" --size="$(slow 1m 256k)"
