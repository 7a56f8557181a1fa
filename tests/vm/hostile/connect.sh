#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A target that does not answer, refuses, hangs up at any moment or answers the login with
# nonsense: the login fails in time, or the session comes back; nothing is left over.
# guest: --limit 1200
. /share/tests/vm/lib.sh
. /share/tests/vm/hostile.sh
hostile_test connect
