// SPDX-License-Identifier: GPL-2.0

//! Receive buffers, and the messages in them.

use kernel::{
    prelude::*,
    sync::{atomic::Atomic, Arc}, //
};

use super::{
    completion::{Purpose, Tag},
    device::ProtectionDomain,
    memory::MappedCells,
    qp::{Consumer, Inner},
};
use crate::{bindings, cells::Cells, sg::Direction};

/// Buffers that are posted with one call.
const BATCH: usize = 16;

/// A received message: a buffer that belongs to the CPU until it is recycled.
///
/// Dropping it leaves the buffer unused for the rest of the connection.
pub(crate) struct Message {
    pub(super) ring: u8,
    pub(super) index: u32,
    pub(super) len: u32,
    pub(super) invalidated: Option<u32>,
    /// Whose buffer; an address to compare, never to follow.
    pub(super) owner: usize,
}

impl Message {
    /// The key that the peer says to have invalidated with this message. Not checked yet.
    pub(crate) fn invalidated(&self) -> Option<u32> {
        self.invalidated
    }

    /// Which ring of the queue pair the buffer is of.
    pub(crate) fn ring(&self) -> usize {
        self.ring.into()
    }
}

/// Buffers of one size for messages of a peer.
pub(super) struct Ring<C: Consumer> {
    buffers: MappedCells,
    /// Bytes of a message that a buffer takes.
    capacity: usize,
    tags: KVVec<Tag<C>>,
    /// The buffers have been posted for the first time.
    pub(super) posted: Atomic<bool>,
}

impl<C: Consumer> Ring<C> {
    /// More buffers than asked for, so that as many are posted even while a batch is collected.
    pub(super) const SPARE: usize = BATCH;

    /// `count` buffers for messages of up to `capacity` bytes. May sleep.
    pub(super) fn new(
        pd: Arc<ProtectionDomain>,
        ring: u8,
        count: usize,
        capacity: usize,
    ) -> Result<Self> {
        let cells = Arc::new(Cells::new(count, capacity.next_power_of_two())?, GFP_KERNEL)?;
        let mut tags = KVVec::with_capacity(count, GFP_KERNEL)?;
        for index in 0..count {
            tags.push(Tag::new(Purpose::Receive { ring }, index), GFP_KERNEL)?;
        }
        Ok(Self {
            buffers: MappedCells::new(pd, cells, Direction::FromDevice)?,
            capacity,
            tags,
            posted: Atomic::new(false),
        })
    }

    pub(super) fn set_inner(&mut self, inner: *const Inner<C>) {
        for tag in &mut self.tags {
            tag.inner = inner;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.tags.len()
    }

    /// The bytes of `message`, which is of this ring.
    pub(super) fn bytes<'a>(&self, message: &'a Message) -> &'a [u8] {
        let Some(address) = self.buffers.cells().address(message.index as usize) else {
            return &[];
        };
        let len = (message.len as usize).min(self.capacity);
        // SAFETY: The message's buffer is not posted, so neither the device nor anybody else
        // writes to it, and the queue pair that `message` is of outlives the borrow: messages
        // are lent out with their context.
        unsafe { core::slice::from_raw_parts(address.as_ptr(), len) }
    }

    pub(super) fn sync_for_cpu(&self, index: usize, len: usize) {
        self.buffers.sync_for_cpu(index, len);
    }
}

/// Receives that wait to be posted together. Belongs to the one who processes completions.
pub(super) struct Batch {
    len: usize,
    entries: [(bindings::ib_sge, *mut bindings::ib_cqe); BATCH],
}

// SAFETY: The addresses are of tags of the queue pair that the batch belongs to.
unsafe impl Send for Batch {}

impl Batch {
    pub(super) fn new() -> Self {
        let sge = bindings::ib_sge {
            addr: 0,
            length: 0,
            lkey: 0,
        };
        Self {
            len: 0,
            entries: [(sge, core::ptr::null_mut()); BATCH],
        }
    }

    /// Adds a buffer; returns whether the batch is full and must be posted.
    pub(super) fn push<C: Consumer>(&mut self, ring: &Ring<C>, index: usize) -> bool {
        let (Some(sge), Some(tag)) = (
            ring.buffers.entry(index, ring.capacity),
            ring.tags.get(index),
        ) else {
            return false;
        };
        if let Some(entry) = self.entries.get_mut(self.len) {
            ring.buffers.sync_for_device(&sge);
            *entry = (sge, tag.as_raw());
            self.len += 1;
        }
        self.len == BATCH
    }

    /// Posts all that is in the batch.
    ///
    /// # Safety
    ///
    /// `qp` must be live, and of the same [`Inner`] as the rings of what was pushed.
    pub(super) unsafe fn post(&mut self, qp: *mut bindings::ib_qp) -> Result {
        // SAFETY: All zeroes is a valid, empty work request.
        let mut requests: [bindings::ib_recv_wr; BATCH] = unsafe { core::mem::zeroed() };
        let mut next = core::ptr::null_mut();
        for (request, entry) in requests
            .iter_mut()
            .zip(self.entries.iter_mut())
            .take(self.len)
            .rev()
        {
            request.next = next;
            request.__bindgen_anon_1.wr_cqe = entry.1;
            request.sg_list = &mut entry.0;
            request.num_sge = 1;
            next = request;
        }
        self.len = 0;
        if next.is_null() {
            return Ok(());
        }
        // SAFETY: The caller promises a live queue pair; the requests are copied by the call, the
        // buffers and tags that they name live as long as the queue pair.
        kernel::error::to_result(unsafe { bindings::iser_rs_post_recv(qp, next) })
    }
}
