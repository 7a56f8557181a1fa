// SPDX-License-Identifier: GPL-2.0

//! What goes over the wire, and what may come from it.
//!
//! An iSCSI PDU travels in one RDMA Send: an iSER header of 28 bytes, the Basic Header Segment
//! (BHS) of iSCSI, 48 bytes, and the data segment, padded to four bytes. Both sides tell each
//! other in the private data of the connection manager what they are capable of.
//!
//! Nothing that comes from a target is trusted: [`Pdu::parse`] is the only way from received bytes
//! to a PDU, so that whoever holds a [`Pdu`] need not check lengths, opcode and flags again. What
//! depends on state is not known here and remains to be checked: whether the initiator task tag
//! names a task that waits for this answer, whether the phase of the session allows the opcode,
//! and which key was invalidated.
//!
//! Nothing here can panic, allocate or sleep, and nothing here is specific to the kernel: the same
//! file is compiled for tests on the host.
//!
//! RFC 7145 (iSER), RFC 7143 (iSCSI); private data: "iSER" annex of the InfiniBand specification.
//!
//! C headers: [`include/scsi/iser.h`](srctree/include/scsi/iser.h),
//! [`include/scsi/iscsi_proto.h`](srctree/include/scsi/iscsi_proto.h)

// By path, as tests on the host compile this file from elsewhere.
#[path = "protocol_error.rs"]
mod protocol_error;

pub(crate) use protocol_error::{ProtocolError, ProtocolErrorKind};

/// Length of the iSER header (RFC 7145 section 9.1).
pub(crate) const ISER_HEADER_LEN: usize = 28;
/// Length of the Basic Header Segment (RFC 7143 section 11.2.1).
pub(crate) const BHS_LEN: usize = 48;
/// Length of what precedes the data segment.
pub(crate) const HEADERS_LEN: usize = ISER_HEADER_LEN + BHS_LEN;

/// The longest data segment in the login phase, and in a discovery session: what a peer may send
/// that has not yet been told a MaxRecvDataSegmentLength (RFC 7143 section 13.12).
pub(crate) const LOGIN_PAYLOAD_LEN: usize = 8192;
/// The longest data segment in the full-feature phase. Data goes by RDMA, so this is for sense
/// data, rejected headers and short text.
pub(crate) const FFP_PAYLOAD_LEN: usize = 128;

/// The initiator task tag of a PDU that belongs to no task (RFC 7143 section 11.2.1.8).
pub(crate) const RESERVED_ITT: u32 = 0xffff_ffff;

// iSER header, first byte (RFC 7145 section 9.2): opcode in the high nibble, then flags.
const ISER_CONTROL: u8 = 1;
const ISER_WRITE_STAG_VALID: u8 = 0x08;
const ISER_READ_STAG_VALID: u8 = 0x04;

// Private data, first byte: what the sender does *not* do.
const NO_ZERO_BASED_VA: u8 = 0x80;
const NO_SEND_WITH_INVALIDATE: u8 = 0x40;

// BHS (RFC 7143 section 11.2.1).
const OPCODE_MASK: u8 = 0x3f;
const NOP_OUT: u8 = 0x00;
const LOGIN_REQUEST: u8 = 0x03;
const LOGOUT_REQUEST: u8 = 0x06;

// Reject, byte 2 (RFC 7143 section 11.17.1).
const IMMEDIATE_COMMAND_REJECT: u8 = 0x06;

// Login request and response, byte 1: the T bit and a next stage of 3, which is only valid together
// with it (RFC 7143 sections 11.12.1 and 11.12.3).
const LOGIN_TRANSIT: u8 = 0x80;
const LOGIN_NEXT_STAGE_MASK: u8 = 0x03;
const LOGIN_FULL_FEATURE: u8 = 3;

// SCSI response, bytes 2 and 3 (RFC 7143 sections 11.4.2 and 11.4.3).
const COMMAND_COMPLETED: u8 = 0x00;
const CHECK_CONDITION: u8 = 0x02;

/// The field of a header that starts at byte `AT`. That it ends within the header is checked at
/// compile time, so the accesses below cannot fail; but they say so without a panic.
struct Field<const AT: usize>;

impl<const AT: usize> Field<AT> {
    fn get<const N: usize, const LEN: usize>(header: &[u8; LEN]) -> [u8; N] {
        const { assert!(AT + N <= LEN) };
        let field = header.get(AT..).and_then(<[u8]>::first_chunk);
        field.copied().unwrap_or([0; N])
    }

    fn set<const N: usize, const LEN: usize>(header: &mut [u8; LEN], value: [u8; N]) {
        const { assert!(AT + N <= LEN) };
        if let Some(field) = header.get_mut(AT..).and_then(<[u8]>::first_chunk_mut) {
            *field = value;
        }
    }
}

