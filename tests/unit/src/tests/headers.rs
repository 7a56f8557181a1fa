// SPDX-License-Identifier: GPL-2.0

//! What the initiator sends, byte by byte, and what it reads of it.

use crate::wire::*;

const WRITE: RemoteBuffer = RemoteBuffer {
    stag: 0x0102_0304,
    base: 0x1112_1314_1516_1718,
};
const READ: RemoteBuffer = RemoteBuffer {
    stag: 0x2122_2324,
    base: 0x3132_3334_3536_3738,
};

/// The four headers there are, with the bytes that they are to be.
fn vectors() -> [(ControlHeader, [u8; 28]); 4] {
    let both = [
        0x1c, 0, 0, 0, //
        0x01, 0x02, 0x03, 0x04, //
        0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, //
        0x21, 0x22, 0x23, 0x24, //
        0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
    ];
    let mut write = both;
    write[0] = 0x18;
    write[16..].fill(0);
    let mut read = both;
    read[0] = 0x14;
    read[4..16].fill(0);
    let mut none = [0; 28];
    none[0] = 0x10;

    let header = |write, read| ControlHeader { write, read };
    [
        (header(None, None), none),
        (header(Some(WRITE), None), write),
        (header(None, Some(READ)), read),
        (header(Some(WRITE), Some(READ)), both),
    ]
}

#[test]
fn lengths() {
    assert_eq!((ISER_HEADER_LEN, BHS_LEN, HEADERS_LEN), (28, 48, 76));
    assert_eq!((LOGIN_PAYLOAD_LEN, FFP_PAYLOAD_LEN), (8192, 128));
    assert_eq!(RESERVED_ITT.to_ne_bytes(), [0xff; 4]);
}

#[test]
fn control_header_has_these_bytes() {
    assert_eq!(ControlHeader::default(), vectors()[0].0);
    for (header, bytes) in vectors() {
        assert_eq!(header.encode(), bytes, "{header:?}");
        assert_eq!(ControlHeader::decode(&bytes), Ok(header));
    }
}

#[test]
fn control_header_with_every_first_byte() {
    let (_, bytes) = vectors()[3];
    for first in 0..=255u8 {
        let mut bytes = bytes;
        bytes[0] = first;
        let opcode = first >> 4;
        let expected = if opcode == 1 {
            Ok(ControlHeader {
                write: (first & 0x08 != 0).then_some(WRITE),
                read: (first & 0x04 != 0).then_some(READ),
            })
        } else {
            Err(ProtocolError::IserOpcode { opcode })
        };
        assert_eq!(ControlHeader::decode(&bytes), expected, "{first:#x}");
    }
}

#[test]
fn control_header_ignores_reserved_bytes() {
    for (header, bytes) in vectors() {
        for at in 1..4 {
            for value in 0..=255 {
                let mut bytes = bytes;
                bytes[at] = value;
                assert_eq!(ControlHeader::decode(&bytes), Ok(header));
            }
        }
    }
}

#[test]
fn capabilities_have_these_bytes() {
    for (zero_based_va, send_with_invalidate, flags) in [
        (true, true, 0x00),
        (true, false, 0x40),
        (false, true, 0x80),
        (false, false, 0xc0),
    ] {
        let capabilities = Capabilities {
            zero_based_va,
            send_with_invalidate,
        };
        assert_eq!(capabilities.encode(), [flags, 0, 0, 0]);
        assert_eq!(Capabilities::decode(&[flags, 0, 0, 0]), capabilities);
    }
    assert_eq!(Capabilities::OURS.encode(), [0x80, 0, 0, 0]);
}

#[test]
fn capabilities_of_private_data_of_every_length_and_flag() {
    let nothing = Capabilities {
        zero_based_va: false,
        send_with_invalidate: false,
    };
    assert_eq!(Capabilities::decode(&[]), nothing);
    // The longest private data that a connection manager delivers is of 255 bytes.
    for length in 1..=256 {
        for flags in 0..=255u8 {
            let mut data = vec![0xa5; length];
            data[0] = flags;
            let capabilities = Capabilities::decode(&data);
            assert_eq!(capabilities.zero_based_va, flags < 0x80);
            assert_eq!(capabilities.send_with_invalidate, flags % 0x80 < 0x40);
        }
    }
}

#[test]
fn login_request_with_every_opcode_and_flag() {
    let mut bhs = [0xff; 48];
    for opcode in 0..=255u8 {
        for flags in 0..=255u8 {
            bhs[0] = opcode;
            bhs[1] = flags;
            // A login request (with I or without), T set, next stage 3; CSG and C do not matter.
            let expected = opcode % 64 == 3 && flags >= 128 && flags % 4 == 3;
            assert_eq!(
                login_request_enters_full_feature(&bhs),
                expected,
                "opcode {opcode:#x}, flags {flags:#x}"
            );
        }
    }
}

#[test]
fn logout_request_with_every_first_byte() {
    let mut bhs = [0xff; 48];
    for first in 0..=255u8 {
        bhs[0] = first;
        // With the I bit or without, and whatever the reserved bit says.
        assert_eq!(is_logout_request(&bhs), first % 64 == 6, "{first:#x}");
    }
}
