// SPDX-License-Identifier: GPL-2.0

//! Slots: transfers whose memory the peer may access until they are fenced off.
//!
//! A slot holds the owner of the data, from the moment the request is posted until the peer has
//! answered, every send that read the data has completed, and the peer's access has ended: either
//! the peer has invalidated the key, or a local invalidation has completed. Only then is the
//! owner given back. See [`super::fence`].

use core::{cell::UnsafeCell, mem::MaybeUninit};
use kernel::{prelude::*, sync::Arc};

use super::{
    completion::{Purpose, Tag},
    device::{Device, ProtectionDomain},
    fence::{Awaited, Fence, Outcome, State},
    qp::{Consumer, Failure, Inner, MAX_SGE},
    receive::Message,
    region::{Access, Region, RemoteKey},
};
use crate::{
    bindings,
    sg::{Direction, ListOwner, RawList},
};

/// What is in an armed slot.
struct Armed<O> {
    owner: O,
    data: Option<MappedList>,
    answer: Option<Message>,
}

/// A list that is mapped for the device; to be unmapped by [`Self::unmap`].
#[derive(Clone, Copy)]
pub(super) struct MappedList {
    list: RawList,
    mapped: i32,
    direction: Direction,
}

impl MappedList {
    /// # Safety
    ///
    /// The list must stay valid, and be mapped by nobody else, until it is unmapped.
    unsafe fn map(device: &Device, list: RawList, direction: Direction) -> Result<Self> {
        // SAFETY: As the caller promises.
        let mapped = unsafe {
            bindings::iser_rs_dma_map_sg(
                device.as_raw(),
                list.head.as_ptr(),
                list.nents as i32,
                direction.as_raw(),
            )
        };
        if mapped <= 0 {
            return Err(ENOMEM);
        }
        Ok(Self {
            list,
            mapped,
            direction,
        })
    }

    /// # Safety
    ///
    /// For the device with which it was mapped, once.
    unsafe fn unmap(self, device: &Device) {
        // SAFETY: As the caller promises.
        unsafe {
            bindings::iser_rs_dma_unmap_sg(
                device.as_raw(),
                self.list.head.as_ptr(),
                self.list.nents as i32,
                self.direction.as_raw(),
            );
        }
    }

    /// Fills `entries` with what covers `len` bytes at `offset`; returns how many that are, or
    /// `None` if they do not suffice.
    fn cover(
        &self,
        mut offset: usize,
        mut len: usize,
        lkey: u32,
        entries: &mut [bindings::ib_sge],
    ) -> Option<usize> {
        let mut used = 0;
        let mut sg = self.list.head.as_ptr();
        for _ in 0..self.mapped {
            if len == 0 {
                break;
            }
            // SAFETY: There are `mapped` entries in the list, and this is one of them.
            let (address, size) = unsafe {
                (
                    kernel::bindings::sg_dma_address(sg),
                    kernel::bindings::sg_dma_len(sg) as usize,
                )
            };
            if offset < size {
                let take = (size - offset).min(len);
                *entries.get_mut(used)? = bindings::ib_sge {
                    addr: address + offset as u64,
                    length: take as u32,
                    lkey,
                };
                used += 1;
                len -= take;
                offset = 0;
            } else {
                offset -= size;
            }
            // SAFETY: As above; the result is not used after the last entry.
            sg = unsafe { kernel::bindings::sg_next(sg) };
        }
        (len == 0).then_some(used)
    }
}

/// A slot of a queue pair.
///
/// # Invariants
///
/// `armed` is initialised while the fence is armed, and while it is held after that until
/// released. Whoever holds the fence has exclusive access to `armed` and to the layout of
/// `region`; while it is armed, only `answer` in it changes, by the one who processes completions.
pub(super) struct Slot<C: Consumer> {
    pub(super) fence: Fence,
    armed: UnsafeCell<MaybeUninit<Armed<C::Owner>>>,
    region: Region,
    data: Tag<C>,
    invalidate: Tag<C>,
}

// SAFETY: What is in a slot may be sent to another thread (`Owner: Send`).
unsafe impl<C: Consumer> Send for Slot<C> {}
// SAFETY: By the type invariant access is exclusive where it has to be.
unsafe impl<C: Consumer> Sync for Slot<C> {}

