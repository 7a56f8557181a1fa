#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The module builds without a warning of rustc, clippy (with the kernel's lints), gcc,
# objtool and modpost.
. "$(dirname "$0")/common"
mkdir -p build
build_from_scratch CLIPPY=1
if grep -iE -A12 '(warning|error)(\[|:)' "$out.log"; then
	exit 1
fi
grep -q 'CLIPPY.*ib_iser_rs' "$out.log" || { cat "$out.log"; echo "clippy did not run"; exit 1; }
echo "no warnings"
