#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# When a lost connection does not come back in replacement_timeout, I/O fails with an error
# instead of hanging; logout and unload then work without the target.
# guest: --peer target --disk 64M
. /share/tests/vm/lib.sh
remote_target
set_node $iqn node.session.timeo.replacement_timeout 10
set_node $iqn 'node.conn[0].timeo.logout_timeout' 5
connect $iqn
verified "before" --size="$(slow 1m 256k)"

vm_kill target
dd if=/dev/zero of="$disk" bs=64k count=64 oflag=direct 3>&- 4>&- 2>/run/dd &
io=$!
gone() { ! kill -0 $io 2>/dev/null; }
wait_for 180 "the end of I/O" gone
! wait $io || fail "I/O to a target that is gone succeeded"
grep -qi 'error' /run/dd || fail "no I/O error: $(cat /run/dd)"
say "$(head -n 1 /run/dd)"
begin=$SECONDS
timeout 120 iscsiadm -m node -u || fail "logout without the target"
equal "sessions" "" "$(sessions)"
say "logout took $((SECONDS - begin)) s"