impl<C: Consumer> Slot<C> {
    pub(super) fn new(
        pd: Arc<ProtectionDomain>,
        index: usize,
        pages: usize,
        sg_gaps: bool,
    ) -> Result<Self> {
        // INVARIANT: The fence is idle.
        Ok(Self {
            fence: Fence::new(),
            armed: UnsafeCell::new(MaybeUninit::uninit()),
            region: Region::new(pd, pages, sg_gaps)?,
            data: Tag::new(Purpose::Data, index),
            invalidate: Tag::new(Purpose::Invalidate, index),
        })
    }

    pub(super) fn set_inner(&mut self, inner: *const Inner<C>) {
        self.data.inner = inner;
        self.invalidate.inner = inner;
    }

    /// The key under which the slot's data was registered last.
    pub(super) fn rkey(&self) -> u32 {
        self.region.key().rkey
    }

    /// Keeps the answer until the slot is complete.
    ///
    /// # Safety
    ///
    /// The caller processes completions, and has the slot wait for it by `State::answered`.
    pub(super) unsafe fn store_answer(&self, message: Message) {
        // SAFETY: By the type invariant this is ours to change.
        unsafe { (*self.armed.get()).assume_init_mut().answer = Some(message) };
    }

    /// Empties a completed slot and makes it idle.
    ///
    /// # Safety
    ///
    /// The caller holds the fence by [`super::fence::Outcome::Complete`], or the queue pair is drained and the
    /// slot armed.
    pub(super) unsafe fn finish(&self, device: &Device) -> (C::Owner, Option<Message>) {
        // SAFETY: By the type invariant it is initialised and ours.
        let armed = unsafe { (*self.armed.get()).assume_init_read() };
        if let Some(data) = armed.data {
            // SAFETY: Mapped when it was prepared. Nobody can access it any more.
            unsafe { data.unmap(device) };
        }
        self.fence.release();
        (armed.owner, armed.answer)
    }

    /// Posts the local invalidation that the fence has just begun to wait for.
    pub(super) fn post_invalidate(&self, inner: &Inner<C>) -> Result {
        // SAFETY: All zeroes is a valid work request.
        let mut request: bindings::ib_send_wr = unsafe { core::mem::zeroed() };
        request.opcode = bindings::ib_wr_opcode_IB_WR_LOCAL_INV;
        request.ex.invalidate_rkey = self.rkey();
        // The entry was reserved when the request was posted.
        inner.post_signalled(&mut request, 1, &self.invalidate)
    }
}

/// A message that follows the request of a transfer, with some of its data.
pub(crate) struct FollowUp<const N: usize> {
    /// Its header.
    pub(crate) header: [u8; N],
    /// First byte of the data, from the start of the transfer's data.
    pub(crate) offset: usize,
    /// Bytes of data.
    pub(crate) len: usize,
}

/// A slot that is held to prepare a transfer; idle again when dropped.
pub(crate) struct Prepared<'a, C: Consumer> {
    inner: &'a Inner<C>,
    slot: &'a Slot<C>,
    index: usize,
    owner: Option<C::Owner>,
    data: Option<MappedList>,
    access: Option<Access>,
}

impl<'a, C: Consumer> Prepared<'a, C> {
    /// Takes hold of slot `index`, and maps the owner's data.
    pub(super) fn new(
        inner: &'a Inner<C>,
        index: usize,
        owner: C::Owner,
        direction: Direction,
    ) -> Result<Self> {
        let slot = inner.exchange()?.slots.get(index).ok_or(EINVAL)?;
        if !slot.fence.hold() {
            return Err(EBUSY);
        }
        let mut prepared = Self {
            inner,
            slot,
            index,
            owner: None,
            data: None,
            access: None,
        };
        if let Some(list) = owner.list() {
            // SAFETY: The owner keeps the list valid; it is unmapped before the owner is dropped.
            prepared.data = Some(unsafe { MappedList::map(inner.device(), list, direction) }?);
        }
        prepared.owner = Some(owner);
        Ok(prepared)
    }

