#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The module's documentation, that of private items too, builds without warnings.
. "$(dirname "$0")/common"
build_from_scratch
# rustdoc takes what rustc was called with, less what only a compiler knows.
command=$(sed -n 's/^savedcmd_[^ ]* := //p' "$out/rust/.ib_iser_rs.o.cmd" | sed 's/ ; .*//')
[ -n "$command" ] || { echo "no saved command of rustc"; exit 1; }
command=$(sed -E 's/ rustc / rustdoc /; s/ --emit=[^ ]*//g; s/ -C[a-z-]+=[^ ]*//g; s/ -Z(binary_dep_depinfo|function-sections|tune-cpu|cf-protection|no-jump-tables|function-return|patchable-function-entry)[^ ]*//g; s/ --out-dir [^ ]*//; s/ -o [^ ]*//' <<<"$command")
export_bindings="export RUSTC_BOOTSTRAP=1 IB_ISER_RS_BINDINGS=$out/rust/bindings/generated.rs"
scripts/in-buildroot sh -c "cd '$out' && $export_bindings && \
	$command --document-private-items --out-dir '$out/doc' -Dwarnings -Arustdoc::private_intra_doc_links" || exit 1
[ -f "$out/doc/ib_iser_rs/index.html" ] || { echo "no documentation was made"; exit 1; }
echo "documentation of $(find "$out/doc" -name '*.html' | wc -l) pages, no warnings"
