#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A target that does not answer, refuses for any reason, hangs up at any moment or answers
# the login with nonsense: the login fails in time, or the session comes back; nothing is
# left over.
# only: ib_iser_rs
# module: refuse
# guest: --limit 1200
. /share/tests/vm/lib.sh
. /share/tests/vm/hostile.sh
rxe_up "${portal%:*}"
load_driver
# Before iscsid, as it speaks to the transport itself.
modprobe -a scsi_transport_iscsi refuse || fail "no module refuse"
python3 $here/hostile/refused.py "${portal%:*}" 3262 3>&- 4>&- || fail "refusals"
iscsid_up
judge connect
