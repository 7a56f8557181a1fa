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
            ordering::{Relaxed, Release},
            Atomic,
        },
        Arc,
    }, //
};

use super::{
    completion::{CompletionQueue, Purpose, Status, Tag},
    context::Context,
    credits::Credits,
    device::{Device, ProtectionDomain},
    exchange::{Exchange, FollowUps},
    fence::Outcome,
    gather::MAX_SGE,
    receive::{Batch, Message},
    slot::Prepared,
    statistics::{Poster, Statistics},
    transmitter::Transmitter,
    watch::{Finished, InFlight},
};
use crate::{
    bindings,
    published::{Published, ReadOnce},
    series::{ENOTCONN, EOPNOTSUPP},
    sg::{Direction, ListOwner},
};

/// Entries that the drain of a queue needs for itself. It is done twice.
const DRAIN: usize = 2;

static NEXT_NUMBER: Atomic<u64> = Atomic::new(0);

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

    /// The transfer in a slot is over: neither peer nor device can touch the owner's data.
    fn finished(&self, cx: &mut Context<'_, Self>, finished: Finished<Self::Owner>);

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
    pub(super) statistics: Arc<Statistics>,
    max_send_sge: usize,
    send_capacity: usize,
    receive_capacity: usize,
    iwarp: bool,
    /// Set before the queue pair is drained; nothing is posted once that is seen.
    closing: Atomic<bool>,
    /// Of no other queue pair, ever.
    pub(super) number: u64,
    exchange: Published<Exchange<C>>,
    follow_ups: Published<FollowUps<C>>,
    /// Belongs to the one who processes completions.
    pub(super) batch: UnsafeCell<Batch>,
    pub(super) plain: Tag<C>,
    /// Tags of sends that are signalled for nothing but their place in the queue.
    pub(super) markers: KVVec<Tag<C>>,
    pub(super) next_marker: Atomic<u32>,
    pub(super) consumer: C,
    cq: CompletionQueue,
    pd: Arc<ProtectionDomain>,
}