/// A region of this initiator's memory that the target may access: steering tag and base offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RemoteBuffer {
    /// The steering tag, which is the remote key of the memory region.
    pub(crate) stag: u32,
    /// The address, in the region, of the first byte that the target is to access.
    pub(crate) base: u64,
}

/// The iSER header of an iSCSI control-type PDU (RFC 7145 section 9.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ControlHeader {
    /// Where the target reads the data of a write command from.
    pub(crate) write: Option<RemoteBuffer>,
    /// Where the target writes the data of a read command to.
    pub(crate) read: Option<RemoteBuffer>,
}

impl ControlHeader {
    /// Returns the header as it is sent. Fields that are not valid are zero, as the RFC demands.
    pub(crate) fn encode(&self) -> [u8; ISER_HEADER_LEN] {
        let mut header = [0; ISER_HEADER_LEN];
        let mut first = ISER_CONTROL << 4;

        if let Some(buffer) = self.write {
            first |= ISER_WRITE_STAG_VALID;
            Field::<4>::set(&mut header, buffer.stag.to_be_bytes());
            Field::<8>::set(&mut header, buffer.base.to_be_bytes());
        }
        if let Some(buffer) = self.read {
            first |= ISER_READ_STAG_VALID;
            Field::<16>::set(&mut header, buffer.stag.to_be_bytes());
            Field::<20>::set(&mut header, buffer.base.to_be_bytes());
        }
        Field::<0>::set(&mut header, [first]);
        header
    }

    /// Reads a header. Reserved bits, and fields that are not valid, are ignored, as the RFC
    /// demands. The Hello exchange is refused: it must be negotiated, and never is with peers that
    /// exchange their capabilities in private data.
    pub(crate) fn decode(header: &[u8; ISER_HEADER_LEN]) -> Result<Self, ProtocolError> {
        let [first] = Field::<0>::get(header);
        let opcode = first >> 4;
        if opcode != ISER_CONTROL {
            return Err(ProtocolError::IserOpcode { opcode });
        }

        Ok(Self {
            write: (first & ISER_WRITE_STAG_VALID != 0).then(|| RemoteBuffer {
                stag: u32::from_be_bytes(Field::<4>::get(header)),
                base: u64::from_be_bytes(Field::<8>::get(header)),
            }),
            read: (first & ISER_READ_STAG_VALID != 0).then(|| RemoteBuffer {
                stag: u32::from_be_bytes(Field::<16>::get(header)),
                base: u64::from_be_bytes(Field::<20>::get(header)),
            }),
        })
    }
}

/// What a side is capable of, as it says in the private data of connection request and accept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Capabilities {
    /// It takes base offsets that count from the start of the region, not virtual addresses.
    pub(crate) zero_based_va: bool,
    /// As an initiator, it lets the target invalidate a region with the response; as a target, it
    /// does so.
    pub(crate) send_with_invalidate: bool,
}

impl Capabilities {
    /// What this initiator says of itself.
    pub(crate) const OURS: Self = Self {
        zero_based_va: false,
        send_with_invalidate: true,
    };

    /// Returns the private data to send.
    pub(crate) fn encode(self) -> [u8; 4] {
        let mut flags = 0;
        if !self.zero_based_va {
            flags |= NO_ZERO_BASED_VA;
        }
        if !self.send_with_invalidate {
            flags |= NO_SEND_WITH_INVALIDATE;
        }
        [flags, 0, 0, 0]
    }

    /// Reads private data of any length and content. A peer that sent none is capable of nothing
    /// beyond the plain protocol.
    ///
    /// The connection manager of InfiniBand and RoCE pads private data with zeroes to a fixed
    /// length, so there a peer that sent none looks like one that is capable of everything. So
    /// `send_with_invalidate` is a permission for the target, never a promise that it has
    /// invalidated: that only the work completion tells.
    pub(crate) fn decode(private_data: &[u8]) -> Self {
        match private_data {
            [flags, ..] => Self {
                zero_based_va: flags & NO_ZERO_BASED_VA == 0,
                send_with_invalidate: flags & NO_SEND_WITH_INVALIDATE == 0,
            },
            [] => Self::default(),
        }
    }
}

/// Opcodes of the PDUs that an iSER target may send (RFC 7143 section 11.2.1.2).
///
/// SCSI Data-In and R2T are not among them: an iSER target does an RDMA Write or an RDMA Read
/// instead of sending them (RFC 7145 sections 7.3.5 and 7.3.6). Neither are vendor-specific ones,
/// of which there is none that this initiator knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TargetOpcode {
    NopIn = 0x20,
    ScsiResponse = 0x21,
    TaskManagementResponse = 0x22,
    LoginResponse = 0x23,
    TextResponse = 0x24,
    LogoutResponse = 0x26,
    AsyncMessage = 0x32,
    Reject = 0x3f,
}

