// SPDX-License-Identifier: GPL-2.0

//! What tracepoints are told of a PDU, read from its Basic Header Segment. Nothing relies on it.

use super::wire::BHS_LEN;
use crate::trace::{Invalidated, Login, Response};

const OPCODE_MASK: u8 = 0x3f;
const LOGIN_REQUEST: u8 = 0x03;
const LOGIN_RESPONSE: u8 = 0x23;

fn byte(bhs: &[u8; BHS_LEN], at: usize) -> u8 {
    bhs.get(at).copied().unwrap_or(0)
}

/// The stages of a login request or response (RFC 7143 sections 11.12 and 11.13), if it is one.
pub(super) fn login(bhs: &[u8; BHS_LEN]) -> Option<Login> {
    let response = match byte(bhs, 0) & OPCODE_MASK {
        LOGIN_REQUEST => false,
        LOGIN_RESPONSE => true,
        _ => return None,
    };
    let flags = byte(bhs, 1);
    let status = u16::from_be_bytes([byte(bhs, 36), byte(bhs, 37)]);
    Some(Login {
        response,
        stage: flags >> 2 & 3,
        next_stage: flags & 3,
        transit: flags & 0x80 != 0,
        status: if response { status } else { 0 },
    })
}

/// A SCSI response (RFC 7143 section 11.4).
pub(super) fn response(bhs: &[u8; BHS_LEN], itt: u32, invalidated: Invalidated) -> Response {
    let count = [44, 45, 46, 47].map(|at| byte(bhs, at));
    let residual = i64::from(u32::from_be_bytes(count));
    let (overflow, underflow) = (byte(bhs, 1) & 4 != 0, byte(bhs, 1) & 2 != 0);
    Response {
        itt,
        response: byte(bhs, 2),
        status: byte(bhs, 3),
        residual: match (overflow, underflow) {
            (true, _) => -residual,
            (_, true) => residual,
            _ => 0,
        },
        invalidated,
    }
}
