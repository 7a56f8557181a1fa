// SPDX-License-Identifier: GPL-2.0

//! Queue pairs.
//!
//! C header: [`include/rdma/ib_verbs.h`](srctree/include/rdma/ib_verbs.h)

use core::{cell::UnsafeCell, ptr::NonNull};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            ordering::{Acquire, Relaxed, Release},
            Atomic,
        },
        Arc, SetOnce,
    }, //
};

use super::{
    completion::{CompletionQueue, Purpose, Status, Tag},
    context::Context,
    credits::Credits,
    device::{Device, ProtectionDomain},
    exchange::{Exchange, FollowUps},
    fence::Outcome,
    receive::{Batch, Message},
    slot::{FollowUp, Prepared, Slot, Source},
};
use crate::{
    bindings,
    sg::{Direction, ListOwner},
};

/// Scatter-gather entries of a send, where the device has as many.
pub(super) const MAX_SGE: usize = 17;

/// Entries that the drain of a queue needs for itself. It is done twice.
const DRAIN: usize = 2;

/// Why a queue pair is of no use any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A work request ended with an error.
    Completion(Status),
    /// A work request could not be posted.
    Post,
    /// The device reported an error of the queue pair.
    Device,
}

/// The protocol above a queue pair.
///
/// All of this may run in softirq, none may sleep.
pub(crate) trait Consumer: Sized + Send + Sync + 'static {
    /// Keeps the data of a slot alive.
    type Owner: ListOwner + Send;

    /// A message has come.
    fn received(&self, cx: &mut Context<'_, Self>, message: Message);

    /// The transfer in a slot is over: neither peer nor device can touch the owner's data. Its
    /// answer is `None` if it was abandoned, or not answered.
    fn finished(&self, cx: &mut Context<'_, Self>, owner: Self::Owner, answer: Option<Message>);

    /// The connection is lost. May be called several times, and with locks held.
    fn failed(&self, failure: Failure);
}

/// How large a queue pair is to be.
pub(crate) struct Capacity {
    /// Entries of the send queue.
    pub(crate) send: usize,
    /// Entries of the receive queue.
    pub(crate) receive: usize,
}

/// What work requests and completions share; see [`QueuePair`].
pub(super) struct Inner<C: Consumer> {
    pub(super) qp: NonNull<bindings::ib_qp>,
    pub(super) credits: Credits,
    max_send_sge: usize,
    receive_capacity: usize,
    iwarp: bool,
    /// Set before the queue pair is drained; nothing is posted once that is seen.
    closing: Atomic<bool>,
    exchange: SetOnce<Exchange<C>>,
    follow_ups: SetOnce<FollowUps<C>>,
    /// Belongs to the one who processes completions.
    pub(super) batch: UnsafeCell<Batch>,
    plain: Tag<C>,
    /// Tags of sends that are signalled for nothing but their place in the queue.
    markers: KVVec<Tag<C>>,
    next_marker: Atomic<u32>,
    consumer: C,
    cq: CompletionQueue,
    pd: Arc<ProtectionDomain>,
}

// SAFETY: `batch` and the tags' addresses are only used as the types say.
unsafe impl<C: Consumer> Send for Inner<C> {}
// SAFETY: As above.
unsafe impl<C: Consumer> Sync for Inner<C> {}

/// Error of [`Inner::post_chain`].
pub(super) struct PostError {
    pub(super) errno: Error,
    /// Not even the first request of the chain was taken.
    pub(super) nothing_posted: bool,
}

/// A reliable connected queue pair, with its completion queue and all that is posted to it.
///
/// Dropping it drains it, lets go of what is in its slots and frees everything. May sleep.
///
/// # Invariants
///
/// `inner` is a live allocation that is not moved; its queue pair is that of the domain's id and
/// exists until `self` is dropped.
pub(crate) struct QueuePair<C: Consumer> {
    inner: NonNull<Inner<C>>,
}

// SAFETY: `Inner` is `Send` and `Sync`.
unsafe impl<C: Consumer> Send for QueuePair<C> {}
// SAFETY: As above.
unsafe impl<C: Consumer> Sync for QueuePair<C> {}

impl<C: Consumer> QueuePair<C> {
    /// Makes the queue pair of the domain's id. May sleep.
    pub(crate) fn new(pd: Arc<ProtectionDomain>, capacity: &Capacity, consumer: C) -> Result<Self> {
        let attributes = pd.device().attributes();
        let send = capacity.send.min(attributes.max_qp_wr);
        let receive = capacity.receive.min(attributes.max_qp_wr);
        let max_send_sge = attributes.max_send_sge.min(MAX_SGE);
        if send <= DRAIN || receive <= DRAIN || max_send_sge < 2 {
            return Err(EOPNOTSUPP);
        }
        let cq = CompletionQueue::new(pd.clone(), send + receive)?;

        let mut markers = KVVec::new();
        for _ in 0..Credits::markers(send) {
            markers.push(Tag::new(Purpose::Plain, 0), GFP_KERNEL)?;
        }
        let inner = KBox::new(
            Inner {
                qp: NonNull::dangling(),
                credits: Credits::new(send - DRAIN),
                max_send_sge,
                receive_capacity: receive,
                iwarp: attributes.iwarp,
                closing: Atomic::new(false),
                exchange: SetOnce::new(),
                follow_ups: SetOnce::new(),
                batch: UnsafeCell::new(Batch::new()),
                plain: Tag::new(Purpose::Plain, 0),
                markers,
                next_marker: Atomic::new(0),
                consumer,
                cq,
                pd,
            },
            GFP_KERNEL,
        )?;
        let mut inner = inner;
        let address: *const Inner<C> = &*inner;
        inner.plain.inner = address;
        for marker in &mut inner.markers {
            marker.inner = address;
        }

        // SAFETY: All zeroes is valid.
        let mut attr: bindings::ib_qp_init_attr = unsafe { core::mem::zeroed() };
        attr.event_handler = Some(Inner::<C>::event);
        attr.qp_context = address.cast_mut().cast();
        attr.send_cq = inner.cq.as_raw();
        attr.recv_cq = inner.cq.as_raw();
        attr.cap.max_send_wr = send as u32;
        attr.cap.max_recv_wr = receive as u32;
        attr.cap.max_send_sge = max_send_sge as u32;
        attr.cap.max_recv_sge = 1;
        attr.sq_sig_type = bindings::ib_sig_type_IB_SIGNAL_REQ_WR;
        attr.qp_type = bindings::ib_qp_type_IB_QPT_RC;
        let id = inner.pd.id().as_raw();
        // SAFETY: The id is live and bound to the device of the domain; all that `attr` names
        // lives until the queue pair is destroyed.
        to_result(unsafe { bindings::rdma_create_qp(id, inner.pd.as_raw(), &mut attr) })?;
        // SAFETY: The queue pair was just made.
        inner.qp = NonNull::new(unsafe { bindings::iser_rs_id_qp(id) }).ok_or(EINVAL)?;
        // INVARIANT: Leaked, so it stays where it is; freed by `drop`.
        Ok(Self {
            inner: NonNull::from(KBox::leak(inner)),
        })
    }

    fn inner(&self) -> &Inner<C> {
        // SAFETY: By the type invariant.
        unsafe { self.inner.as_ref() }
    }

    /// The protocol above.
    pub(crate) fn consumer(&self) -> &C {
        &self.inner().consumer
    }

    /// Gives the queue pair what it needs to exchange messages, once. Takes it from `exchange`,
    /// or leaves it there for the caller to drop where that may sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` if it has one, `EINVAL` if that is of another domain, `ENOSPC` if the receive
    /// queue is too short for its rings.
    pub(crate) fn attach(&self, exchange: &mut Option<Exchange<C>>) -> Result {
        let inner = self.inner();
        let new = exchange.as_mut().ok_or(EINVAL)?;
        if !new.is_of(&inner.pd) {
            return Err(EINVAL);
        }
        if new.receives() + DRAIN > inner.receive_capacity {
            return Err(ENOSPC);
        }
        if inner.exchange.as_ref().is_some() {
            return Err(EEXIST);
        }
        new.set_inner(self.inner.as_ptr());
        exchange
            .take()
            .map(|exchange| inner.exchange.populate(exchange));
        Ok(())
    }

    /// Gives the queue pair what it needs for messages that follow others, once.
    ///
    /// # Errors
    ///
    /// As for [`Self::attach`].
    pub(crate) fn attach_follow_ups(&self, follow_ups: &mut Option<FollowUps<C>>) -> Result {
        let inner = self.inner();
        let new = follow_ups.as_mut().ok_or(EINVAL)?;
        if !new.is_of(&inner.pd) {
            return Err(EINVAL);
        }
        if inner.follow_ups.as_ref().is_some() {
            return Err(EEXIST);
        }
        new.set_inner(self.inner.as_ptr());
        follow_ups
            .take()
            .map(|follow_ups| inner.follow_ups.populate(follow_ups));
        Ok(())
    }

    /// Posts all buffers of ring `ring`.
    ///
    /// # Errors
    ///
    /// `EALREADY` if that was done before.
    pub(crate) fn post_receives(&self, ring: usize) -> Result {
        let inner = self.inner();
        let ring = inner.exchange()?.rings.get(ring).ok_or(EINVAL)?;
        if ring.posted.xchg(true, Relaxed) {
            return Err(EALREADY);
        }
        let mut batch = Batch::new();
        for index in 0..ring.count() {
            if batch.push(ring, index) {
                // SAFETY: The queue pair and the ring are those of `inner`.
                unsafe { batch.post(inner.qp.as_ptr()) }?;
            }
        }
        // SAFETY: As above.
        unsafe { batch.post(inner.qp.as_ptr()) }
    }

    /// Sends the header of slot `index` without using the slot, and `payload` after it.
    ///
    /// There is one buffer for payloads: the peer must have answered the last one.
    pub(crate) fn send(&self, index: usize, payload: &[u8]) -> Result {
        let inner = self.inner();
        let exchange = inner.exchange()?;
        let header = exchange
            .headers
            .entry(index, exchange.header_len)
            .ok_or(EINVAL)?;
        let data = exchange.payload.entry(0, payload.len()).ok_or(EINVAL)?;
        if !exchange.payload.cells().write(0, 0, payload) {
            return Err(E2BIG);
        }
        exchange.headers.sync_for_device(&header);
        exchange.payload.sync_for_device(&data);
        let mut sges = [header, data];
        // SAFETY: All zeroes is a valid work request.
        let mut send: bindings::ib_send_wr = unsafe { core::mem::zeroed() };
        send.opcode = bindings::ib_wr_opcode_IB_WR_SEND;
        send.sg_list = sges.as_mut_ptr();
        send.num_sge = 1 + i32::from(!payload.is_empty());
        if !inner.credits.reserve(1, false) {
            return Err(EAGAIN);
        }
        let send = &raw mut send;
        // SAFETY: One request on this stack; the header and the payload live as long as the queue
        // pair.
        unsafe { inner.post_chain(send, send, 1, None) }.map_err(|error| {
            inner.credits.give(1);
            error.errno
        })
    }

    /// Takes slot `index` to transfer the data of `owner`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the slot is in use.
    pub(crate) fn prepare(
        &self,
        index: usize,
        owner: C::Owner,
        direction: Direction,
    ) -> Result<Prepared<'_, C>> {
        Prepared::new(self.inner(), index, owner, direction)
    }

    /// Whether the transfer in slot `index` is answered, and about to be finished.
    pub(crate) fn is_finishing(&self, index: usize) -> bool {
        let slots = self.inner().exchange().map(|exchange| &exchange.slots);
        slots
            .ok()
            .and_then(|slots| slots.get(index))
            .is_some_and(|slot| {
                let now = slot.fence.load();
                now.is_armed() && !now.awaits_answer()
            })
    }

    /// Ends the peer's access to all slots that `abandoned` names, answered or not.
    ///
    /// Returns how many of them are not finished yet; call it again until there are none.
    /// `abandoned` must not say so of a slot that is prepared anew in the meantime.
    pub(crate) fn fence(&self, abandoned: impl Fn(usize) -> bool) -> usize {
        let inner = self.inner();
        let Ok(exchange) = inner.exchange() else {
            return 0;
        };
        let mut pending = 0;
        for (index, slot) in exchange.slots.iter().enumerate() {
            // Asked again whenever the slot has changed, so the answer is about this transfer.
            let result = slot
                .fence
                .update(|now| (now.is_armed() && abandoned(index)).then(|| now.abandoned()));
            match result {
                Ok((_, Outcome::Complete)) => {
                    // SAFETY: By the outcome.
                    drop(unsafe { slot.finish(inner.device()) });
                }
                Ok((_, Outcome::Pending)) => pending += 1,
                Ok((_, Outcome::Invalidate)) => {
                    pending += 1;
                    inner.invalidate(slot);
                }
                Err(_) => {}
            }
        }
        pending
    }
}

