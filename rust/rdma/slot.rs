// SPDX-License-Identifier: GPL-2.0

//! Slots: transfers whose memory the peer may access until they are fenced off.
//!
//! A slot holds the owner of the data, from the moment the request is posted until the peer has
//! answered, every send that read the data has completed, and the peer's access has ended: either
//! the peer has invalidated the key, or a local invalidation has completed. Only then is the
//! owner given back. See [`super::fence`].

use core::{cell::UnsafeCell, mem::MaybeUninit, ptr};
use kernel::{prelude::*, sync::Arc};

use super::{
    completion::{Purpose, Tag},
    device::{Device, ProtectionDomain},
    exchange::Exchange,
    fence::{Awaited, Fence, Generation, Outcome, State},
    gather::{Gather, MappedList, Source},
    post::{request, FollowUp, Room},
    qp::{Consumer, Failure, Inner},
    receive::Message,
    region::{Access, Region, RemoteKey},
    requests::Requests,
    statistics::Poster,
    transmitter::Transmitter,
    watch::{Finished, Watch},
};
use crate::{
    bindings,
    sg::{Direction, ListOwner},
};

/// What is in a slot.
struct Content<O> {
    owner: O,
    data: Option<MappedList>,
    answer: Option<Message>,
}

/// A slot of a queue pair.
///
/// # Invariants
///
/// `content` is initialised while the fence is armed, while a [`Prepared`] holds it, and while it
/// is held after it was armed until released. Whoever holds the fence has exclusive access to
/// `content` and to the layout of `region`; while it is armed, only `answer` in it changes, by the
/// one who processes completions. Who has the queue pair's [`Transmitter`] has exclusive access to
/// `requests`.
pub(super) struct Slot<C: Consumer> {
    pub(super) fence: Fence,
    pub(super) watch: Watch,
    content: UnsafeCell<MaybeUninit<Content<C::Owner>>>,
    requests: UnsafeCell<Requests>,
    header: bindings::ib_sge,
    region: Region,
    data: Tag<C>,
    invalidate: Tag<C>,
}

// SAFETY: What is in a slot may be sent to another thread: the owner is `Send`, and where a message
// leads belongs to the queue pair.
unsafe impl<C: Consumer> Send for Slot<C> {}
// SAFETY: By the type invariant access is exclusive where it has to be.
unsafe impl<C: Consumer> Sync for Slot<C> {}

impl<C: Consumer> Slot<C> {
    pub(super) fn new(
        pd: Arc<ProtectionDomain>,
        index: usize,
        header: bindings::ib_sge,
        pages: usize,
        sg_gaps: bool,
    ) -> Result<Self> {
        let region = Region::new(pd, pages, sg_gaps)?;
        // INVARIANT: The fence is idle.
        Ok(Self {
            fence: Fence::new(),
            watch: Watch::default(),
            content: UnsafeCell::new(MaybeUninit::uninit()),
            requests: UnsafeCell::new(Requests::new(header, &region)),
            header,
            region,
            data: Tag::new(Purpose::Data, index),
            invalidate: Tag::new(Purpose::Invalidate, index),
        })
    }

    /// Where the slot is now is where it stays.
    pub(super) fn set_inner(&mut self, inner: &Inner<C>) {
        self.data.inner = inner;
        self.invalidate.inner = inner;
        self.requests.get_mut().place(inner.plain_tag());
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
        unsafe { (*self.content.get()).assume_init_mut().answer = Some(message) };
    }

    /// Empties a completed slot, which was `ended` when that was seen, and makes it idle.
    ///
    /// # Safety
    ///
    /// The caller holds the fence by [`super::fence::Outcome::Complete`], or the queue pair is drained and the
    /// slot armed.
    #[inline(always)]
    pub(super) unsafe fn finish(&self, ended: State, device: &Device) -> Finished<C::Owner> {
        // SAFETY: By the type invariant it is initialised and ours.
        let content = unsafe { (*self.content.get()).assume_init_read() };
        if let Some(data) = content.data {
            // SAFETY: Mapped when it was prepared. Nobody can access it any more.
            unsafe { data.unmap(device) };
        }
        let finished = self.watch.finish(content.owner, content.answer);
        self.fence.release(ended.generation());
        finished
    }

