#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# iWARP, by siw: discovery, login, verified I/O of several sizes, a LUN reset, logout.
#
# No connection is lost, see iwarp-loss: LIO's timer of Time2Retain makes lockdep report LIO's own
# locks (iscsit_handle_time2retain_timeout()).
# kernel: debug
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
siw_up
lio_up
load_driver
iscsid_up
backstore d0 fileio /tmp/d0 16
# LIO listens at a portal's TCP port by itself, too, and with iWARP it is one and the same: that
# socket goes to a network where nobody asks for it.
must "a portal of LIO" unshare --net sh -euc 'ip link set lo up; ip addr add "${2%:*}/32" dev lo
	mkdir -p "$0/target/iscsi/$1/tpgt_1/np/$2"' $config $iqn "$portal"
lio_target $iqn
lio_lun $iqn 0 d0
discover
connect $iqn
say "logged in"

sizes 1m 512 4k 64k 256k
verified "iWARP" --iodepth=4 "${jobs[@]}"
same_content /tmp/d0
say "verified"
must "reset of the LUN" sg_reset --device --no-escalate "$(sg_of "$session" 0)"
logout $iqn
