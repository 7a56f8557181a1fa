// SPDX-License-Identifier: GPL-2.0

//! Tests of `rust/iser/wire.rs`, on the host.
//!
//! The file is compiled as it is in the kernel module. What it decides is held against
//! [`oracle`], which states the rules a second time, from the RFCs and in another manner; so a
//! check that is missing, too strict or too lax is seen as soon as an input touches it. Inputs come
//! from the exhaustive tests of `tests/`, from proptest, from the driver `fuzz-wire` and from
//! libFuzzer (`fuzz/`).
//!
//! - `cargo test`
//! - `cargo run --release --bin fuzz-wire -- <iterations> <seed>`
//! - `cargo fuzz run wire` (needs cargo-fuzz and a nightly compiler); for a start that is not blind,
//!   `cargo run --bin fuzz-wire -- --corpus fuzz/corpus/wire` first

#![forbid(unsafe_code)]

// Only the tests use all of it.
#[cfg_attr(not(test), allow(dead_code))]
#[path = "../../../rust/iser/wire.rs"]
mod wire;

pub mod mutate;
pub mod oracle;
pub mod seeds;

#[cfg(test)]
mod tests {
    mod errors;
    mod headers;
    mod pdus;
    mod properties;
}