    /// Empties a slot whose transfer was not posted, and makes it idle.
    ///
    /// # Safety
    ///
    /// The caller holds the fence, and `content` is initialised.
    #[cold]
    unsafe fn give_up(&self, generation: Generation, device: &Device) {
        // SAFETY: As the caller promises; from here on it is not.
        let content = unsafe { (*self.content.get()).assume_init_read() };
        if let Some(data) = content.data {
            // SAFETY: Mapped when it was prepared, for this device.
            unsafe { data.unmap(device) };
        }
        drop(content.owner);
        self.fence.release(generation);
    }

    /// Posts the local invalidation that the fence has just begun to wait for.
    pub(super) fn post_invalidate(&self, inner: &Inner<C>) -> Result {
        let mut request = request(bindings::ib_wr_opcode_IB_WR_LOCAL_INV, ptr::null_mut());
        request.ex.invalidate_rkey = self.rkey();
        // The entry was reserved when the request was posted.
        inner.post_signalled(&mut request, 1, &self.invalidate)
    }
}

/// A slot that is held to prepare a transfer; idle again when dropped.
///
/// # Invariants
///
/// `_transmitter` is that of `inner`.
pub(crate) struct Prepared<'a, C: Consumer> {
    inner: &'a Inner<C>,
    _transmitter: &'a mut Transmitter,
    exchange: &'a Exchange<C>,
    slot: &'a Slot<C>,
    generation: Generation,
    index: u32,
    access: Option<Access>,
}

impl<'a, C: Consumer> Prepared<'a, C> {
    /// Takes hold of slot `index`, and maps the owner's data.
    #[inline(always)]
    pub(super) fn new(
        inner: &'a Inner<C>,
        transmitter: &'a mut Transmitter,
        index: usize,
        owner: C::Owner,
        direction: Direction,
    ) -> Result<Self> {
        if !transmitter.is_of(inner) {
            return Err(EINVAL);
        }
        let exchange = inner.exchange()?;
        let slot = exchange.slots.get(index).ok_or(EINVAL)?;
        let generation = slot.fence.hold().ok_or(EBUSY)?;
        let list = owner.list();
        slot.watch.begin(list.as_ref(), direction);
        let data = match list {
            None => None,
            // SAFETY: The owner keeps the list valid; it is unmapped before the owner is dropped.
            Some(list) => match unsafe { MappedList::map(inner.device(), list, direction) } {
                Ok(data) => Some(data),
                Err(error) => {
                    slot.fence.release(generation);
                    return Err(error);
                }
            },
        };
        let content = Content {
            owner,
            data,
            answer: None,
        };
        // SAFETY: The fence is held.
        unsafe { (*slot.content.get()).write(content) };
        // INVARIANT: `content` is initialised.
        Ok(Self {
            inner,
            _transmitter: transmitter,
            exchange,
            slot,
            generation,
            index: index as u32,
            access: None,
        })
    }

    fn data(&self) -> Option<&MappedList> {
        // SAFETY: By the invariant of the slot it is initialised and ours.
        unsafe { (*self.slot.content.get()).assume_init_ref() }
            .data
            .as_ref()
    }

    /// Leaves a number with the transfer, which comes back with it.
    pub(crate) fn stamp(&self, stamp: u64) {
        self.slot.watch.stamp(stamp);
    }

    /// Segments of the data, as the device sees them.
    pub(crate) fn segments(&self) -> u32 {
        self.data().map_or(0, |data| data.mapped as u32)
    }

