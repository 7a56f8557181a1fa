// SPDX-License-Identifier: GPL-2.0

//! The iSER initiator (RFC 7145).
//!
//! [`transport`] is what libiscsi calls, and leads to everything else: a [`connection`] is made
//! and ends there, its [`queue`] is what it exchanges messages with, a SCSI [`command`] and a
//! [`control`] PDU are sent, and what comes back is [`receive`]d. [`wire`] knows the bytes.

#![forbid(unsafe_code)]

mod command;
mod connection;
mod control;
mod queue;
mod receive;
mod transport;
#[allow(dead_code)]
mod wire;

pub(crate) use transport::{Iser, MAX_SECTORS};