// SAFETY: `batch` and the tags' addresses are only used as the types say.
unsafe impl<C: Consumer> Send for Inner<C> {}
// SAFETY: As above.
unsafe impl<C: Consumer> Sync for Inner<C> {}

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
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the device cannot have one that is large enough, `EBUSY` if the id has one.
    pub(crate) fn new(
        pd: Arc<ProtectionDomain>,
        capacity: &Capacity,
        statistics: Arc<Statistics>,
        consumer: C,
    ) -> Result<Self> {
        let attributes = pd.device().attributes();
        let send = capacity.send.min(attributes.max_qp_wr);
        let receive = capacity.receive.min(attributes.max_qp_wr);
        let max_send_sge = attributes.max_send_sge.min(MAX_SGE);
        let too_small = send <= DRAIN || receive <= DRAIN || max_send_sge < 2;
        // The pool of completion queues would look for one that large for ever.
        if too_small || send + receive > attributes.max_cqe {
            return Err(EOPNOTSUPP);
        }
        // SAFETY: The id is live.
        if !unsafe { bindings::iser_rs_id_qp(pd.id().as_raw()) }.is_null() {
            return Err(EBUSY);
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
                statistics,
                max_send_sge,
                send_capacity: send - DRAIN,
                receive_capacity: receive,
                iwarp: attributes.iwarp,
                closing: Atomic::new(false),
                number: NEXT_NUMBER.fetch_add(1, Relaxed),
                exchange: Published::new(),
                follow_ups: Published::new(),
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

    pub(super) fn inner(&self) -> &Inner<C> {
        // SAFETY: By the type invariant.
        unsafe { self.inner.as_ref() }
    }

    /// The protocol above.
    pub(crate) fn consumer(&self) -> &C {
        &self.inner().consumer
    }

    /// Gives the queue pair what it needs to exchange messages, once, and returns what only one can
    /// have: the right to transmit. Takes `exchange`, or leaves it there for the caller to drop where
    /// that may sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` if it has one, `EINVAL` if that is of another domain, `ENOSPC` if the receive
    /// queue is too short for its rings.
    pub(crate) fn attach(&self, exchange: &mut Option<KBox<Exchange<C>>>) -> Result<Transmitter> {
        let inner = self.inner();
        let new = exchange.as_mut().ok_or(EINVAL)?;
        if !new.is_of(&inner.pd) {
            return Err(EINVAL);
        }
        if new.receives() + DRAIN > inner.receive_capacity {
            return Err(ENOSPC);
        }
        new.set_inner(inner);
        let new = exchange.take().ok_or(EINVAL)?;
        inner.exchange.publish(new).map_err(|new| {
            *exchange = Some(new);
            EEXIST
        })?;
        // SAFETY: An exchange is published once.
        Ok(unsafe { Transmitter::new(inner.number) })
    }

    /// Gives the queue pair what it needs for messages that follow others, once.
    ///
    /// # Errors
    ///
    /// As for [`Self::attach`].
    pub(crate) fn attach_follow_ups(&self, follow_ups: &mut Option<KBox<FollowUps<C>>>) -> Result {
        let inner = self.inner();
        let new = follow_ups.as_mut().ok_or(EINVAL)?;
        if !new.is_of(&inner.pd) {
            return Err(EINVAL);
        }
        new.set_inner(self.inner.as_ptr());
        let new = follow_ups.take().ok_or(EINVAL)?;
        inner.follow_ups.publish(new).map_err(|new| {
            *follow_ups = Some(new);
            EEXIST
        })
    }

    /// Tells which transfers are in the slots. What it tells is read from atomics while they go on:
    /// one that ends meanwhile may be told with the figures of the next in its slot.
    pub(crate) fn in_flight(&self, mut to: impl FnMut(InFlight)) {
        if let Ok(exchange) = self.inner().exchange() {
            for (index, slot) in exchange.slots.iter().enumerate() {
                slot.watch.see(index, slot.fence.load()).map(&mut to);
            }
        }
    }

    /// Entries of its queues, to send and to receive, that can be used.
    pub(crate) fn capacity(&self) -> (usize, usize) {
        let inner = self.inner();
        (inner.send_capacity, inner.receive_capacity - DRAIN)
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { bindings::iser_rs_qp_number(self.inner().qp.as_ptr()) }
    }

    /// Takes slot `index` to transfer the data of `owner`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the slot is in use, `EINVAL` if `transmitter` is of another queue pair.
    #[inline(always)]
    pub(crate) fn prepare<'a>(
        &'a self,
        transmitter: &'a mut Transmitter,
        index: usize,
        owner: C::Owner,
        direction: Direction,
    ) -> Result<Prepared<'a, C>> {
        Prepared::new(self.inner(), transmitter, index, owner, direction)
    }

    /// Whether the transfer that was put into slot `index` is answered: about to be finished, or
    /// finished and its owner on the way back.
    pub(crate) fn is_finishing(&self, index: usize) -> bool {
        let slots = self.inner().exchange().map(|exchange| &exchange.slots);
        slots
            .ok()
            .and_then(|slots| slots.get(index))
            .is_some_and(|slot| !slot.fence.load().awaits_answer())
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
                Ok((before, Outcome::Complete)) => {
                    // SAFETY: By the outcome.
                    drop(unsafe { slot.finish(before, inner.device()) });
                }
                Ok((_, Outcome::Pending)) => pending += 1,
                Ok((_, Outcome::Invalidate)) => {
                    pending += 1;
                    inner.invalidate(slot, Poster::Other);
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
        if inner.exchange().is_ok() {
            // Completions that are being processed may still post, after the first drain has put
            // its own requests into the queues. Those that are processed after the first drain
            // see `closing`, so nothing is posted behind those of the second.
            for _ in 0..2 {
                // SAFETY: The queue pair exists, its queues have room for this.
                unsafe { bindings::ib_drain_qp(inner.qp.as_ptr()) };
            }
        }
        // Before anything is given back, as a queue pair whose drain has failed may still serve
        // the peer.
        // SAFETY: By the type invariant; nobody posts any more.
        unsafe { bindings::rdma_destroy_qp(inner.pd.id().as_raw()) };
        if let Ok(exchange) = inner.exchange() {
            for slot in &exchange.slots {
                let last = slot.fence.load();
                if last.is_armed() {
                    // SAFETY: The queue pair is drained and gone.
                    drop(unsafe { slot.finish(last, inner.device()) });
                }
            }
        }
        // SAFETY: Leaked by `new`; with the queue pair, the last user of it but us is gone.
        drop(unsafe { KBox::from_raw(self.inner.as_ptr()) });
    }
}

impl<C: Consumer> Inner<C> {
    pub(super) fn exchange(&self) -> Result<&Exchange<C>> {
        self.exchange.get().ok_or(ENOTCONN)
    }

    pub(super) fn follow_ups(&self) -> Result<&FollowUps<C>> {
        self.follow_ups.get().ok_or(ENOTCONN)
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
        self.closing.read_once()
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
