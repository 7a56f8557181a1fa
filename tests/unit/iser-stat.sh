#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# iser-stat on trees in place of sysfs: what it lists, judges, draws and exports, with malformed
# input, in terminals of all sizes, and while sessions come and go; clippy; its manual page.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top/tools/iser-stat" || exit 1
status=0
"$top/scripts/cargo" test --release --features man || status=1
"$top/scripts/cargo" clippy --release --features man --all-targets -- -D warnings || status=1
"$top/scripts/in-buildroot" rustfmt --check --edition 2021 src/lib.rs src/main.rs src/bin/man.rs tests/all/main.rs ||
	status=1
"$top/scripts/build-tools" || status=1
# The manual page is one that man can show, and names every option.
page=$top/build/iser-stat.8
for name in hung latency watch json textfile interval older-than; do
	grep -q "${name//-/.*}" "$page" || {
		echo "iser-stat.8 does not name $name"
		status=1
	}
done
exit $status
