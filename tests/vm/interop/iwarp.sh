#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# iWARP, by siw: discovery, login, verified I/O of several sizes, a LUN reset, logout.
#
# No connection is lost, see iwarp-loss: LIO's timer of Time2Retain makes lockdep report LIO's own
# locks (iscsit_handle_time2retain_timeout()).
# kernel: debug
. /share/tests/vm/lib.sh
. /share/tests/vm/interop.sh
lio_over_siw
discover
connect $iqn
say "logged in"

sizes 1m 512 4k 64k 256k
verified "iWARP" --iodepth=4 "${jobs[@]}"
same_content /tmp/d0
say "verified"
must "reset of the LUN" sg_reset --device --no-escalate "$(sg_of "$session" 0)"
logout $iqn
