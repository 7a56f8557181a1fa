// SPDX-License-Identifier: GPL-2.0

//! Every value of every field that [`Pdu::parse`] looks at.

use crate::{
    oracle::check_pdu,
    seeds::{self, *},
    wire::*,
};

/// What data each opcode needs at least.
fn data_of(opcode: u8) -> Vec<u8> {
    match opcode {
        0x3f => bare(0x01)[28..].to_vec(),
        0x20 | 0x22 | 0x26 => vec![],
        _ => b"data".to_vec(),
    }
}

#[track_caller]
fn refused(message: &[u8], error: ProtocolError) {
    assert_eq!(Pdu::parse(message).map(|pdu| pdu.opcode()), Err(error));
    assert_eq!(check_pdu(message), Some(error.as_str()));
}

#[track_caller]
fn accepted(message: &[u8]) -> Pdu<'_> {
    assert_eq!(check_pdu(message), None);
    Pdu::parse(message).unwrap()
}

#[test]
fn corpus_is_accepted() {
    for message in seeds::corpus() {
        accepted(&message);
    }
}

#[test]
fn fields_are_where_they_are() {
    use TargetOpcode::*;
    let opcodes = [
        NopIn,
        ScsiResponse,
        TaskManagementResponse,
        LoginResponse,
        TextResponse,
        LogoutResponse,
        AsyncMessage,
        Reject,
    ];
    for (code, opcode) in OPCODES.into_iter().zip(opcodes) {
        let data = data_of(code);
        let message = pdu(code, &data);
        let parsed = accepted(&message);
        assert_eq!(parsed.opcode(), opcode);
        assert_eq!(parsed.opcode() as u8, code);
        assert_eq!(parsed.bhs()[..], message[28..76]);
        assert_eq!(parsed.data(), data);
        assert_eq!(parsed.received_data(), &message[76..]);
        assert_eq!(parsed.itt(), u32::from_ne_bytes([0x11, 0x22, 0x33, 0x44]));
        assert!(!parsed.is_reserved_itt());
        assert_eq!(parsed.stat_sn(), 0x5152_5354);
    }
}

#[test]
fn reserved_itt_is_all_ones() {
    let mut message = bare(0x20);
    message[44..48].fill(0xff);
    assert_eq!(accepted(&message).itt(), RESERVED_ITT);
    assert!(accepted(&message).is_reserved_itt());
    for at in 44..48 {
        let mut message = message.clone();
        message[at] = 0xfe;
        assert!(!accepted(&message).is_reserved_itt());
    }
}

/// From nothing to more than a login buffer holds: cut short of a long message, and as a message
/// that claims the length it has.
#[test]
fn every_length() {
    for opcode in OPCODES {
        let mut whole = bare(opcode);
        whole.resize(76 + 8192 + 4, 0);
        claim(&mut whole, 8192);
        for length in 0..=whole.len() {
            let message = &whole[..length];
            let verdict = check_pdu(message);
            if length < 76 {
                refused(message, ProtocolError::TooShort { received: length });
            } else if length != 76 + 8192 {
                let (claimed, received) = (8192, length - 76);
                refused(
                    message,
                    ProtocolError::DataSegmentLength { claimed, received },
                );
            } else {
                let no_data = matches!(opcode, 0x20 | 0x22 | 0x26);
                assert_eq!(verdict, no_data.then_some("unexpected_data"));
            }
        }
        for data in 0..=8192 {
            claim(&mut whole, data);
            check_pdu(&whole[..76 + data]);
            check_pdu(&whole[..76 + data.next_multiple_of(4)]);
        }
    }
}

#[test]
fn every_first_byte_of_the_iser_header() {
    for opcode in OPCODES {
        let mut message = pdu(opcode, &data_of(opcode));
        for first in 0..=255u8 {
            message[0] = first;
            match (first >> 4, first & 0x0f) {
                (1, 0..=3) => {
                    accepted(&message);
                }
                (1, flags) => refused(&message, ProtocolError::IserFlags { flags }),
                (opcode, _) => refused(&message, ProtocolError::IserOpcode { opcode }),
            }
        }
    }
}

