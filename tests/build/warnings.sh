#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The module builds without a warning of any tool, clippy with the kernel's lints among them.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
out=$top/build/lint
rm -rf "$out"
OUT=$out "$top/scripts/build-module" stock CLIPPY=1 modules 2>&1 | tee "$out.log"
[ "${PIPESTATUS[0]}" = 0 ] || exit 1
rm -rf "$out"
! grep -iE 'warning|error' "$out.log"