impl<C: Consumer> Drop for QueuePair<C> {
    fn drop(&mut self) {
        let inner = self.inner();
        inner.closing.store(true, Release);
        if let Ok(exchange) = inner.exchange() {
            // Completions that are being processed may still post, after the first drain has put
            // its own requests into the queues. Those that are processed after the first drain
            // see `closing`, so nothing is posted behind those of the second.
            for _ in 0..2 {
                // SAFETY: The queue pair exists, its queues have room for this.
                unsafe { bindings::ib_drain_qp(inner.qp.as_ptr()) };
            }
            for slot in &exchange.slots {
                if slot.fence.load().is_armed() {
                    // SAFETY: The queue pair is drained.
                    drop(unsafe { slot.finish(inner.device()) });
                }
            }
        }
        // SAFETY: By the type invariant; nobody posts any more.
        unsafe { bindings::rdma_destroy_qp(inner.pd.id().as_raw()) };
        // SAFETY: Leaked by `new`; with the queue pair, the last user of it but us is gone.
        drop(unsafe { KBox::from_raw(self.inner.as_ptr()) });
    }
}

impl<C: Consumer> Inner<C> {
    pub(super) fn exchange(&self) -> Result<&Exchange<C>> {
        self.exchange.as_ref().ok_or(ENOTCONN)
    }

