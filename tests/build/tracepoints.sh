#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Tracepoints and latencies cost one instruction that does nothing as long as they are off.
. "$(dirname "$0")/common"
scripts/build-module stock >&2 || exit 1
scripts/in-buildroot python3 tests/build/tracepoints.py build/ib_iser_rs.ko