impl TargetOpcode {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x20 => Self::NopIn,
            0x21 => Self::ScsiResponse,
            0x22 => Self::TaskManagementResponse,
            0x23 => Self::LoginResponse,
            0x24 => Self::TextResponse,
            0x26 => Self::LogoutResponse,
            0x32 => Self::AsyncMessage,
            0x3f => Self::Reject,
            _ => return None,
        })
    }
}

/// A received PDU that has passed the checks, in the receive buffer.
///
/// # Invariants
///
/// - `data` is `received_data` without its padding, which is of at most three bytes.
/// - `data` is what `opcode` allows: see [`Pdu::check_data`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pdu<'a> {
    opcode: TargetOpcode,
    bhs: &'a [u8; BHS_LEN],
    data: &'a [u8],
    received_data: &'a [u8],
}

impl<'a> Pdu<'a> {
    /// Checks what was received, all of it and no more: `received` is as long as the work
    /// completion says. An error names the first field, as they follow each other in the PDU, that
    /// breaks a rule.
    ///
    /// May be called in softirq.
    #[inline(always)]
    pub(crate) fn parse(received: &'a [u8]) -> Result<Self, ProtocolError> {
        let too_short = ProtocolError::TooShort {
            received: received.len(),
        };
        let (iser, pdu) = received.split_first_chunk().ok_or(too_short)?;
        // A target has no buffers to advertise (RFC 7145 section 9.2 knows of the initiator's
        // only), so one that sets these flags and we do not speak the same protocol.
        if ControlHeader::decode(iser)? != ControlHeader::default() {
            let [first] = Field::<0>::get(iser);
            return Err(ProtocolError::IserFlags { flags: first & 0xf });
        }
        let (bhs, received_data) = pdu.split_first_chunk().ok_or(too_short)?;

        // The I bit is reserved in responses, and reserved bits are ignored.
        let [code] = Field::<0>::get(bhs);
        let code = code & OPCODE_MASK;
        let opcode = TargetOpcode::from_code(code).ok_or(ProtocolError::Opcode { opcode: code })?;

        // "iSCSI Response PDUs do not have AH Segments." (RFC 7143 section 11.2)
        let [ahs_len, high, middle, low] = Field::<4>::get(bhs);
        if ahs_len != 0 {
            return Err(ProtocolError::AhsPresent { len: ahs_len });
        }

        // DataSegmentLength does not count the padding (RFC 7143 section 11.2.1.6), which there
        // are targets that leave out: RDMA keeps message boundaries, so nothing is lost by it. Any
        // other difference means that what follows the header is not the data it speaks of.
        let claimed = u32::from_be_bytes([0, high, middle, low]) as usize;
        let (data, _) = received_data
            .split_at_checked(claimed)
            .filter(|(_, padding)| padding.len() <= claimed.wrapping_neg() % 4)
            .ok_or(ProtocolError::DataSegmentLength {
                claimed,
                received: received_data.len(),
            })?;

        Self::check_data(opcode, bhs, data)?;

        // INVARIANT: `data` was split off `received_data` and what remains is at most three bytes;
        // `check_data()` allowed it.
        Ok(Self {
            opcode,
            bhs,
            data,
            received_data,
        })
    }

    /// The Basic Header Segment and the data segment, without padding, of what [`Self::parse`] has
    /// accepted before; of anything else, `None` or something in it.
    pub(crate) fn parsed(received: &'a [u8]) -> Option<(&'a [u8; BHS_LEN], &'a [u8])> {
        let (bhs, data) = received.get(ISER_HEADER_LEN..)?.split_first_chunk()?;
        let [_, high, middle, low] = Field::<4>::get(bhs);
        let len = u32::from_be_bytes([0, high, middle, low]) as usize;
        Some((bhs, data.get(..len)?))
    }

    /// Checks the data segment of PDUs whose receiver relies on it.
    #[inline(always)]
    fn check_data(
        opcode: TargetOpcode,
        bhs: &[u8; BHS_LEN],
        data: &[u8],
    ) -> Result<(), ProtocolError> {
        match opcode {
            // Status is only valid in a response of "Command Completed at Target".
            TargetOpcode::ScsiResponse
                if Field::<2>::get(bhs) == [COMMAND_COMPLETED, CHECK_CONDITION] =>
            {
                Self::check_sense(data)
            }

            // It carries the header of the PDU that was rejected (RFC 7143 section 11.17).
            TargetOpcode::Reject if data.len() < BHS_LEN => {
                Err(ProtocolError::RejectedHeader { len: data.len() })
            }

            // The two responses have no data segment (RFC 7143 sections 11.6 and 11.15.2). Neither
            // has a ping of the target (section 11.19), and pings of ours carry no data that the
            // target could return. libiscsi takes data in any of them for a protocol error.
            TargetOpcode::NopIn
            | TargetOpcode::TaskManagementResponse
            | TargetOpcode::LogoutResponse
                if !data.is_empty() =>
            {
                Err(ProtocolError::UnexpectedData {
                    opcode,
                    len: data.len(),
                })
            }

            _ => Ok(()),
        }
    }

