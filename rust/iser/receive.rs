// SPDX-License-Identifier: GPL-2.0

//! What comes from the target. All of this runs in softirq.
//!
//! Whatever does not fit ends the connection, with a reason: a target that breaks the protocol
//! once cannot be trusted with what it does next.

use kernel::{fmt, prelude::*};

use super::{
    queue::{Queue, FULL_FEATURE_RING},
    wire::{Pdu, ProtocolError, TargetOpcode},
};
use crate::{
    iscsi::{parameter::ConnectionError, task::TaskReference},
    rdma::{
        context::{AnswerError, Context},
        qp::{Consumer, Failure},
        receive::Message,
    },
};

impl Consumer for Queue {
    type Owner = TaskReference;

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
            return self.break_off(
                ConnectionError::Proto,
                fmt!("remote invalidation, which was not negotiated"),
            );
        }
        if let TargetOpcode::ScsiResponse = pdu.opcode() {
            let itt = pdu.itt();
            let Some(index) = session.task_index(itt) else {
                return self.break_off(
                    ConnectionError::BadItt,
                    fmt!("a SCSI response with ITT {itt:#x}, which is not of this session"),
                );
            };
            if let Err((error, _)) = cx.answer(index, message) {
                self.refuse_answer(error, itt);
            }
            return;
        }
        if message.invalidated().is_some() {
            return self.break_off(
                ConnectionError::Proto,
                fmt!("remote invalidation by a PDU that is not a SCSI response"),
            );
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
                    fmt!(
                        "{:?} with ITT {itt:#x}, which is of another request",
                        pdu.opcode()
                    ),
                );
            }
        }
        if let Err(error) = session.complete(pdu.bhs(), pdu.data(), None) {
            return self.refuse_by_libiscsi(error, &pdu);
        }
        self.recycle(cx, message);
    }

    fn finished(&self, cx: &mut Context<'_, Self>, task: TaskReference, answer: Option<Message>) {
        let (Some(message), Some(session)) = (answer, self.connection.bound()) else {
            // Aborted, or never to be answered.
            return drop(task);
        };
        // Checked when it was received.
        if let Ok(pdu) = Pdu::parse(cx.bytes(&message)) {
            if let Err(error) = session.complete(pdu.bhs(), pdu.data(), Some(task)) {
                return self.refuse_by_libiscsi(error, &pdu);
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
    fn recycle(&self, cx: &mut Context<'_, Self>, message: Message) {
        // The large buffers of the login phase are of no use after it.
        if message.ring() == FULL_FEATURE_RING || !self.is_full_feature() {
            cx.recycle(message);
        }
    }

    fn break_off(&self, error: ConnectionError, reason: fmt::Arguments<'_>) {
        self.connection.break_off(error, reason);
    }

    fn refuse(&self, error: &ProtocolError) {
        let code = match error {
            ProtocolError::DataSegmentLength { .. } | ProtocolError::SenseLength { .. } => {
                ConnectionError::DataLen
            }
            ProtocolError::AhsPresent { .. } => ConnectionError::AhsLen,
            ProtocolError::Opcode { .. } => ConnectionError::BadOpcode,
            _ => ConnectionError::Proto,
        };
        self.break_off(code, fmt!("{error}"));
    }

    fn refuse_answer(&self, error: AnswerError, itt: u32) {
        match error {
            AnswerError::NotAwaited => self.break_off(
                ConnectionError::BadItt,
                fmt!("a SCSI response with ITT {itt:#x}, of no command that waits for one"),
            ),
            AnswerError::WrongKey => self.break_off(
                ConnectionError::Proto,
                fmt!("a SCSI response with ITT {itt:#x} that invalidates another key"),
            ),
        }
    }

    fn refuse_by_libiscsi(&self, error: u32, pdu: &Pdu<'_>) {
        self.break_off(
            ConnectionError::from_raw(error),
            fmt!(
                "PDU with opcode {:?} and ITT {:#x} does not fit (iscsi error {error})",
                pdu.opcode(),
                pdu.itt()
            ),
        );
    }
}
