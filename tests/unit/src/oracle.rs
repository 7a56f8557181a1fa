// SPDX-License-Identifier: GPL-2.0

//! The rules, stated a second time and held against what `wire.rs` does.
//!
//! Where `wire.rs` uses masks and slices, this uses arithmetic and offsets from the start of the
//! message, so that the same slip is not made twice.

use crate::wire::{Capabilities, ControlHeader, Pdu, ProtocolErrorKind, RemoteBuffer};

/// What should be said of a received message: the rule that it breaks, or nothing.
pub fn verdict(message: &[u8]) -> Option<&'static str> {
    if message.len() < 28 {
        return Some("too_short");
    }
    // RFC 7145 9.1: opcode 1, in the high nibble, is the control-type PDU.
    if message[0] / 16 != 1 {
        return Some("iser_opcode");
    }
    // RFC 7145 9.2: the next two bits are WSV and RSV. Then come two reserved ones.
    if message[0] % 16 / 4 != 0 {
        return Some("iser_flags");
    }
    if message.len() < 28 + 48 {
        return Some("too_short");
    }

    // RFC 7143 11.2.1.2; the upper two bits are not part of the opcode.
    let opcode = message[28] % 64;
    if ![0x20, 0x21, 0x22, 0x23, 0x24, 0x26, 0x32, 0x3f].contains(&opcode) {
        return Some("opcode");
    }
    // RFC 7143 11.2: responses have no additional header segments.
    if message[32] > 0 {
        return Some("ahs_present");
    }
    // RFC 7143 11.1 and 11.2.1.6: the data segment, with or without padding to four bytes.
    let length = claimed(message);
    let received = message.len() - 76;
    if received < length || received > length.div_ceil(4) * 4 {
        return Some("data_segment_length");
    }

    let data = &message[76..76 + length];
    match opcode {
        // RFC 7143 11.4.7, if response (11.4.3) and status (11.4.2) say that there is sense.
        0x21 if message[30] == 0 && message[31] == 2 => match length {
            0 => None,
            1 => Some("sense_length"),
            _ if usize::from(data[0]) * 256 + usize::from(data[1]) > length - 2 => {
                Some("sense_length")
            }
            _ => None,
        },
        // RFC 7143 11.17
        0x3f if length < 48 => Some("rejected_header"),
        // RFC 7143 11.19, 11.6, 11.15.2
        0x20 | 0x22 | 0x26 if length > 0 => Some("unexpected_data"),
        _ => None,
    }
}

/// DataSegmentLength.
fn claimed(message: &[u8]) -> usize {
    message[33..36]
        .iter()
        .fold(0, |sum, byte| sum * 256 + usize::from(*byte))
}

/// Parses a received message and panics if anything about the result is wrong. Returns the rule that
/// was broken, if one was.
pub fn check_pdu(message: &[u8]) -> Option<&'static str> {
    let verdict = verdict(message);

    match (Pdu::parse(message), verdict) {
        (Ok(pdu), None) => {
            let length = claimed(message);
            assert_eq!(pdu.opcode() as u8, message[28] % 64);
            assert_eq!(pdu.bhs()[..], message[28..76]);
            assert_eq!(pdu.data(), &message[76..76 + length]);
            assert_eq!(pdu.received_data(), &message[76..]);
            assert_eq!(Pdu::parsed(message), Some((pdu.bhs(), pdu.data())));
            assert_eq!(pdu.itt().to_ne_bytes()[..], message[44..48]);
            assert_eq!(pdu.is_reserved_itt(), message[44..48] == [0xff; 4]);
            assert_eq!(pdu.stat_sn().to_be_bytes()[..], message[52..56]);
            // RFC 7143 11.13: T, NSG 3, Status-Class 0.
            let full_feature = message[28] % 64 == 0x23
                && message[29] / 128 == 1
                && message[29] % 4 == 3
                && message[64] == 0;
            assert_eq!(pdu.login_stage_is_full_feature(), full_feature);
        }
        (Err(error), Some(rule)) => {
            assert_eq!(error.kind().name(), rule, "{error}");
            assert_eq!(error.as_str(), rule);
            assert!(error.kind().index() < ProtocolErrorKind::COUNT);
            assert!(!error.to_string().is_empty());
        }
        (Ok(_), Some(rule)) => panic!("accepted, but breaks {rule}"),
        (Err(error), None) => panic!("refused, but breaks no rule: {error}"),
    }

    if let Some(header) = message.first_chunk() {
        check_control_header(header);
    }
    verdict
}

/// Reads an iSER header, and panics if the result is wrong or does not lead back to the header.
fn check_control_header(header: &[u8; 28]) {
    let Ok(decoded) = ControlHeader::decode(header) else {
        assert_ne!(header[0] / 16, 1);
        return;
    };
    assert_eq!(header[0] / 16, 1);
    let buffer = |valid: bool, at: usize| {
        valid.then(|| RemoteBuffer {
            stag: u32::from_be_bytes(header[at..at + 4].try_into().unwrap()),
            base: u64::from_be_bytes(header[at + 4..at + 12].try_into().unwrap()),
        })
    };
    assert_eq!(decoded.write, buffer(header[0] % 16 / 8 == 1, 4));
    assert_eq!(decoded.read, buffer(header[0] % 8 / 4 == 1, 16));

    // What is reserved or not valid is sent as zero.
    let mut canonical = *header;
    canonical[0] &= 0xfc;
    canonical[1..4].fill(0);
    if decoded.write.is_none() {
        canonical[4..16].fill(0);
    }
    if decoded.read.is_none() {
        canonical[16..28].fill(0);
    }
    assert_eq!(decoded.encode(), canonical);
}

/// Reads private data and panics if the result is wrong.
pub fn check_private_data(data: &[u8]) {
    let capabilities = Capabilities::decode(data);
    // Bits 7 and 6 of the first byte say what the peer does not do.
    let can = |weight: u8| data.first().is_some_and(|flags| flags / weight % 2 == 0);
    assert_eq!(capabilities.zero_based_va, can(128));
    assert_eq!(capabilities.send_with_invalidate, can(64));
    assert_eq!(Capabilities::decode(&capabilities.encode()), capabilities);
    assert_eq!(capabilities.encode()[0] % 64, 0);
    assert_eq!(capabilities.encode()[1..], [0, 0, 0]);
}
