#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Documentation/observability.rst has each tracepoint and its fields, each line of info, each counter,
# reason and metric, and none of the last three that is not there.
. "$(dirname "$0")/common"
exec python3 tests/build/observability.py
