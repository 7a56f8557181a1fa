#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Remote invalidation that was not agreed upon, of a key that is another's, or left out.
# only: ib_iser_rs
# guest: --limit 600
. /share/tests/vm/lib.sh
. /share/tests/vm/hostile.sh
hostile_test invalidation
