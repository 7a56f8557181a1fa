// SPDX-License-Identifier: GPL-2.0

//! Why connections are lost, or are not made: what is counted, traced, and logged so often.

use super::wire::ProtocolErrorKind;

/// A kind of reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The target has sent what breaks a rule of the wire format.
    Malformed(ProtocolErrorKind),
    /// The target has broken another rule of the protocol, or something else has failed.
    Other(Cause),
}

macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What is not about the format of a PDU.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(super) enum Cause {
            $($(#[$doc])* $variant,)*
        }

        impl Cause {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

// Names are for user space, and not to change.
causes! {
    /// The target invalidates, though that was not agreed on.
    InvalidationNotNegotiated = "invalidation_not_negotiated",
    /// A PDU that invalidates, but is no SCSI response.
    InvalidationMisplaced = "invalidation_misplaced",
    /// A response that invalidates another key than that of its command.
    InvalidationOfOther = "invalidation_of_other",
    /// A tag that is none of this session's.
    ForeignTag = "foreign_tag",
    /// A response to a command that waits for none.
    NotAwaited = "not_awaited",
    /// A PDU that is no SCSI response, with the tag of a command.
    TagInUse = "tag_in_use",
    /// What libiscsi does not take.
    Unacceptable = "unacceptable",
    /// The target, or the network, has ended the connection.
    Ended = "ended",
    /// A work request has failed.
    WorkRequest = "work_request",
    /// A work request could not be posted.
    Post = "post",
    /// The device has reported an error.
    Device = "device",
    /// The RDMA device was removed.
    Removed = "device_removed",
    /// The target's access to aborted commands could not be ended.
    Fence = "fence",
    /// The SCSI midlayer's error handling gave up.
    GaveUp = "error_handling",
    /// The target refuses the login.
    Refused = "login_refused",
    /// The connection could not be made.
    Connecting = "connecting",
    /// The connection could not be used for the session, or with what was negotiated.
    Unsuitable = "unsuitable",
}

impl Reason {
    /// How many there are.
    pub(super) const COUNT: usize = ProtocolErrorKind::COUNT + Cause::ALL.len();

    /// A number less than [`Self::COUNT`], another one for each.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Malformed(kind) => kind.index(),
            Self::Other(cause) => ProtocolErrorKind::COUNT + cause as usize,
        }
    }

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let malformed = ProtocolErrorKind::ALL.iter().copied().map(Self::Malformed);
        malformed.chain(Cause::ALL.iter().copied().map(Self::Other))
    }

    /// The target has broken the protocol.
    pub(super) fn is_protocol_error(self) -> bool {
        match self {
            Self::Malformed(_) => true,
            Self::Other(cause) => (cause as usize) <= Cause::Unacceptable as usize,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Malformed(kind) => kind.name(),
            Self::Other(cause) => cause.name(),
        }
    }
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Self {
        Self::Other(cause)
    }
}