    /// Lets the peer access the data, from when the request is posted.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no data, or too much for the region.
    #[inline(always)]
    pub(crate) fn register(&mut self, access: Access) -> Result<RemoteKey> {
        let data = self.data().ok_or(EINVAL)?;
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
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is no room in the send queue now. Nothing has been posted on any error.
    #[inline(always)]
    pub(crate) fn post<const N: usize>(
        mut self,
        immediate: usize,
        follow_ups: impl ExactSizeIterator<Item = FollowUp<N>>,
        answered: bool,
    ) -> Result {
        let (inner, slot) = (self.inner, self.slot);
        // SAFETY: By the invariants of the slot and of `self`.
        let requests = unsafe { &mut *slot.requests.get() };
        let count = follow_ups.len();
        let mut gather = requests.gather(inner.max_send_sge());
        let by_region =
            (immediate > 0 || count > 0) && self.gather(&mut gather, immediate, count)?;
        let entries = gather.len();
        requests.set_entries(entries);
        // Of its own, as others may be about to finish the slot when it is needed.
        let source = match count {
            0 => None,
            _ => Some(self.source(by_region)?),
        };

        // A send that reads nothing but its header needs no completion of its own.
        let signalled = immediate > 0 || !answered;
        let sends = usize::from(signalled).wrapping_add(count);
        if sends > State::MAX_SENDS {
            return Err(E2BIG);
        }
        let registering = self.access.is_some();
        // The registration and its end, the request, and what follows it.
        let room = Room::reserve(
            inner,
            (2 * i32::from(registering) + 1).wrapping_add(count as i32),
            count as i32,
            // What is not answered is control, and must not wait for commands.
            answered,
        )?;
        self.exchange.headers.sync_for_device(&slot.header);

        if let Some(access) = self.access {
            requests.set_registration(slot.rkey(), access);
        }

        let armed = slot.fence.arm(
            self.generation,
            &Awaited {
                sends,
                answer: answered,
                region: registering,
                advertised: self.access.is_some_and(|access| access != Access::Local),
                sends_use_region: by_region,
            },
        );
        // From here on others may complete the slot at any time: nothing is left in `self`, and the
        // fence is no longer held.
        room.used();
        let index = core::mem::ManuallyDrop::new(self).index;
        // SAFETY: They are filled, and nobody else has them as long as there is the transmitter. What
        // they name belongs to the queue pair, or to the slot, which stays armed: while it registers
        // by `POSTING`, while it is signalled by the send that has not completed. Otherwise that is
        // the header and the plain tag alone.
        let posted =
            unsafe { inner.post_requests(requests, registering, signalled.then_some(&slot.data)) };
        if posted.is_err() {
            // The connection ends, and the slot with it.
            return Ok(());
        }
        // Not the finisher: the invalidation, if that is all, is still to come.
        if registering && slot.fence.posted(armed) == Outcome::Invalidate {
            inner.invalidate(slot, Poster::Transmit);
        }
        for follow_up in follow_ups {
            // The slot waits for this send, so what `source` names is still mapped.
            let posted = match &source {
                Some(source) => inner.post_follow_up(index as usize, source, &follow_up),
                None => Err(EINVAL),
            };
            if posted.is_err() {
                inner.consumer().failed(Failure::Post);
                break;
            }
        }
        Ok(())
    }

    /// Adds the first `immediate` bytes of the data to `gather`; returns whether this, and what
    /// follows, takes them from a registration that makes one segment of the data, and not from its
    /// segments, which are too many for a send.
    #[inline(always)]
    fn gather(
        &mut self,
        gather: &mut Gather<'_>,
        immediate: usize,
        follow_ups: usize,
    ) -> Result<bool> {
        let data = self.data().ok_or(EINVAL)?;
        let few = data.mapped as usize <= gather.room();
        if few || follow_ups == 0 {
            if gather.add_segments(data, self.inner.local_key(), 0, immediate) {
                return Ok(false);
            }
            if few {
                return Err(EINVAL);
            }
        }
        if self.access.is_none() {
            self.register(Access::Local)?;
        }
        let added = immediate == 0 || gather.add_region(&self.slot.region.key(), 0, immediate);
        added.then_some(true).ok_or(EINVAL)
    }

    /// Where the data comes from, for what follows the request.
    fn source(&self, by_region: bool) -> Result<Source> {
        Ok(if by_region {
            Source::Region(self.slot.region.key())
        } else {
            Source::Segments(*self.data().ok_or(EINVAL)?, self.inner.local_key())
        })
    }
}

impl<C: Consumer> Drop for Prepared<'_, C> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: It is held, and by the invariant of the slot `content` is initialised.
        unsafe { self.slot.give_up(self.generation, self.inner.device()) };
    }
}