/// A Hello or a HelloReply is no longer than its header, and is to be named as what it is.
#[test]
fn hello_is_refused_as_such() {
    for opcode in [2, 3] {
        let mut message = vec![0; 28];
        message[0] = opcode << 4;
        refused(&message, ProtocolError::IserOpcode { opcode });
    }
}

#[test]
fn rest_of_the_iser_header_is_ignored() {
    for at in 1..28 {
        let mut message = bare(0x21);
        message[at] = 0xff;
        accepted(&message);
    }
}

#[test]
fn every_opcode() {
    for byte in 0..=255u8 {
        let opcode = byte & 0x3f;
        let mut message = pdu(byte, &data_of(opcode));
        message[31] = 0xff;
        if OPCODES.contains(&opcode) {
            assert_eq!(accepted(&message).opcode() as u8, opcode);
        } else {
            refused(&message, ProtocolError::Opcode { opcode });
        }
    }
}

#[test]
fn every_flag_response_and_status() {
    for opcode in OPCODES {
        let mut message = pdu(opcode, &data_of(opcode));
        for at in 1..4 {
            for value in 0..=255 {
                // Sense is for another test.
                if (opcode, at, value) != (0x21, 3, 2) {
                    message[28 + at] = value;
                    accepted(&message);
                }
            }
            message[28 + at] = 0;
        }
    }
}

#[test]
fn every_ahs_length() {
    for opcode in OPCODES {
        for len in 1..=255 {
            let mut message = pdu(opcode, &data_of(opcode));
            message[32] = len;
            refused(&message, ProtocolError::AhsPresent { len });
            // Nor is it counted in what was received.
            message.resize(message.len() + 4 * usize::from(len), 0);
            refused(&message, ProtocolError::AhsPresent { len });
        }
    }
}

/// Off by one each way, with every padding and beyond it.
#[test]
fn every_data_segment_length() {
    for data in 0..=8192usize {
        let allowed = (4 - data % 4) % 4;
        let mut message = padded(0x24, &vec![0x41; data], 8);
        for extra in 0..=8 {
            let message = &message[..76 + data + extra];
            if extra <= allowed {
                let pdu = accepted(message);
                assert_eq!(pdu.data().len(), data);
                assert_eq!(pdu.received_data().len(), data + extra);
            } else {
                let (claimed, received) = (data, data + extra);
                refused(
                    message,
                    ProtocolError::DataSegmentLength { claimed, received },
                );
            }
        }
        // One byte more than there is. One less is what `extra` does.
        claim(&mut message, data + 1);
        let (claimed, received) = (data + 1, data);
        refused(
            &message[..76 + data],
            ProtocolError::DataSegmentLength { claimed, received },
        );
    }
}

/// Each of the three bytes counts, up to the largest value they hold.
#[test]
fn large_data_segment_lengths() {
    for claimed in [256, 65_535, 65_536, 65_537, 0x01_0203, 0xff_fffc, 0xff_ffff] {
        let mut message = padded(0x23, &[], 8);
        claim(&mut message, claimed);
        refused(
            &message,
            ProtocolError::DataSegmentLength {
                claimed,
                received: 8,
            },
        );
        message.resize(76 + claimed, 0);
        assert_eq!(accepted(&message).data().len(), claimed);
    }
}

#[test]
fn data_where_there_is_none() {
    for opcode in OPCODES {
        for len in 1..=260 {
            let message = pdu(opcode, &vec![0; len]);
            match opcode {
                0x20 | 0x22 | 0x26 => {
                    let opcode = accepted(&bare(opcode)).opcode();
                    refused(&message, ProtocolError::UnexpectedData { opcode, len });
                }
                0x3f if len < 48 => refused(&message, ProtocolError::RejectedHeader { len }),
                _ => {
                    accepted(&message);
                }
            }
        }
    }
    refused(&bare(0x3f), ProtocolError::RejectedHeader { len: 0 });
}

