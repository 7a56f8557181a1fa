// SPDX-License-Identifier: GPL-2.0

//! What comes from the target. All of this runs in softirq.
//!
//! Whatever does not fit ends the connection, with a reason: a target that breaks the protocol
//! once cannot be trusted with what it does next.

use kernel::{fmt, prelude::*};

use super::{
    queue::{Queue, FULL_FEATURE_RING},
    reason::{Cause, Reason},
    refusal::Refusal,
    traced,
    wire::{Pdu, ProtocolError, TargetOpcode, BHS_LEN},
};
use crate::{
    iscsi::{
        connection::Connection,
        parameter::ConnectionError,
        task::TaskReference, //
    },
    rdma::{
        context::{AnswerError, Context},
        qp::{Consumer, Failure},
        receive::Message,
        watch::Finished,
    },
    sg::Direction,
    trace::{self, Invalidated},
};

impl Consumer for Queue {
    type Owner = TaskReference;

    #[inline(always)]
    fn received(&self, cx: &mut Context<'_, Self>, message: Message) {
        if self.connection.is_broken() {
            return;
        }
        let Some(session) = self.connection.bound() else {
            return;
        };
        let pdu = match Pdu::parse(cx.bytes(&message)) {
            Ok(pdu) => pdu,
            Err(error) => return self.refuse(&error),
        };
        if message.invalidated().is_some() && !self.allows_remote_invalidation() {
            return self.refuse_invalidation(Cause::InvalidationNotNegotiated);
        }
        let TargetOpcode::ScsiResponse = pdu.opcode() else {
            return self.control_received(cx, session, message);
        };
        let itt = pdu.itt();
        let Some(index) = session.task_index(itt) else {
            return self.refuse_tag(itt);
        };
        self.connection.observed.received.responses.add(1);
        trace::tell!(response, {
            let invalidated = match message.invalidated() {
                Some(_) => Invalidated::Remotely,
                None if cx.is_advertised(index) => Invalidated::Locally,
                None => Invalidated::NotRegistered,
            };
            let response = traced::response(pdu.bhs(), itt, invalidated);
            (self.connection.observed.who(), response)
        });
        if let Err((error, _)) = cx.answer(index, message) {
            self.refuse_answer(error, itt);
        }
    }

    #[inline(always)]
    fn finished(&self, cx: &mut Context<'_, Self>, finished: Finished<TaskReference>) {
        let observed = &self.connection.observed;
        match finished.direction {
            Some(Direction::FromDevice) => observed.reads.ended(finished.stamp),
            Some(Direction::ToDevice) => observed.writes.ended(finished.stamp),
            None => {}
        }
        let Finished {
            owner: task,
            answer,
            ..
        } = finished;
        let (Some(message), Some(session)) = (answer, self.connection.bound()) else {
            // Aborted, or never to be answered.
            return drop(task);
        };
        let bytes = cx.bytes(&message);
        // It was parsed when it was received.
        if let Some((bhs, data)) = Pdu::parsed(bytes) {
            if let Err(error) = session.complete(bhs, data, Some(task)) {
                return self.refuse_by_libiscsi(error, bytes);
            }
        }
        self.recycle(cx, message);
    }