    /// Lets the peer access the data, from when the request is posted.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no data, or too much for the region.
    pub(crate) fn register(&mut self, access: Access) -> Result<RemoteKey> {
        let data = self.data.as_ref().ok_or(EINVAL)?;
        // SAFETY: The fence is held, so the region is not registered; the list is mapped.
        let key = unsafe { self.slot.region.lay_out(&data.list, data.mapped) }?;
        self.access = Some(access);
        Ok(key)
    }

    /// Posts the request: the slot's header with the first `immediate` bytes of the data, then
    /// what `follow_ups` gives.
    ///
    /// On success the owner comes back by [`Consumer::finished`], or is dropped when the
    /// connection ends. Without `answered` it comes back when the request has been sent.
    /// Callers must not do this at the same time as others on the same queue pair.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is no room in the send queue now. Nothing has been posted on any error.
    pub(crate) fn post<const N: usize>(
        mut self,
        immediate: usize,
        follow_ups: impl ExactSizeIterator<Item = FollowUp<N>>,
        answered: bool,
    ) -> Result {
        let exchange = self.inner.exchange()?;
        let count = follow_ups.len();
        let header = exchange
            .headers
            .entry(self.index, exchange.header_len)
            .ok_or(EINVAL)?;
        let mut sges = [header; MAX_SGE];
        let room = sges.get_mut(1..self.inner.max_send_sge()).ok_or(EINVAL)?;
        let source = self.source(immediate, count, room)?;
        let used = source.cover(0, immediate, room).ok_or(EINVAL)?;

        // A send that reads nothing but its header needs no completion of its own.
        let signalled = immediate > 0 || !answered;
        let sends = usize::from(signalled) + count;
        if sends > State::MAX_SENDS {
            return Err(E2BIG);
        }
        let registering = i32::from(self.access.is_some());
        // The registration and its end, the request, and what follows it.
        let entries = 2 * registering + 1 + count as i32;
        // What is not answered is control, and must not wait for commands.
        let room = Room::reserve(self.inner, entries, count as i32, answered)?;
        exchange.headers.sync_for_device(&header);

        // SAFETY: All zeroes is a valid work request, for both.
        let (mut register, mut send): (bindings::ib_reg_wr, bindings::ib_send_wr) =
            unsafe { core::mem::zeroed() };
        send.opcode = bindings::ib_wr_opcode_IB_WR_SEND;
        send.sg_list = sges.as_mut_ptr();
        send.num_sge = 1 + used as i32;
        let send = &raw mut send;
        let mut first = send;
        if let Some(access) = self.access {
            register.wr.opcode = bindings::ib_wr_opcode_IB_WR_REG_MR;
            register.wr.__bindgen_anon_1.wr_cqe = self.inner.plain_tag();
            register.wr.next = send;
            register.mr = self.slot.region.as_raw();
            register.key = self.slot.rkey();
            register.access = access.as_raw();
            first = &raw mut register.wr;
        }

        let armed = self.arm(&Awaited {
            sends,
            answer: answered,
            region: registering != 0,
            advertised: self.access.is_some_and(|access| access != Access::Local),
            sends_use_region: matches!(source, Source::Region(_)),
        })?;
        // From here on others may complete the slot at any time.
        let tag = signalled.then_some(&self.slot.data);
        // SAFETY: A chain of one or two requests on this stack, the last of them `send`; all that
        // they name lives as long as the queue pair, or as the slot is armed.
        match unsafe { self.inner.post_chain(first, send, 1 + registering, tag) } {
            Ok(()) => {}
            Err(error) if error.nothing_posted && self.disarm(armed) => return Err(error.errno),
            // Part of it is on its way: the connection has to end before the slot can.
            Err(_) => {}
        }
        room.used();
        // Nothing is left in it, and the fence is no longer held.
        let prepared = core::mem::ManuallyDrop::new(self);
        let (inner, slot, index) = (prepared.inner, prepared.slot, prepared.index);
        for follow_up in follow_ups {
            // The slot waits for this send, so what `source` names is still mapped.
            if inner.post_follow_up(index, &source, &follow_up).is_err() {
                inner.consumer().failed(Failure::Post);
                break;
            }
        }
        if registering != 0 {
            // Not the finisher: the invalidation, if that is all, is still to come.
            if let Ok((_, Outcome::Invalidate)) = slot.fence.update(|now| Some(now.posted())) {
                inner.invalidate(slot);
            }
        }
        Ok(())
    }

