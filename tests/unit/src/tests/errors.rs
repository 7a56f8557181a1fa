// SPDX-License-Identifier: GPL-2.0

//! What logs and counters show.

use std::collections::BTreeSet;

use crate::wire::{ProtocolError::*, *};

fn vectors() -> Vec<(ProtocolError, &'static str, &'static str)> {
    let opcode = TargetOpcode::NopIn;
    vec![
        (
            TooShort { received: 75 },
            "too_short",
            "75 bytes, less than the headers",
        ),
        (IserOpcode { opcode: 3 }, "iser_opcode", "iSER opcode 0x3"),
        (
            IserFlags { flags: 0xc },
            "iser_flags",
            "iSER flags 0xc advertise a buffer",
        ),
        (Opcode { opcode: 5 }, "opcode", "iSCSI opcode 0x05"),
        (
            AhsPresent { len: 2 },
            "ahs_present",
            "TotalAHSLength 2 in a response",
        ),
        (
            DataSegmentLength {
                claimed: 17,
                received: 16,
            },
            "data_segment_length",
            "DataSegmentLength 17 with 16 bytes",
        ),
        (
            SenseLength {
                claimed: 20,
                available: 19,
            },
            "sense_length",
            "20 bytes of sense in 19 of data",
        ),
        (
            RejectedHeader { len: 47 },
            "rejected_header",
            "Reject with 47 bytes of a header",
        ),
        (
            UnexpectedData { opcode, len: 4 },
            "unexpected_data",
            "NopIn with 4 bytes",
        ),
    ]
}

#[test]
fn errors_have_these_names_and_texts() {
    for (error, name, text) in vectors() {
        assert_eq!(error.as_str(), name);
        assert_eq!(error.kind().name(), name);
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn kinds_are_numbered_without_gap() {
    let vectors = vectors();
    assert_eq!(vectors.len(), ProtocolErrorKind::COUNT);
    let indices: BTreeSet<_> = vectors.iter().map(|(e, ..)| e.kind().index()).collect();
    assert!(indices.into_iter().eq(0..ProtocolErrorKind::COUNT));
    let names: BTreeSet<_> = vectors.iter().map(|(e, ..)| e.kind().name()).collect();
    assert_eq!(names.len(), ProtocolErrorKind::COUNT);
}
