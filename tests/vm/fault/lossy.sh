#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Verified I/O goes on over a network that goes on to lose and to reorder packets.
# guest: --peer target --disk 64M --limit 600
# by name: now and then, and with packets out of order, I/O does not go on; the cause is not known
. /share/tests/vm/lib.sh
. /share/tests/vm/fault.sh
bad_networks
# Commands of one packet each, one after the other, rxe mostly carries over such a network. It
# repeats what was not acknowledged, and with that the registration of memory for commands that
# follow; finds that this cannot be done, and the queue pair ends (7.3: req_retry() and
# rxe_do_local_ops()). This happens at the first packet that is lost of many commands, or when
# the answer to a command overtakes the news of a packet of it that is missing; with ib_iser, too.
traffic_start --bs=2k --size=64k --iodepth=1
for percent in $(soak 1 "1 2 5 1 2 5"); do
	through "$percent % lost" loss "$percent%"
done
[ $dropped -gt 0 ] || fail "no packet was lost"
through "a quarter of them out of order" delay 2ms reorder 75% 50%
through "all of it" delay 2ms 1ms loss 1% duplicate 2% reorder 90% 50%
traffic_stop

equal "sessions" "$session" "$(sessions)"
same_disk
injected $dropped "packets lost"
