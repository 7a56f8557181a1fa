#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The target's machine is gone from one moment to the next and is started again: I/O waits
# and goes on, and what was acknowledged before is still there.
# guest: --peer target --disk 64M
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 300
connect $iqn
# A region that is written before and never after.
must "write" dd if=/dev/urandom of="$disk" bs=1M count=8 seek=32 oflag=direct
before=$(dd if="$disk" bs=1M count=8 skip=32 iflag=direct status=none | sha256sum)
traffic_start

vm_kill target
say "target killed"
lost() { ! logged_in "$session"; }
wait_for 120 "notice of the loss" lost
vm_start target
remote_target_up
say "target started again"
wait_for 240 "the session" logged_in "$session"
traffic_moves
traffic_stop
equal "what was written before" "$before" \
	"$(dd if="$disk" bs=1M count=8 skip=32 iflag=direct status=none | sha256sum)"
