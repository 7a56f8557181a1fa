#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A target that does not answer, refuses, hangs up at any moment or answers the login with
# nonsense: the login fails in time, or the session comes back; nothing is left over.
# only: ib_iser_rs
# guest: --limit 1200
# by name: takes five minutes, and one attack of 32 (hangs-up-behind-login) is not stood yet
. /share/tests/vm/lib.sh
. /share/tests/vm/hostile.sh
hostile_test connect
