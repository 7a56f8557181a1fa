#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# PDUs that a target must not send: the connection ends with one line in the log, or the
# PDU is ignored; no I/O is lost, no memory changed, and the session works again.
# only: ib_iser_rs
# guest: --limit 900
. /share/tests/vm/lib.sh
. /share/tests/vm/hostile.sh
hostile_test pdus
