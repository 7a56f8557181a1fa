#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The driver has no unsafe code and no bindings: the compiler refuses them, and this
# checks that it is told to. Every unsafe block elsewhere says why it is sound.
. "$(dirname "$0")/common"
status=0
grep -qx '#!\[forbid(unsafe_code)\]' rust/iser/mod.rs || {
	echo "rust/iser/mod.rs does not forbid unsafe code"
	status=1
}
if grep -nE 'bindings::|\bunsafe\b' rust/iser/*.rs | grep -v 'forbid(unsafe_code)'; then
	echo "rust/iser names bindings or unsafe"
	status=1
fi
# rustc is the judge of the first: with an unsafe block in the driver it must fail.
mkdir -p build
copy=$(mktemp -d "$top/build/safety.XXXXXX")
trap 'rm -rf "$copy"' EXIT
cp -r rust Kbuild scripts "$copy"
echo 'pub(super) fn broken() { unsafe { core::hint::unreachable_unchecked() } }' >>"$copy/rust/iser/command.rs"
if OUT=$copy/build "$copy/scripts/build-module" stock >"$copy/log" 2>&1; then
	echo "unsafe code in the driver compiles"
	status=1
elif ! grep -q 'unsafe_code' "$copy/log"; then
	cat "$copy/log"
	status=1
fi
exit $status
