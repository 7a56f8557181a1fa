// SPDX-License-Identifier: GPL-2.0

//! Tracepoints, system `iser_rs`.
//!
//! As long as a tracepoint is off, a patched jump is all that it costs: what it would be told is
//! not even looked up, see [`tell`].
//!
//! C header: `rust/trace/iser_rs.h`

use kernel::jump_label::static_branch_unlikely;

use crate::{bindings, text::Text};

/// A text as the tracepoints take it.
fn text(text: &str) -> (*const kernel::ffi::c_char, u32) {
    (text.as_ptr().cast(), text.len() as u32)
}

macro_rules! tracepoints {
    ($($(#[$doc:meta])* $name:ident$(<$life:lifetime>)?($type:ty) = |$event:ident, $call:ident| $body:expr;)*) => {$(
        kernel::macros::paste! {
            #[doc(hidden)]
            #[inline(always)]
            pub(crate) fn [<$name _is_on>]() -> bool {
                // SAFETY: The key of a tracepoint that C has defined.
                unsafe {
                    static_branch_unlikely!(
                        bindings::[<__tracepoint_ $name>],
                        kernel::bindings::tracepoint,
                        key
                    )
                }
            }

            $(#[$doc])*
            ///
            /// To be called by [`tell`].
            #[cold]
            #[inline(never)]
            pub(crate) fn $name$(<$life>)?($event: $type) {
                let $call = bindings::[<rust_do_trace_ $name>];
                $body
            }
        }
    )*};
}

/// `tell!(NAME, EVENT)` tells the tracepoint `NAME` of an event, if it is on.
///
/// A macro, as a closure would not do: what it captures is laid out in memory before it is known
/// whether anybody wants to be told.
macro_rules! tell {
    ($name:ident, $event:expr) => {
        kernel::macros::paste! {
            if $crate::trace::[<$name _is_on>]() {
                $crate::trace::$name($event);
            }
        }
    };
}
pub(crate) use tell;

/// Which connection, by the numbers that user space knows.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    /// Its number in debugfs.
    pub(crate) connection: u32,
    /// The session's, -1 as long as it has none.
    pub(crate) session: i32,
}

/// A portal's address.
pub(crate) type Portal = Text<64>;

/// To what a connection leads.
pub(crate) struct Where {
    pub(crate) portal: Portal,
    /// The target's name, which has up to 223 bytes (RFC 7143 section 4.2.7.1).
    pub(crate) target: Text<224>,
}

/// A login request, or a response.
pub(crate) struct Login {
    pub(crate) response: bool,
    pub(crate) stage: u8,
    pub(crate) next_stage: u8,
    pub(crate) transit: bool,
    /// Class and detail.
    pub(crate) status: u16,
}

/// A SCSI command.
pub(crate) struct Command {
    pub(crate) itt: u32,
    pub(crate) write: bool,
    pub(crate) bytes: usize,
    pub(crate) segments: u32,
    pub(crate) immediate: usize,
    pub(crate) unsolicited: usize,
    /// The target is told this key.
    pub(crate) stag: Option<u32>,
}

/// How the target's access ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalidated {
    NotRegistered,
    Remotely,
    Locally,
}

impl Invalidated {
    fn as_raw(self) -> u32 {
        match self {
            Self::NotRegistered => bindings::iser_rs_invalidated_ISER_RS_NOT_REGISTERED,
            Self::Remotely => bindings::iser_rs_invalidated_ISER_RS_REMOTELY,
            Self::Locally => bindings::iser_rs_invalidated_ISER_RS_LOCALLY,
        }
    }
}

/// A SCSI response.
pub(crate) struct Response {
    pub(crate) itt: u32,
    pub(crate) response: u8,
    pub(crate) status: u8,
    /// Bytes that are missing, or that would have been more if negative.
    pub(crate) residual: i64,
    pub(crate) invalidated: Invalidated,
}

// SAFETY, for all of these: texts are valid for the length that goes with them, during the call.
tracepoints! {
    /// A connection is in another state.
    connection_state<'a>((Who, &'a str, Where)) = |event, call| {
        let (who, state, place) = event;
        let ((state, n), (portal, p), (target, t)) =
            (text(state), text(place.portal.as_str()), text(place.target.as_str()));
        // SAFETY: As above.
        unsafe { call(who.connection, who.session, state, n, portal, p, target, t) }
    };
    /// The connection manager has told something.
    cm_event<'a>((Who, &'a str, i32, Portal)) = |event, call| {
        let (who, name, status, portal) = event;
        let ((name, n), (portal, p)) = (text(name), text(portal.as_str()));
        // SAFETY: As above.
        unsafe { call(who.connection, status, name, n, portal, p) }
    };
    /// A login request is sent, or a response has come.
    login(Option<(Who, Login)>) = |event, call| {
        // It may be another control PDU.
        let Some((who, pdu)) = event else { return };
        // SAFETY: There are no texts.
        unsafe {
            call(
                who.connection,
                who.session,
                pdu.response,
                pdu.stage.into(),
                pdu.next_stage.into(),
                pdu.transit,
                pdu.status.into(),
            )
        }
    };
    /// A command is about to be posted.
    command_posted((Who, Command)) = |event, call| {
        let (who, command) = event;
        // SAFETY: There are no texts.
        unsafe {
            call(
                who.connection,
                who.session,
                command.itt,
                command.write,
                command.bytes as u64,
                command.segments,
                command.immediate as u64,
                command.unsolicited as u64,
                command.stag.is_some(),
                command.stag.unwrap_or(0),
            )
        }
    };
    /// The response to a command has come.
    response((Who, Response)) = |event, call| {
        let (who, response) = event;
        // SAFETY: There are no texts.
        unsafe {
            call(
                who.connection,
                who.session,
                response.itt,
                response.response.into(),
                response.status.into(),
                response.residual,
                response.invalidated.as_raw(),
            )
        }
    };
    /// The target's access to what error handlers have ended is about to be ended.
    fence_begin(Who) = |who, call| {
        // SAFETY: There are no texts.
        unsafe { call(who.connection, who.session) }
    };
    /// It has, or the connection has.
    fence_done((Who, bool)) = |event, call| {
        let (who, ended) = event;
        // SAFETY: There are no texts.
        unsafe { call(who.connection, who.session, ended) }
    };
    /// An error handler has got somewhere; with the tag of the command, while it has one.
    error_handler<'a>((Who, Option<u32>, &'a str, &'a str)) = |event, call| {
        let (who, itt, handler, step) = event;
        let ((handler, h), (step, s)) = (text(handler), text(step));
        let itt = itt.map_or(-1, i64::from);
        // SAFETY: As above.
        unsafe { call(who.connection, who.session, itt, handler, h, step, s) }
    };
    /// A connection is lost, or was not made: the reason's name, and all that is known.
    connection_failed<'a>((Who, &'a str, &'a str, Where)) = |event, call| {
        let (who, reason, what, place) = event;
        let ((reason, r), (what, w)) = (text(reason), text(what));
        let ((portal, p), (target, t)) = (text(place.portal.as_str()), text(place.target.as_str()));
        // SAFETY: As above.
        unsafe { call(who.connection, who.session, reason, r, what, w, portal, p, target, t) }
    };
    /// The RDMA device of a connection goes away.
    device_removal<'a>((Who, &'a str, Portal)) = |event, call| {
        let (who, device, portal) = event;
        let ((device, d), (portal, p)) = (text(device), text(portal.as_str()));
        // SAFETY: As above.
        unsafe { call(who.connection, who.session, device, d, portal, p) }
    };
}