    fn failed(&self, failure: Failure) {
        self.fail(failure);
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

impl Queue {
    #[inline(always)]
    fn recycle(&self, cx: &mut Context<'_, Self>, message: Message) {
        // The large buffers of the login phase are of no use after it.
        cx.recycle(message, |ring| {
            ring == FULL_FEATURE_RING || !self.is_full_feature()
        });
    }

    /// A PDU that is not a SCSI response, and has been checked.
    #[inline(never)]
    fn control_received(&self, cx: &mut Context<'_, Self>, session: &Connection, message: Message) {
        let pdu = match Pdu::parse(cx.bytes(&message)) {
            Ok(pdu) => pdu,
            Err(changed) => return self.refuse(&changed),
        };
        if message.invalidated().is_some() {
            return self.refuse_invalidation(Cause::InvalidationMisplaced);
        }
        let observed = &self.connection.observed;
        observed.received.control_pdus_received.add(1);
        trace::tell!(
            login,
            traced::login(pdu.bhs()).map(|login| (observed.who(), login))
        );
        if let TargetOpcode::LoginResponse = pdu.opcode() {
            self.note_refusal(pdu.bhs());
        }
        // libiscsi would complete any task that a tag names, among them one that is not to be
        // answered and whose request is still being sent.
        for itt in [Some(pdu.itt()), pdu.rejected_itt()].into_iter().flatten() {
            if session
                .task_index(itt)
                .is_some_and(|index| cx.is_in_use(index))
            {
                return self.break_off(
                    ConnectionError::BadItt,
                    Cause::TagInUse,
                    fmt!(
                        "{:?} with ITT {itt:#x}, which is of another request",
                        pdu.opcode()
                    ),
                );
            }
        }
        let result = match pdu.opcode() {
            TargetOpcode::LoginResponse | TargetOpcode::TextResponse => {
                session.complete_negotiation(pdu.bhs(), pdu.data())
            }
            _ => session.complete(pdu.bhs(), pdu.data(), None),
        };
        if let Err(error) = result {
            return self.refuse_by_libiscsi(error, cx.bytes(&message));
        }
        self.recycle(cx, message);
    }

    /// Tells of a login that is refused. The connection goes on: user space deals with that.
    fn note_refusal(&self, bhs: &[u8; BHS_LEN]) {
        let observed = &self.connection.observed;
        // Later it would be no answer to a login.
        if observed.received.responses.get() == 0 {
            if let Some(refusal) = Refusal::of(bhs) {
                observed.failed(Cause::Refused.into(), fmt!("login refused, {refusal}"));
            }
        }
    }

    fn break_off(
        &self,
        error: ConnectionError,
        reason: impl Into<Reason>,
        text: fmt::Arguments<'_>,
    ) {
        self.connection.break_off(error, reason, text);
    }

    #[cold]
    fn refuse(&self, error: &ProtocolError) {
        let code = match error {
            ProtocolError::DataSegmentLength { .. } | ProtocolError::SenseLength { .. } => {
                ConnectionError::DataLen
            }
            ProtocolError::AhsPresent { .. } => ConnectionError::AhsLen,
            ProtocolError::Opcode { .. } => ConnectionError::BadOpcode,
            _ => ConnectionError::Proto,
        };
        self.break_off(code, Reason::Malformed(error.kind()), fmt!("{error}"));
    }

    #[cold]
    fn refuse_invalidation(&self, cause: Cause) {
        let text = match cause {
            Cause::InvalidationMisplaced => {
                "remote invalidation by a PDU that is not a SCSI response"
            }
            _ => "remote invalidation, which was not negotiated",
        };
        self.break_off(ConnectionError::Proto, cause, fmt!("{text}"));
    }

    #[cold]
    fn refuse_tag(&self, itt: u32) {
        self.break_off(
            ConnectionError::BadItt,
            Cause::ForeignTag,
            fmt!("a SCSI response with ITT {itt:#x}, which is not of this session"),
        );
    }

    #[cold]
    fn refuse_answer(&self, error: AnswerError, itt: u32) {
        match error {
            AnswerError::NotAwaited => self.break_off(
                ConnectionError::BadItt,
                Cause::NotAwaited,
                fmt!("a SCSI response with ITT {itt:#x}, of no command that waits for one"),
            ),
            AnswerError::WrongKey => self.break_off(
                ConnectionError::Proto,
                Cause::InvalidationOfOther,
                fmt!("a SCSI response with ITT {itt:#x} that invalidates another key"),
            ),
        }
    }

    #[cold]
    fn refuse_by_libiscsi(&self, error: u32, bytes: &[u8]) {
        match Pdu::parse(bytes) {
            Ok(pdu) => self.break_off(
                ConnectionError::from_raw(error),
                Cause::Unacceptable,
                fmt!(
                    "PDU with opcode {:?} and ITT {:#x} does not fit (iscsi error {error})",
                    pdu.opcode(),
                    pdu.itt()
                ),
            ),
            Err(changed) => self.refuse(&changed),
        }
    }
}