    pub(super) fn follow_ups(&self) -> Result<&FollowUps<C>> {
        self.follow_ups.as_ref().ok_or(ENOTCONN)
    }

    pub(super) fn consumer(&self) -> &C {
        &self.consumer
    }

    pub(super) fn device(&self) -> &Device {
        self.pd.device()
    }

    pub(super) fn local_key(&self) -> u32 {
        self.pd.local_key()
    }

    pub(super) fn max_send_sge(&self) -> usize {
        self.max_send_sge
    }

    pub(super) fn plain_tag(&self) -> *mut bindings::ib_cqe {
        self.plain.as_raw()
    }

    pub(super) fn is_iwarp(&self) -> bool {
        self.iwarp
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Acquire)
    }

    /// Posts a chain of `count` requests, all unsignalled but the last, which is signalled if it
    /// has a tag of its own. Their entries must be reserved.
    ///
    /// # Safety
    ///
    /// `first` must head a chain of valid requests that ends with `last`; what they name must
    /// live until they complete or the queue pair is drained.
    pub(super) unsafe fn post_chain(
        &self,
        first: *mut bindings::ib_send_wr,
        last: *mut bindings::ib_send_wr,
        count: i32,
        tag: Option<&Tag<C>>,
    ) -> core::result::Result<(), PostError> {
        let tag = tag.or_else(|| {
            if !self.credits.signal_due() {
                return None;
            }
            let next = self.next_marker.fetch_add(1, Relaxed) as usize;
            self.markers.get(next.checked_rem(self.markers.len())?)
        });
        let mut taken = 0;
        // SAFETY: The caller promises a valid request.
        unsafe {
            (*last).__bindgen_anon_1.wr_cqe = tag.unwrap_or(&self.plain).as_raw();
            if let Some(tag) = tag {
                (*last).send_flags = bindings::ib_send_flags_IB_SEND_SIGNALED;
                let older = self.credits.take_unsignalled();
                tag.credits.add(older + count, Relaxed);
                taken = older;
            }
        }
        let mut bad: *const bindings::ib_send_wr = first;
        let result = if self.is_closing() {
            Err(ENOTCONN)
        } else {
            // SAFETY: The queue pair exists; the caller vouches for the requests.
            to_result(unsafe { bindings::iser_rs_post_send(self.qp.as_ptr(), first, &mut bad) })
        };
        let Err(errno) = result else {
            if tag.is_none() {
                self.credits.posted_unsignalled(count);
            }
            return Ok(());
        };
        if let Some(tag) = tag {
            tag.credits.add(-(taken + count), Relaxed);
            self.credits.posted_unsignalled(taken);
        }
        // There was room for it, so the queue pair is of no use any more.
        if !self.is_closing() {
            self.consumer.failed(Failure::Post);
        }
        Err(PostError {
            errno,
            nothing_posted: core::ptr::eq(bad, first),
        })
    }

    /// Posts one signalled request whose entries, `count` with older ones, are reserved.
    pub(super) fn post_signalled(
        &self,
        request: &mut bindings::ib_send_wr,
        count: i32,
        tag: &Tag<C>,
    ) -> Result {
        let request: *mut bindings::ib_send_wr = request;
        // SAFETY: A single request that names nothing but the tag, which is of this queue pair.
        unsafe { self.post_chain(request, request, count, Some(tag)) }.map_err(|error| error.errno)
    }

    /// Posts a message that follows the request in slot `index`.
    pub(super) fn post_follow_up<const N: usize>(
        &self,
        index: usize,
        source: &Source,
        follow_up: &FollowUp<N>,
    ) -> Result {
        let (header, tag) = self
            .follow_ups()?
            .next(index as u32, &follow_up.header)
            .ok_or(EINVAL)?;
        let mut sges = [header; MAX_SGE];
        let room = sges.get_mut(1..self.max_send_sge).ok_or(EINVAL)?;
        let used = source
            .cover(follow_up.offset, follow_up.len, room)
            .ok_or(EINVAL)?;
        // SAFETY: All zeroes is a valid work request.
        let mut send: bindings::ib_send_wr = unsafe { core::mem::zeroed() };
        send.opcode = bindings::ib_wr_opcode_IB_WR_SEND;
        send.sg_list = sges.as_mut_ptr();
        send.num_sge = 1 + used as i32;
        self.post_signalled(&mut send, 1, tag)
    }

    /// Ends the peer's access to a slot whose fence waits for that from now on.
    pub(super) fn invalidate(&self, slot: &Slot<C>) {
        if slot.post_invalidate(self).is_err() {
            // The slot stays as it is until the queue pair is drained.
            self.consumer.failed(Failure::Post);
        }
    }

    /// # Safety
    ///
    /// Called by the core alone, for a queue pair made with this handler.
    unsafe extern "C" fn event(event: *mut bindings::ib_event, context: *mut kernel::ffi::c_void) {
        // SAFETY: The context given at creation; the queue pair still exists.
        let inner = unsafe { &*context.cast::<Self>() };
        // SAFETY: The core passes a valid event.
        match unsafe { (*event).event } {
            bindings::ib_event_type_IB_EVENT_QP_FATAL
            | bindings::ib_event_type_IB_EVENT_QP_REQ_ERR
            | bindings::ib_event_type_IB_EVENT_QP_ACCESS_ERR => {
                inner.consumer.failed(Failure::Device);
            }
            _ => {}
        }
    }
}
