// SPDX-License-Identifier: GPL-2.0

//! Tests of the whole, on trees in place of /sys; one program, which builds faster.

mod commands;
mod fixture;
mod metrics;
mod races;
mod screen;
