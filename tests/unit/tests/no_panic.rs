// SPDX-License-Identifier: GPL-2.0

//! The compiler itself has found no way to a panic: its output calls no function of
//! `core::panicking`, although bounds and overflows are checked. In the kernel a panic is a BUG.

use std::{env, fs, path::Path, process::Command};

/// Uses of all that `wire.rs` does with bytes, in a form that the compiler does not leave out.
const USES: &str = "
use core::fmt;
use wire::*;

#[inline(never)]
pub fn received(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match Pdu::parse(bytes) {
        Ok(pdu) => write!(
            f,
            \"{pdu:?} {:?} {:?} {:?} {:?} {} {} {} {}\",
            pdu.opcode(),
            pdu.bhs(),
            pdu.data(),
            pdu.received_data(),
            pdu.itt(),
            pdu.is_reserved_itt(),
            pdu.stat_sn(),
            pdu.login_stage_is_full_feature(),
        ),
        Err(error) => write!(f, \"{error} {} {}\", error.as_str(), error.kind().index()),
    }
}

#[inline(never)]
pub fn parsed(bytes: &[u8]) -> Option<usize> {
    Pdu::parsed(bytes).map(|(bhs, data)| usize::from(bhs[0]) + data.len())
}

#[inline(never)]
pub fn request(bhs: &[u8; 48]) -> bool {
    login_request_enters_full_feature(bhs)
}

#[inline(never)]
pub fn control_header(bytes: &[u8; 28]) -> Option<[u8; 28]> {
    Some(ControlHeader::decode(bytes).ok()?.encode())
}

#[inline(never)]
pub fn private_data(bytes: &[u8]) -> [u8; 4] {
    Capabilities::decode(bytes).encode()
}
";

/// Compiles a library and returns the assembly.
fn assembly(name: &str, source: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let input = folder.join(format!("{name}.rs"));
    let output = folder.join(format!("{name}.s"));
    fs::write(&input, source).unwrap();

    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let options = "--edition=2021 --crate-type=lib --emit=asm \
        -Copt-level=2 -Coverflow-checks=on -Cpanic=abort -Ccodegen-units=1 -Adead_code";
    let status = Command::new(rustc)
        .args(options.split_whitespace())
        .arg(input)
        .arg("-o")
        .arg(&output)
        .status()
        .unwrap();
    assert!(status.success());
    fs::read_to_string(output).unwrap()
}

#[test]
fn wire_does_not_panic() {
    let wire = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rust/iser/wire.rs");
    let head = format!("#![no_std]\n#![forbid(unsafe_code)]\n#[path = {wire:?}]\nmod wire;\n");
    let assembly = assembly("wire", &(head + USES));
    for function in ["received", "parsed", "request", "control_header", "private_data"] {
        assert!(assembly.contains(function), "{function} was left out");
    }
    let panics: Vec<_> = assembly.lines().filter(|l| l.contains("panic")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
}

/// This test is able to see one.
#[test]
fn a_panic_is_seen() {
    let source = "#![no_std]\n#[inline(never)]\npub fn first(b: &[u8]) -> u8 { b[0] }\n";
    assert!(assembly("panics", source).contains("panic"));
}
