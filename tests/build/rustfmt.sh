#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The module's Rust is formatted as the kernel's configuration of rustfmt says.
. "$(dirname "$0")/common"
scripts/build-module stock >/dev/null || exit 1
kernel=$(readlink "$(ls -td build/*/kernel | head -n 1)")
scripts/in-buildroot rustfmt --check --edition 2021 \
	--config-path "$kernel/linux/.rustfmt.toml" rust/ib_iser_rs.rs
