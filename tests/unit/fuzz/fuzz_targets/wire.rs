// SPDX-License-Identifier: GPL-2.0

//! Any bytes, as a received message and as private data.

#![no_main]

use iser_wire_tests::oracle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    oracle::check_private_data(bytes);
    oracle::check_pdu(bytes);
});
