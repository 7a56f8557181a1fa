// SPDX-License-Identifier: GPL-2.0
/* The tracepoints themselves, and how Rust calls them. */
#include "helpers.h"

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "../trace/iser_rs.h"
