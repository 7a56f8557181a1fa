#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The wire format: round trips, every length, opcode and flag, arbitrary and mutated PDUs;
# with cargo and the crates of the build root, so without network.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top/tests/unit" || exit 1
mkdir -p "$top/build/unit"
cargo() {
	# /usr/share/cargo/registry holds the crates that Debian packages.
	"$top/scripts/in-buildroot" env CARGO_TARGET_DIR="$top/build/unit" cargo --offline \
		--config 'source.crates-io.replace-with="debian"' \
		--config 'source.debian.directory="/usr/share/cargo/registry"' "$@"
}
cargo test || exit 1
cargo run --release --bin fuzz-wire -- 2000000 "${SEED:-1}"
status=$?
rm -f Cargo.lock
exit $status
