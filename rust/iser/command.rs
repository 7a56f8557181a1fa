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
        post::FollowUp, //
        qp::QueuePair,
        region::Access,
    },
    series::ENOTCONN,
    sg::Direction,
    trace, //
};

/// Sends a SCSI command. Softirq or not, under the session's forward lock.
pub(super) fn send(
    observed: &Observed,
    queue_pair: &QueuePair<Queue>,
    mut task: Task<'_>,
) -> Result {
    let command = task.command().ok_or(EINVAL)?;
    let (direction, len) = (command.direction(), command.data_len());
    // libiscsi leaves what a task had to send before, where there is nothing to send now.
    let (immediate, unsolicited) = if direction == Some(Direction::ToDevice) {
        (task.immediate_len(), task.unsolicited_len())
    } else {
        (0, 0)
    };

    let owner = task.hold().ok_or(ENOTCONN)?;
    let mut transfer = queue_pair.prepare(
        task.index(),
        owner,
        direction.unwrap_or(Direction::FromDevice),
    )?;
    let mut header = ControlHeader::default();
    match direction {
        Some(Direction::FromDevice) => {
            let key = transfer.register(Access::RemoteWrite)?;
            header.read = Some(RemoteBuffer {
                stag: key.rkey,
                base: key.base,
            });
        }
        // The target reads what it is not sent.
        Some(Direction::ToDevice) if immediate + unsolicited < len => {
            let key = transfer.register(Access::RemoteRead)?;
            header.write = Some(RemoteBuffer {
                stag: key.rkey,
                base: key.base + (immediate + unsolicited) as u64,
            });
        }
        _ => {}
    }
    task.set_prefix(&header.encode());

    let segment = task.max_data_segment().max(1);
    // Most commands have none, and a division takes long.
    let pdus = match unsolicited {
        0 => 0,
        _ => unsolicited.div_ceil(segment),
    };
    let stag = header.read.or(header.write).map(|buffer| buffer.stag);
    trace::tell!(command_posted, {
        let command = trace::Command {
            itt: task.itt(),
            write: direction == Some(Direction::ToDevice),
            bytes: len,
            segments: transfer.segments(),
            immediate,
            unsolicited,
            stag,
        };
        (observed.who(), command)
    });
    transfer.stamp(latency::begin());
    let data_outs = (0..pdus).map(|_| next_data_out(&mut task));
    transfer.post(immediate, data_outs, true)?;

    let sent = &observed.sent;
    match direction {
        None => sent.commands_none.add(1),
        Some(Direction::FromDevice) => {
            sent.commands_read.add(1);
            sent.bytes_read.add(len as u64);
        }
        Some(Direction::ToDevice) => {
            sent.commands_write.add(1);
            sent.bytes_write.add(len as u64);
        }
    }
    if stag.is_some() {
        sent.registered_commands.add(1);
    }
    if immediate > 0 {
        sent.immediate_commands.add(1);
        sent.immediate_bytes.add(immediate as u64);
    }
    sent.unsolicited_pdus.add(pdus as u64);
    Ok(())
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
