#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The driver cannot be unloaded while a session uses it, and leaves nothing behind when it
# is: loaded and unloaded again and again, with sessions in between.
. /share/tests/vm/lib.sh
one_disk ramdisk 16
traffic_start
! modprobe -r "$DRIVER" 2>/run/refused || fail "unloaded under a session"
grep -q 'in use' /run/refused || fail "the error is: $(cat /run/refused)"
! rmmod "$DRIVER" 2>/dev/null || fail "rmmod unloaded it under a session"
logged_in "$session" || fail "the session is $(state_of "$session")"
traffic_moves
traffic_stop
logout $iqn
unload_driver

cycles=$(slow 50 10)
for n in $(seq "$cycles"); do
	must "load $n" modprobe "$DRIVER"
	[ -d /sys/class/iscsi_transport/iser ] || fail "no transport after load $n"
	if ((n % (cycles / 5) == 0)); then
		connect $iqn
		verified "session-$n" --size=256k
		logout $iqn
		unload_driver
	else
		must "unload $n" modprobe -r "$DRIVER"
	fi
	[ ! -e /sys/class/iscsi_transport/iser ] || fail "the transport is still there after unload $n"
done
say "$cycles times, with 5 sessions"
load_driver
