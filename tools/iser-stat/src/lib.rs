// SPDX-License-Identifier: GPL-2.0

//! What `iser-stat` is made of, from what the kernel says to what is shown:
//!
//! [`tree`] reads a file, [`parse`] takes its text apart, [`collect`] makes a [`model::Snapshot`]
//! of everything, [`interval`] compares two of them, [`health`] judges; [`text`], [`watch`],
//! [`json`] and [`prometheus`] show.

#![forbid(unsafe_code)]

pub mod cli;
pub mod collect;
pub mod health;
pub mod histogram;
pub mod interval;
pub mod json;
pub mod model;
pub mod parse;
pub mod prometheus;
pub mod screen;
pub mod text;
pub mod tree;
pub mod units;
pub mod watch;