#[test]
fn every_sense_length() {
    for available in 0..=132usize {
        for sense in (0..=140u16).chain([0x100, 0x7fff, 0x8000, 0xffff]) {
            let mut data = sense.to_be_bytes().to_vec();
            data.resize(available, 0);
            let message = scsi_response(0, 2, &data);
            let claimed = match available {
                0 => 0,
                1 => 2,
                _ => 2 + usize::from(sense),
            };
            if claimed <= available {
                accepted(&message);
            } else {
                refused(&message, ProtocolError::SenseLength { claimed, available });
            }
        }
    }
}

/// Padding is no place for sense.
#[test]
fn sense_does_not_extend_into_padding() {
    let mut message = scsi_response(0, 2, &sense(15));
    assert_eq!(message.len(), 76 + 20);
    accepted(&message);
    message[77] = 16;
    let (claimed, available) = (18, 17);
    refused(&message, ProtocolError::SenseLength { claimed, available });
}

#[test]
fn sense_is_looked_at_when_there_is_some() {
    for response in 0..=255 {
        for status in 0..=255 {
            let message = scsi_response(response, status, &[0xff; 8]);
            if (response, status) == (0, 2) {
                let (claimed, available) = (0x1_0001, 8);
                refused(&message, ProtocolError::SenseLength { claimed, available });
            } else {
                accepted(&message);
            }
        }
    }
    // And only in SCSI responses.
    for opcode in [0x23, 0x24, 0x32] {
        let mut message = pdu(opcode, &[0xff; 8]);
        message[31] = 2;
        accepted(&message);
    }
}

#[test]
fn every_end_of_login() {
    for opcode in OPCODES {
        let mut message = pdu(opcode, &data_of(opcode));
        for flags in 0..=255u8 {
            for status_class in 0..=255 {
                message[29] = flags;
                message[64] = status_class;
                let expected =
                    opcode == 0x23 && flags >= 128 && flags % 4 == 3 && status_class == 0;
                assert_eq!(
                    Pdu::parse(&message).unwrap().login_stage_is_full_feature(),
                    expected
                );
            }
        }
    }
}

/// When several rules are broken, the first in the message is named.
#[test]
fn first_field_is_named() {
    let mut message = pdu(0x3f, &[0; 4]);
    assert_eq!(check_pdu(&message), Some("rejected_header"));
    for (at, value, rule) in [
        (35, 9, "data_segment_length"),
        (32, 1, "ahs_present"),
        (28, 0x25, "opcode"),
        (0, 0x18, "iser_flags"),
        (0, 0x28, "iser_opcode"),
    ] {
        message[at] = value;
        assert_eq!(check_pdu(&message), Some(rule));
    }
    assert_eq!(check_pdu(&message[..28]), Some("iser_opcode"));
    assert_eq!(check_pdu(&message[..27]), Some("too_short"));
}

#[test]
fn rejected_itt_of_every_reason_and_opcode() {
    for pdu_opcode in seeds::OPCODES {
        for reason in 0..=255u8 {
            for first in 0..=255u8 {
                let mut rejected = [0u8; 48];
                rejected[0] = first;
                rejected[16..20].copy_from_slice(&[1, 2, 3, 4]);
                let mut message = seeds::pdu(pdu_opcode, &rejected);
                message[30] = reason;
                let Ok(pdu) = Pdu::parse(&message) else {
                    continue;
                };
                // Immediate Command Reject of a NOP-Out, with the I bit or without.
                let named = pdu_opcode == 0x3f && reason == 6 && first % 64 == 0;
                let expected = named.then(|| u32::from_ne_bytes([1, 2, 3, 4]));
                assert_eq!(pdu.rejected_itt(), expected, "{pdu_opcode:#x} {reason:#x} {first:#x}");
            }
        }
    }
    let mut reserved = [0u8; 48];
    reserved[16..20].fill(0xff);
    let mut message = seeds::pdu(0x3f, &reserved);
    message[30] = 6;
    assert_eq!(Pdu::parse(&message).unwrap().rejected_itt(), None);
}
