#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# PDUs by chance against the driver: it ends connections, makes new ones, and nothing else;
# afterwards it carries I/O. make fuzz is the long run.
# only: ib_iser_rs
# guest: --limit 900
. /share/tests/vm/lib.sh
rxe_up "${portal%:*}"
load_driver
# As iscsid_up does, but without iscsid: the fuzzer takes its place.
modprobe -a scsi_transport_iscsi libiscsi sd_mod sg || fail "no iSCSI in this kernel"
/share/tests/hostile/fuzz --count "${COUNT:-4000}" ${SEED:+--seed "$SEED"} 3>&- 4>&- || fail "fuzzer"
