// SPDX-License-Identifier: GPL-2.0

//! What a connection needs to exchange messages, allocated at once before the first of them.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            ordering::{Acquire, Relaxed, Release},
            Atomic,
        },
        Arc,
    }, //
};

use super::{
    completion::{Purpose, Tag},
    device::ProtectionDomain,
    memory::MappedCells,
    qp::{Consumer, Inner},
    receive::Ring,
    slot::Slot,
};
use crate::{bindings, cells::Cells, sg::Direction};

/// How large an [`Exchange`] is to be.
pub(crate) struct Sizes {
    /// Number of slots; there must be as many headers.
    pub(crate) slots: usize,
    /// Pages that the region of a slot can hold.
    pub(crate) region_pages: usize,
    /// Bytes of a header.
    pub(crate) header_len: usize,
    /// Bytes of payload that [`super::qp::QueuePair::send`] takes.
    pub(crate) payload_len: usize,
    /// For each ring of receive buffers: how many are posted, and bytes of a message.
    pub(crate) rings: [(usize, usize); 2],
}

/// Slots, headers and receive buffers of a queue pair.
pub(crate) struct Exchange<C: Consumer> {
    pub(super) slots: KVVec<Slot<C>>,
    pub(super) headers: MappedCells,
    pub(super) header_len: usize,
    pub(super) payload: MappedCells,
    pub(super) rings: KVVec<Ring<C>>,
}

impl<C: Consumer> Exchange<C> {
    /// Allocates and maps everything. May sleep.
    ///
    /// `headers` holds the header of each slot in the cell of the same index.
    pub(crate) fn new(
        pd: &Arc<ProtectionDomain>,
        headers: Arc<Cells>,
        sizes: &Sizes,
    ) -> Result<KBox<Self>> {
        if headers.count() < sizes.slots || headers.cell_len() < sizes.header_len {
            return Err(EINVAL);
        }
        let sg_gaps = pd.device().attributes().sg_gaps;
        let headers = MappedCells::new(pd.clone(), headers, Direction::ToDevice)?;
        let mut slots = KVVec::with_capacity(sizes.slots, GFP_KERNEL)?;
        for index in 0..sizes.slots {
            let header = headers.entry(index, sizes.header_len).ok_or(EINVAL)?;
            let slot = Slot::new(pd.clone(), index, header, sizes.region_pages, sg_gaps)?;
            slots.push(slot, GFP_KERNEL)?;
        }
        let mut rings = KVVec::with_capacity(sizes.rings.len(), GFP_KERNEL)?;
        for (ring, (count, len)) in sizes.rings.into_iter().enumerate() {
            rings.push(Ring::new(pd.clone(), ring as u8, count, len)?, GFP_KERNEL)?;
        }
        let payload = Cells::new(1, sizes.payload_len.next_power_of_two())?;
        let payload = Arc::new(payload, GFP_KERNEL)?;
        let exchange = Self {
            slots,
            headers,
            header_len: sizes.header_len,
            payload: MappedCells::new(pd.clone(), payload, Direction::ToDevice)?,
            rings,
        };
        Ok(KBox::new(exchange, GFP_KERNEL)?)
    }

    pub(super) fn is_of(&self, pd: &Arc<ProtectionDomain>) -> bool {
        self.headers.is_of(pd)
    }

    /// Buffers that all rings may have posted together.
    pub(super) fn receives(&self) -> usize {
        self.rings.iter().map(Ring::count).sum()
    }

    /// Where everything is now is where it stays.
    pub(super) fn set_inner(&mut self, inner: &Inner<C>) {
        for slot in &mut self.slots {
            slot.set_inner(inner);
        }
        for ring in &mut self.rings {
            ring.set_inner(inner);
        }
    }
}

/// Headers for messages that follow the first one of a transfer.
///
/// Used first in, first out, as sends complete in the order in which they were posted; so those
/// who post must not do so at the same time.
pub(crate) struct FollowUps<C: Consumer> {
    headers: MappedCells,
    header_len: usize,
    tags: KVVec<Tag<C>>,
    /// Slot of each message under way.
    slots: KVVec<Atomic<u32>>,
    free: Atomic<i32>,
    next: Atomic<u32>,
}

impl<C: Consumer> FollowUps<C> {
    /// Room for `count` messages under way at once. May sleep.
    pub(crate) fn new(
        pd: &Arc<ProtectionDomain>,
        count: usize,
        header_len: usize,
    ) -> Result<KBox<Self>> {
        // A power of two, so that the index may wrap around.
        let count = count.max(1).next_power_of_two();
        let mut tags = KVVec::with_capacity(count, GFP_KERNEL)?;
        let mut slots = KVVec::with_capacity(count, GFP_KERNEL)?;
        for index in 0..count {
            tags.push(Tag::new(Purpose::FollowUp, index), GFP_KERNEL)?;
            slots.push(Atomic::new(0), GFP_KERNEL)?;
        }
        let cells = Arc::new(
            Cells::new(count, header_len.next_power_of_two())?,
            GFP_KERNEL,
        )?;
        let follow_ups = Self {
            headers: MappedCells::new(pd.clone(), cells, Direction::ToDevice)?,
            header_len,
            tags,
            slots,
            free: Atomic::new(count as i32),
            next: Atomic::new(0),
        };
        Ok(KBox::new(follow_ups, GFP_KERNEL)?)
    }

    pub(super) fn is_of(&self, pd: &Arc<ProtectionDomain>) -> bool {
        self.headers.is_of(pd)
    }

    pub(super) fn set_inner(&mut self, inner: *const Inner<C>) {
        for tag in &mut self.tags {
            tag.inner = inner;
        }
    }

    /// Takes `count` headers for the calls of [`Self::next`] to come, if there are as many.
    pub(super) fn reserve(&self, count: i32) -> bool {
        // Acquires what was done with the headers and their tags by who gave them back.
        if self.free.fetch_sub(count, Acquire) >= count {
            return true;
        }
        self.give(count);
        false
    }

    /// Gives back headers.
    pub(super) fn give(&self, count: i32) {
        self.free.fetch_add(count, Release);
    }

    /// Fills the next header, for a message of `slot`; one that was reserved.
    pub(super) fn next(&self, slot: u32, header: &[u8]) -> Option<(bindings::ib_sge, &Tag<C>)> {
        let next = self.next.fetch_add(1, Relaxed) as usize;
        let index = next.checked_rem(self.tags.len())?;
        self.slots.get(index)?.store(slot, Relaxed);
        if !self.headers.cells().write(index, 0, header) {
            return None;
        }
        let entry = self.headers.entry(index, self.header_len)?;
        self.headers.sync_for_device(&entry);
        Some((entry, self.tags.get(index)?))
    }

    /// The slot that the message with header `index` belongs to.
    pub(super) fn slot(&self, index: usize) -> usize {
        self.slots
            .get(index)
            .map_or(usize::MAX, |slot| slot.load(Relaxed) as usize)
    }
}
