// SPDX-License-Identifier: GPL-2.0

//! SCSI commands on their way to the target.
//!
//! The data of a read is written by the target into a region that it may only write; that of a
//! write goes along as immediate data, in Data-Out PDUs, or is read by the target from a region
//! that it may only read (RFC 7145 section 7.3). What is sent needs no registration.

use kernel::prelude::*;

use super::{
    observed::Observed,
    queue::Queue,
    wire::{ControlHeader, RemoteBuffer, BHS_LEN, HEADERS_LEN, ISER_HEADER_LEN},
};
use crate::{
    iscsi::task::Task,
    latency,
    rdma::{
        post::FollowUp,
        qp::QueuePair,
        region::{Access, RemoteKey},
        slot::Prepared,
        transmitter::Transmitter,
    },
    series::ENOTCONN,
    sg::Direction,
    trace, //
};

/// Sends a SCSI command. Softirq or not, under the session's forward lock.
///
/// Each way that data may go is a path of its own, so that none pays for what the others need.
#[inline(always)]
pub(super) fn send(
    observed: &Observed,
    queue_pair: &QueuePair<Queue>,
    transmitter: &mut Transmitter,
    task: Task<'_>,
) -> Result {
    let command = task.command().ok_or(EINVAL)?;
    let len = command.data_len();
    match command.direction() {
        Some(Direction::FromDevice) => read(observed, queue_pair, transmitter, task, len),
        Some(Direction::ToDevice) => write(observed, queue_pair, transmitter, task, len),
        None => without_data(observed, queue_pair, transmitter, task),
    }
}

/// What a command sends but for its header.
#[derive(Default)]
struct Sent {
    /// Bytes that go along with it.
    immediate: usize,
    /// Bytes that follow it unasked.
    unsolicited: usize,
    /// The key that it tells the target.
    stag: Option<u32>,
}

/// What the target is told of a region, without the first `skip` bytes of it.
#[inline(always)]
fn advertised(key: RemoteKey, skip: usize) -> RemoteBuffer {
    RemoteBuffer {
        stag: key.rkey,
        base: key.base + skip as u64,
    }
}

/// No more than the request.
fn nothing() -> impl ExactSizeIterator<Item = FollowUp<HEADERS_LEN>> {
    core::iter::empty()
}

#[inline(always)]
fn prepare<'a>(
    queue_pair: &'a QueuePair<Queue>,
    transmitter: &'a mut Transmitter,
    task: &Task<'_>,
    direction: Direction,
) -> Result<Prepared<'a, Queue>> {
    queue_pair.prepare(
        transmitter,
        task.index(),
        task.hold().ok_or(ENOTCONN)?,
        direction,
    )
}

#[inline(always)]
fn read(
    observed: &Observed,
    queue_pair: &QueuePair<Queue>,
    transmitter: &mut Transmitter,
    mut task: Task<'_>,
    len: usize,
) -> Result {
    let mut transfer = prepare(queue_pair, transmitter, &task, Direction::FromDevice)?;
    let key = transfer.register(Access::RemoteWrite)?;
    let header = ControlHeader {
        read: Some(advertised(key, 0)),
        write: None,
    };
    task.set_prefix(&header.encode());
    let sent = Sent {
        stag: Some(key.rkey),
        ..Sent::default()
    };
    watched(
        observed,
        &task,
        &transfer,
        Some(Direction::FromDevice),
        len,
        &sent,
    );
    transfer.post(0, nothing(), true)?;
    observed.sent.commands_read.add(1);
    observed.sent.bytes_read.add(len as u64);
    observed.sent.registered_commands.add(1);
    Ok(())
}

#[inline(always)]
fn write(
    observed: &Observed,
    queue_pair: &QueuePair<Queue>,
    transmitter: &mut Transmitter,
    task: Task<'_>,
    len: usize,
) -> Result {
    let sent = Sent {
        immediate: task.immediate_len(),
        unsolicited: task.unsolicited_len(),
        stag: None,
    };
    if sent.immediate >= len && sent.unsolicited == 0 {
        write_at_once(observed, queue_pair, transmitter, task, len)
    } else {
        write_in_parts(observed, queue_pair, transmitter, task, len, sent)
    }
}

