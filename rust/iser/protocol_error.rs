// SPDX-License-Identifier: GPL-2.0

//! Which rule a PDU of the target has broken.

use core::fmt;

use super::TargetOpcode;

/// The rule that a received PDU broke. Each ends the connection (RFC 7145 sections 10.1.3.3 and
/// 10.1.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProtocolError {
    /// There is less than the two headers.
    TooShort { received: usize },
    /// Not a control-type PDU: a Hello, a HelloReply, or unassigned.
    IserOpcode { opcode: u8 },
    /// The target advertises a buffer. These are the low four bits of the byte.
    IserFlags { flags: u8 },
    /// Not the opcode of a PDU that an iSER target may send.
    Opcode { opcode: u8 },
    /// There are additional header segments, `len` words of four bytes.
    AhsPresent { len: u8 },
    /// DataSegmentLength and what was received differ by more than padding.
    DataSegmentLength { claimed: usize, received: usize },
    /// SenseLength and the sense it announces do not fit in the data segment.
    SenseLength { claimed: usize, available: usize },
    /// A Reject without the header that it rejects.
    RejectedHeader { len: usize },
    /// Data in a PDU that has none.
    UnexpectedData { opcode: TargetOpcode, len: usize },
}

/// The rules, without the numbers of a case: what is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProtocolErrorKind {
    TooShort,
    IserOpcode,
    IserFlags,
    Opcode,
    AhsPresent,
    DataSegmentLength,
    SenseLength,
    RejectedHeader,
    UnexpectedData,
}

impl ProtocolErrorKind {
    /// How many rules there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 9] = [
        Self::TooShort,
        Self::IserOpcode,
        Self::IserFlags,
        Self::Opcode,
        Self::AhsPresent,
        Self::DataSegmentLength,
        Self::SenseLength,
        Self::RejectedHeader,
        Self::UnexpectedData,
    ];

    /// A number less than [`Self::COUNT`], another one for each.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// A name for user space, which is not to change.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::IserOpcode => "iser_opcode",
            Self::IserFlags => "iser_flags",
            Self::Opcode => "opcode",
            Self::AhsPresent => "ahs_present",
            Self::DataSegmentLength => "data_segment_length",
            Self::SenseLength => "sense_length",
            Self::RejectedHeader => "rejected_header",
            Self::UnexpectedData => "unexpected_data",
        }
    }
}

impl ProtocolError {
    /// The rule alone.
    pub(crate) const fn kind(&self) -> ProtocolErrorKind {
        match self {
            Self::TooShort { .. } => ProtocolErrorKind::TooShort,
            Self::IserOpcode { .. } => ProtocolErrorKind::IserOpcode,
            Self::IserFlags { .. } => ProtocolErrorKind::IserFlags,
            Self::Opcode { .. } => ProtocolErrorKind::Opcode,
            Self::AhsPresent { .. } => ProtocolErrorKind::AhsPresent,
            Self::DataSegmentLength { .. } => ProtocolErrorKind::DataSegmentLength,
            Self::SenseLength { .. } => ProtocolErrorKind::SenseLength,
            Self::RejectedHeader { .. } => ProtocolErrorKind::RejectedHeader,
            Self::UnexpectedData { .. } => ProtocolErrorKind::UnexpectedData,
        }
    }

    /// The name of the rule.
    pub(crate) const fn as_str(&self) -> &'static str {
        self.kind().name()
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { received } => write!(f, "{received} bytes, less than the headers"),
            Self::IserOpcode { opcode } => write!(f, "iSER opcode {opcode:#x}"),
            Self::IserFlags { flags } => write!(f, "iSER flags {flags:#x} advertise a buffer"),
            Self::Opcode { opcode } => write!(f, "iSCSI opcode {opcode:#04x}"),
            Self::AhsPresent { len } => write!(f, "TotalAHSLength {len} in a response"),
            Self::DataSegmentLength { claimed, received } => {
                write!(f, "DataSegmentLength {claimed} with {received} bytes")
            }
            Self::SenseLength { claimed, available } => {
                write!(f, "{claimed} bytes of sense in {available} of data")
            }
            Self::RejectedHeader { len } => write!(f, "Reject with {len} bytes of a header"),
            Self::UnexpectedData { opcode, len } => write!(f, "{opcode:?} with {len} bytes"),
        }
    }
}
