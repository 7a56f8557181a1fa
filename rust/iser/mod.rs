// SPDX-License-Identifier: GPL-2.0

//! The iSER initiator (RFC 7145).
//!
//! [`transport`] is what libiscsi calls, and leads to everything else: a [`connection`] is
//! [`establish`]ed and ends there, its [`queue`] is what it exchanges messages with, a SCSI [`command`] and a
//! [`control`] PDU are sent, and what comes back is [`receive`]d. [`wire`] knows the bytes.
//!
//! For those who look from outside there is what has been [`observed`] of a connection, for a
//! [`reason`] that it failed for, and since the module was loaded ([`totals`]); [`show`] puts it
//! into files, and [`log`] into the kernel's log.

#![forbid(unsafe_code)]

mod command;
mod connection;
mod control;
mod establish;
mod log;
mod observed;
mod queue;
mod reason;
mod receive;
mod refusal;
mod show;
mod totals;
mod traced;
mod transport;
#[expect(dead_code, reason = "tests on the host look at more of a PDU")]
mod wire;

pub(crate) use totals::Totals;
pub(crate) use transport::{Iser, MAX_SECTORS, MIN_SECTORS};
