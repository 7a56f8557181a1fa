#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The wire format: round trips, every length, opcode and flag, arbitrary and mutated PDUs;
# with cargo and the crates of the build root, so without network.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top/tests/unit" || exit 1
cargo() { "$top/scripts/cargo" "$@"; }
cargo test || exit 1
cargo run --release --bin fuzz-wire -- 2000000 "${SEED:-1}"
