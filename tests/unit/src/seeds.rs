// SPDX-License-Identifier: GPL-2.0

//! Messages as proper targets send them.

/// The opcodes that a target may send.
pub const OPCODES: [u8; 8] = [0x20, 0x21, 0x22, 0x23, 0x24, 0x26, 0x32, 0x3f];

/// A message with recognisable values in its fields, and no data.
pub fn bare(opcode: u8) -> Vec<u8> {
    let mut message = vec![0; 76];
    message[0] = 0x10;
    message[28] = opcode;
    message[29] = 0x80;
    message[44..48].copy_from_slice(&[0x11, 0x22, 0x33, 0x44]); // ITT
    message[48..52].fill(0xff); // TTT
    message[52..56].copy_from_slice(&[0x51, 0x52, 0x53, 0x54]); // StatSN
    message[56..60].copy_from_slice(&[0, 0, 0, 7]); // ExpCmdSN
    message[60..64].copy_from_slice(&[0, 0, 0, 0x86]); // MaxCmdSN
    message
}

/// Sets DataSegmentLength.
pub fn claim(message: &mut [u8], length: usize) {
    message[33..36].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
}

/// A message with data, followed by `padding` bytes.
pub fn padded(opcode: u8, data: &[u8], padding: usize) -> Vec<u8> {
    let mut message = bare(opcode);
    claim(&mut message, data.len());
    message.extend(data);
    message.extend(std::iter::repeat_n(0xee, padding));
    message
}

/// A message with data, padded as it ought to be.
pub fn pdu(opcode: u8, data: &[u8]) -> Vec<u8> {
    padded(opcode, data, data.len().next_multiple_of(4) - data.len())
}

/// A SCSI response.
pub fn scsi_response(response: u8, status: u8, data: &[u8]) -> Vec<u8> {
    let mut message = pdu(0x21, data);
    message[30] = response;
    message[31] = status;
    message
}

/// A data segment of SenseLength and as much sense.
pub fn sense(length: u16) -> Vec<u8> {
    let mut data = length.to_be_bytes().to_vec();
    data.extend((0..length).map(|i| i as u8));
    data
}

/// A login response.
pub fn login_response(flags: u8, status_class: u8, keys: &[u8]) -> Vec<u8> {
    let mut message = pdu(0x23, keys);
    message[29] = flags;
    message[64] = status_class;
    message
}

/// A message without a task.
fn without_task(mut message: Vec<u8>) -> Vec<u8> {
    message[44..48].fill(0xff);
    message
}

/// One message of each kind that a session sees.
pub fn corpus() -> Vec<Vec<u8>> {
    let keys = b"TargetPortalGroupTag=1\0AuthMethod=None\0";
    let targets = b"TargetName=iqn.2003-01.org.example:disk0\0TargetAddress=192.0.2.1:3260,1\0";

    let mut ping = without_task(bare(0x20));
    ping[48..52].copy_from_slice(&[0, 0, 0, 9]);
    let mut underflow = scsi_response(0, 0, &[]);
    underflow[29] |= 0x02;
    underflow[72..76].copy_from_slice(&[0, 0, 2, 0]);
    let mut logout_request = without_task(pdu(0x32, &[]));
    logout_request[64] = 1;
    let mut reject = without_task(pdu(0x3f, &bare(0x01)[28..76]));
    reject[30] = 0x04;

    vec![
        bare(0x20),
        ping,
        scsi_response(0, 0, &[]),
        underflow,
        scsi_response(0, 2, &sense(18)),
        scsi_response(0, 2, &sense(96)),
        scsi_response(0, 0x28, &[]),
        scsi_response(1, 0, b"\0\0the disk is on fire"),
        bare(0x22),
        login_response(0x00, 0, keys),
        login_response(0x81, 0, keys),
        login_response(0x87, 0, &[]),
        login_response(0x00, 2, &[]),
        pdu(0x24, targets),
        pdu(0x24, &[b'x'; 8192]),
        bare(0x26),
        logout_request,
        without_task(pdu(0x32, &sense(18))),
        reject,
    ]
}
