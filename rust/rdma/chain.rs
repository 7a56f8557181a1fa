// SPDX-License-Identifier: GPL-2.0

//! Requests that are posted together.
//!
//! The block layer says with a command whether more will come at once. Then its requests wait for
//! those of the next ones, and the device is told of all by one doorbell.
//!
//! What waits is armed as if it was posted. A peer may guess what it has not been asked yet and
//! answer; a slot stays occupied then as a fence waits for a registration to be posted, or for a
//! send to complete, and only slots that wait for one of these are kept in a chain.
//!
//! A few ways are known on which the midlayer ends the last command of a batch itself and does not
//! say that there is none: to a device that is just being deleted, or one of more than 16 bytes.
//! Then what waits goes with the next command or ping of the session, or with the abort that its own
//! time limit brings about.

use core::{mem, ptr};

use super::{
    completion::Tag,
    fence::{Outcome, State},
    qp::{Consumer, Failure, Inner, QueuePair},
    requests::Requests,
    statistics::Poster,
};
use crate::bindings;

/// Transfers that a chain takes.
const LENGTH: usize = 8;

/// Requests of a queue pair that wait to be posted. Who has it is the one that transmits.
///
/// # Invariants
///
/// There is no other with that `number`, which is the queue pair's and is not used again. `first`
/// heads a list that ends with `last`, or is null. As long as the queue pair is there, what is in
/// the list belongs to slots of it that nobody prepares again before it is posted: as they stay
/// armed until then, or as the chain is not let go before.
pub(crate) struct Chain {
    number: u64,
    first: *mut bindings::ib_send_wr,
    last: *mut bindings::ib_send_wr,
    /// Transfers in the list.
    len: usize,
    /// Requests at its end that no signalled one comes after.
    unsignalled: i32,
    /// How many of the transfers have their data registered.
    registrations: usize,
    /// Their slots, and how the fences were armed that wait for the registration to be posted.
    registered: [(u32, State); LENGTH],
}

// SAFETY: What it names belongs to a queue pair, and may be used by any thread.
unsafe impl Send for Chain {}

impl Chain {
    /// Without requests; the only one of the queue pair with that number.
    pub(super) fn new(number: u64) -> Self {
        // INVARIANT: There are none.
        Self {
            number,
            first: ptr::null_mut(),
            last: ptr::null_mut(),
            len: 0,
            unsignalled: 0,
            registrations: 0,
            registered: Default::default(),
        }
    }

    /// Whether it is that of `inner`.
    #[inline(always)]
    pub(super) fn is_of<C: Consumer>(&self, inner: &Inner<C>) -> bool {
        self.number == inner.number
    }

    /// Adds the requests of a transfer: the send, and before it the registration if `registered`
    /// names the slot. The send is signalled if it has a tag of its own.
    ///
    /// # Safety
    ///
    /// `requests` must be of a slot of `inner`, which the chain is of, and filled. Unless the slot
    /// stays armed until they are posted, they must be posted before the chain is let go.
    #[inline(always)]
    pub(super) unsafe fn add<C: Consumer>(
        &mut self,
        inner: &Inner<C>,
        requests: &mut Requests,
        registered: Option<(u32, State)>,
        tag: Option<&Tag<C>>,
    ) {
        if let Some(registered) = registered {
            let Some(next) = self.registered.get_mut(self.registrations) else {
                // It was full.
                return inner.consumer().failed(Failure::Post);
            };
            *next = registered;
            self.registrations = self.registrations.wrapping_add(1);
        }
        let count = 1 + i32::from(registered.is_some());
        self.unsignalled = self.unsignalled.wrapping_add(count);
        let tag = tag.map(|tag| (tag, mem::take(&mut self.unsignalled)));
        requests.set_signal(inner, tag);
        let (first, last) = requests.list(registered.is_some());
        if self.first.is_null() {
            self.first = first;
        } else {
            // SAFETY: By the type invariant it is there, and ours to change.
            unsafe { (*self.last).next = first };
        }
        // INVARIANT: It is the last now; the rest is what the caller promises.
        self.last = last;
        self.len = self.len.wrapping_add(1);
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= LENGTH
    }
}

impl<C: Consumer> QueuePair<C> {
    /// Posts what waits in `chain`. Failure is reported to the consumer, as the connection is of no
    /// use any more then: what was not posted is given back when it ends.
    pub(crate) fn flush(&self, chain: &mut Chain) {
        self.inner().flush(chain);
    }
}

impl<C: Consumer> Inner<C> {
    /// As [`QueuePair::flush`]; returns whether all is posted.
    #[inline(always)]
    pub(super) fn flush(&self, chain: &mut Chain) -> bool {
        if !chain.is_of(self) {
            self.consumer().failed(Failure::Post);
            return false;
        }
        // INVARIANT: There are none left.
        let first = mem::replace(&mut chain.first, ptr::null_mut());
        if first.is_null() {
            return true;
        }
        let len = mem::take(&mut chain.len);
        let registrations = mem::take(&mut chain.registrations);
        let unsignalled = mem::take(&mut chain.unsignalled);
        let signalled = unsignalled == 0
            // SAFETY: By the invariant of the chain it is there, and ours to change.
            || self.signal_if_due(unsafe { &mut *chain.last }, unsignalled);
        // SAFETY: By the invariant of the chain, and as slots belong to the queue pair.
        if unsafe { self.submit(first) }.is_err() {
            return false;
        }
        if !signalled {
            self.credits.posted_unsignalled(unsignalled);
        }
        self.statistics.sent(len, registrations);
        let registered = chain.registered.get(..registrations);
        for (index, armed) in registered.unwrap_or_default() {
            self.posted(*index, *armed);
        }
        true
    }

    /// Tells the fence of slot `index` that its registration is in the send queue.
    #[inline(always)]
    fn posted(&self, index: u32, armed: State) {
        let slots = self.exchange().map(|exchange| &exchange.slots);
        if let Some(slot) = slots.ok().and_then(|slots| slots.get(index as usize)) {
            // Not the finisher: the invalidation, if that is all, is still to come.
            if slot.fence.posted(armed) == Outcome::Invalidate {
                self.invalidate(slot, Poster::Transmit);
            }
        }
    }
}