/// A write whose data goes along with it.
#[inline(always)]
fn write_at_once(
    observed: &Observed,
    queue_pair: &QueuePair<Queue>,
    transmitter: &mut Transmitter,
    mut task: Task<'_>,
    len: usize,
) -> Result {
    let sent = Sent {
        immediate: len,
        ..Sent::default()
    };
    let transfer = prepare(queue_pair, transmitter, &task, Direction::ToDevice)?;
    task.set_prefix(&ControlHeader::default().encode());
    watched(
        observed,
        &task,
        &transfer,
        Some(Direction::ToDevice),
        len,
        &sent,
    );
    transfer.post(len, nothing(), true)?;
    count_write(observed, len, &sent);
    Ok(())
}

/// A write of which the target reads at least a part, or gets it in other PDUs.
#[inline(never)]
fn write_in_parts(
    observed: &Observed,
    queue_pair: &QueuePair<Queue>,
    transmitter: &mut Transmitter,
    mut task: Task<'_>,
    len: usize,
    mut sent: Sent,
) -> Result {
    let first = sent.immediate + sent.unsolicited;
    let mut transfer = prepare(queue_pair, transmitter, &task, Direction::ToDevice)?;
    let mut header = ControlHeader::default();
    // The target reads what it is not sent.
    if first < len {
        let key = transfer.register(Access::RemoteRead)?;
        sent.stag = Some(key.rkey);
        header.write = Some(advertised(key, first));
    }
    task.set_prefix(&header.encode());
    watched(
        observed,
        &task,
        &transfer,
        Some(Direction::ToDevice),
        len,
        &sent,
    );

    let segment = task.max_data_segment().max(1);
    // Most have none, and a division takes long.
    let pdus = match sent.unsolicited {
        0 => 0,
        unsolicited => unsolicited.div_ceil(segment),
    };
    let data_outs = (0..pdus).map(|_| next_data_out(&mut task));
    transfer.post(sent.immediate, data_outs, true)?;
    count_write(observed, len, &sent);
    observed.sent.unsolicited_pdus.add(pdus as u64);
    Ok(())
}

#[inline(always)]
fn count_write(observed: &Observed, len: usize, sent: &Sent) {
    let counts = &observed.sent;
    counts.commands_write.add(1);
    counts.bytes_write.add(len as u64);
    if sent.stag.is_some() {
        counts.registered_commands.add(1);
    }
    if sent.immediate > 0 {
        counts.immediate_commands.add(1);
        counts.immediate_bytes.add(sent.immediate as u64);
    }
}

fn without_data(
    observed: &Observed,
    queue_pair: &QueuePair<Queue>,
    transmitter: &mut Transmitter,
    mut task: Task<'_>,
) -> Result {
    let transfer = prepare(queue_pair, transmitter, &task, Direction::FromDevice)?;
    task.set_prefix(&ControlHeader::default().encode());
    watched(observed, &task, &transfer, None, 0, &Sent::default());
    transfer.post(0, nothing(), true)?;
    observed.sent.commands_none.add(1);
    Ok(())
}

/// Tells of a command that is about to be posted, and when that was.
#[inline(always)]
fn watched(
    observed: &Observed,
    task: &Task<'_>,
    transfer: &Prepared<'_, Queue>,
    direction: Option<Direction>,
    len: usize,
    sent: &Sent,
) {
    trace::tell!(command_posted, {
        let command = trace::Command {
            itt: task.itt(),
            write: direction == Some(Direction::ToDevice),
            bytes: len,
            segments: transfer.segments(),
            immediate: sent.immediate,
            unsolicited: sent.unsolicited,
            stag: sent.stag,
        };
        (observed.who(), command)
    });
    transfer.stamp(latency::begin());
}

/// The next Data-Out PDU of a command (RFC 7145 section 7.3.5).
fn next_data_out(task: &mut Task<'_>) -> FollowUp<HEADERS_LEN> {
    let (bhs, offset, len) = task.next_data_out();
    FollowUp {
        header: with_prefix(&ControlHeader::default(), &bhs),
        offset,
        len,
    }
}

fn with_prefix(prefix: &ControlHeader, bhs: &[u8; BHS_LEN]) -> [u8; HEADERS_LEN] {
    let mut header = [0; HEADERS_LEN];
    let (first, second) = header.split_at_mut(ISER_HEADER_LEN);
    first.copy_from_slice(&prefix.encode());
    second.copy_from_slice(bhs);
    header
}