    /// Checks a data segment of SenseLength, two bytes, and sense (RFC 7143 section 11.4.7).
    ///
    /// That there is sense is not required: what its absence means for the command is for libiscsi
    /// to say, and the connection is not worse for it.
    #[cold]
    fn check_sense(data: &[u8]) -> Result<(), ProtocolError> {
        let claimed = match data {
            [] => 0,
            [_] => 2,
            [high, low, ..] => 2 + usize::from(u16::from_be_bytes([*high, *low])),
        };
        if claimed > data.len() {
            return Err(ProtocolError::SenseLength {
                claimed,
                available: data.len(),
            });
        }
        Ok(())
    }

    /// The opcode.
    pub(crate) fn opcode(&self) -> TargetOpcode {
        self.opcode
    }

    /// The Basic Header Segment.
    pub(crate) fn bhs(&self) -> &'a [u8; BHS_LEN] {
        self.bhs
    }

    /// The data segment without padding.
    pub(crate) fn data(&self) -> &'a [u8] {
        self.data
    }

    /// All that followed the headers: the data segment with padding, if the target sent padding.
    pub(crate) fn received_data(&self) -> &'a [u8] {
        self.received_data
    }

    /// The initiator task tag (RFC 7143 section 11.2.1.8), in native byte order.
    ///
    /// To the target it is four opaque bytes, and libiscsi makes them in native order
    /// (`build_itt()`, `get_itt()`): this is the `itt_t` that it takes, and not a big-endian
    /// number as other fields are.
    pub(crate) fn itt(&self) -> u32 {
        u32::from_ne_bytes(Field::<16>::get(self.bhs))
    }

    /// The tag of the NOP-Out that a Reject refuses for want of resources (RFC 7143 section
    /// 11.17.1), in the form of [`Self::itt`]. libiscsi ends that task.
    pub(crate) fn rejected_itt(&self) -> Option<u32> {
        let [reason] = Field::<2>::get(self.bhs);
        let rejected: &[u8; BHS_LEN] = self.data().first_chunk()?;
        let [first, ..] = *rejected;
        let itt = u32::from_ne_bytes(Field::<16>::get(rejected));
        (self.opcode == TargetOpcode::Reject
            && reason == IMMEDIATE_COMMAND_REJECT
            && first & OPCODE_MASK == NOP_OUT
            && itt != RESERVED_ITT)
            .then_some(itt)
    }

    /// Whether the PDU belongs to no task.
    pub(crate) fn is_reserved_itt(&self) -> bool {
        self.itt() == RESERVED_ITT
    }

    /// The status sequence number, which is at the same place in all PDUs of a target.
    pub(crate) fn stat_sn(&self) -> u32 {
        u32::from_be_bytes(Field::<24>::get(self.bhs))
    }

    /// Whether this is the login response that ends the login phase: it enters the full-feature
    /// phase, with Status-Class "success" (RFC 7143 sections 6.3 and 11.13.5).
    pub(crate) fn login_stage_is_full_feature(&self) -> bool {
        self.opcode == TargetOpcode::LoginResponse
            && enters_full_feature(self.bhs)
            && Field::<36>::get(self.bhs) == [0]
    }
}

/// Whether a request that the initiator sends is the login request that asks for the full-feature
/// phase, so that the next answer may be the last of the login phase (RFC 7143 section 11.12.1).
pub(crate) fn login_request_enters_full_feature(bhs: &[u8; BHS_LEN]) -> bool {
    let [code] = Field::<0>::get(bhs);
    code & OPCODE_MASK == LOGIN_REQUEST && enters_full_feature(bhs)
}

fn enters_full_feature(bhs: &[u8; BHS_LEN]) -> bool {
    let [flags] = Field::<1>::get(bhs);
    flags & (LOGIN_TRANSIT | LOGIN_NEXT_STAGE_MASK) == LOGIN_TRANSIT | LOGIN_FULL_FEATURE
}

/// Whether a request asks the target to end the session or connection (RFC 7143 section 11.14).
pub(crate) fn is_logout_request(bhs: &[u8; BHS_LEN]) -> bool {
    let [first, ..] = *bhs;
    first & OPCODE_MASK == LOGOUT_REQUEST
}