    /// Where sends take the data from: its segments if they are few enough for every send, or
    /// else a registration that makes one of them.
    fn source(
        &mut self,
        immediate: usize,
        follow_ups: usize,
        room: &mut [bindings::ib_sge],
    ) -> Result<Source> {
        let Some(data) = self.data else {
            return Ok(Source::Nothing);
        };
        let segments = Source::Segments(data, self.inner.local_key());
        let few = data.mapped as usize <= room.len();
        if few || (follow_ups == 0 && segments.cover(0, immediate, room).is_some()) {
            return Ok(segments);
        }
        if self.access.is_none() {
            self.register(Access::Local)?;
        }
        Ok(Source::Region(self.slot.region.key()))
    }

    /// Puts the owner and its data into the slot, and arms it.
    fn arm(&mut self, awaited: &Awaited) -> Result<State> {
        let armed = Armed {
            owner: self.owner.take().ok_or(EINVAL)?,
            data: self.data.take(),
            answer: None,
        };
        // SAFETY: The fence is held.
        unsafe { (*self.slot.armed.get()).write(armed) };
        // INVARIANT: `armed` is initialised.
        Ok(self.slot.fence.arm(awaited))
    }

    /// Takes back what [`Self::arm`] did, if nothing has happened since.
    fn disarm(&mut self, armed: State) -> bool {
        let disarmed = self.slot.fence.disarm(armed);
        if disarmed {
            // SAFETY: The fence is held again, and the slot initialised.
            let armed = unsafe { (*self.slot.armed.get()).assume_init_read() };
            self.owner = Some(armed.owner);
            self.data = armed.data;
        }
        disarmed
    }
}

impl<C: Consumer> Drop for Prepared<'_, C> {
    fn drop(&mut self) {
        if let Some(data) = self.data.take() {
            // SAFETY: Mapped in `new`, for this device.
            unsafe { data.unmap(self.inner.device()) };
        }
        drop(self.owner.take());
        self.slot.fence.release();
    }
}

/// Where a send takes data from.
pub(super) enum Source {
    /// There is none.
    Nothing,
    /// The mapped segments, under the local key.
    Segments(MappedList, u32),
    /// The slot's region.
    Region(RemoteKey),
}

impl Source {
    /// Fills `entries` with what covers `len` bytes at `offset`; returns how many that are.
    pub(super) fn cover(
        &self,
        offset: usize,
        len: usize,
        entries: &mut [bindings::ib_sge],
    ) -> Option<usize> {
        match self {
            _ if len == 0 => Some(0),
            Self::Nothing => None,
            Self::Segments(data, lkey) => data.cover(offset, len, *lkey, entries),
            Self::Region(key) => {
                *entries.first_mut()? = bindings::ib_sge {
                    addr: key.base + offset as u64,
                    length: len as u32,
                    lkey: key.rkey,
                };
                Some(1)
            }
        }
    }
}

/// Entries of the send queue and follow-up headers, given back when dropped unused.
struct Room<'a, C: Consumer> {
    inner: &'a Inner<C>,
    entries: i32,
    headers: i32,
}

impl<'a, C: Consumer> Room<'a, C> {
    fn reserve(inner: &'a Inner<C>, entries: i32, headers: i32, command: bool) -> Result<Self> {
        if !inner.credits.reserve(entries, command) {
            return Err(EAGAIN);
        }
        let enough = headers == 0
            || inner
                .follow_ups()
                .is_ok_and(|follow_ups| follow_ups.reserve(headers));
        if !enough {
            inner.credits.give(entries);
            return Err(EAGAIN);
        }
        Ok(Self {
            inner,
            entries,
            headers,
        })
    }

    fn used(self) {
        core::mem::forget(self);
    }
}

impl<C: Consumer> Drop for Room<'_, C> {
    fn drop(&mut self) {
        self.inner.credits.give(self.entries);
        if let Ok(follow_ups) = self.inner.follow_ups() {
            follow_ups.give(self.headers);
        }
    }
}
