// SPDX-License-Identifier: GPL-2.0

//! Control PDUs on their way to the target: login, text, NOP, task management, logout.

use kernel::prelude::*;

use super::{
    connection::Connection,
    queue::{Queue, FULL_FEATURE_RING},
    traced,
    wire::{is_logout_request, login_request_enters_full_feature, ControlHeader, HEADERS_LEN},
};
use crate::{
    iscsi::task::Task,
    rdma::{
        post::FollowUp,
        qp::{Failure, QueuePair},
        transmitter::Transmitter,
    },
    sg::Direction,
    trace, //
};

/// Sends a PDU that is not a SCSI command. Under the session's forward lock.
pub(super) fn send(
    connection: &Connection,
    queue_pair: &QueuePair<Queue>,
    transmitter: &mut Transmitter,
    mut task: Task<'_>,
) -> Result {
    task.set_prefix(&ControlHeader::default().encode());
    let observed = &connection.observed;
    observed.sent.control_pdus_sent.add(1);
    if task.is_unanswered() {
        send_unanswered(queue_pair, transmitter, task);
        return Ok(());
    }
    trace::tell!(
        login,
        traced::login(&task.header()).map(|login| (observed.who(), login))
    );
    if is_logout_request(&task.header()) {
        connection.expect_end();
    }
    let discovery = connection.bound().is_none_or(|bound| bound.is_discovery());
    if !discovery
        && login_request_enters_full_feature(&task.header())
        && queue_pair.consumer().enter_full_feature()
    {
        // The target may make use of the full feature phase right after its response.
        queue_pair.post_receives(FULL_FEATURE_RING)?;
    }
    queue_pair.send(transmitter, task.index(), task.payload())
}

/// Sends a NOP-Out that answers a NOP-In. Its task is given back when it has been sent.
///
/// If it cannot be sent the target learns that from the end of the connection.
fn send_unanswered(queue_pair: &QueuePair<Queue>, transmitter: &mut Transmitter, task: Task<'_>) {
    let index = task.index();
    let Some(owner) = task.into_unanswered() else {
        return;
    };
    let none = core::iter::empty::<FollowUp<HEADERS_LEN>>();
    let sent = queue_pair
        .prepare(transmitter, index, owner, Direction::ToDevice)
        .and_then(|transfer| transfer.post(0, none, false));
    if sent.is_err() {
        queue_pair.consumer().fail(Failure::Post);
    }
}
