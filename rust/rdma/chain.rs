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

use core::ptr;
use kernel::prelude::*;

use super::{
    completion::Tag,
    fence::{Outcome, State},
    gather::{no_entries, Entries},
    post::request,
    qp::{Consumer, Failure, Inner, QueuePair},
    statistics::Poster,
};
use crate::bindings;

/// Transfers that a chain takes.
const LENGTH: usize = 8;

/// The requests of one transfer.
pub(super) struct Link {
    /// Comes before the send, if `registered`.
    pub(super) register: bindings::ib_reg_wr,
    pub(super) send: bindings::ib_send_wr,
    /// What the send takes its bytes from.
    pub(super) entries: Entries,
    /// The slot whose fence waits for the registration to be posted, as it was armed.
    registered: Option<(u32, State)>,
}

/// Requests of one queue pair that wait to be posted.
///
/// # Invariants
///
/// The first `len` links are valid but for the addresses in them of one another and of their
/// entries. As long as the queue pair with `number` is there, all that they name belongs to it, or to
/// slots of it that stay armed until they are posted. Numbers are not used again, so that nobody else
/// posts them.
pub(crate) struct Chain {
    number: u64,
    len: usize,
    /// Requests at its end that no signalled one comes after.
    unsignalled: i32,
    links: KVec<Link>,
}

// SAFETY: What it names belongs to a queue pair, and may be used by any thread.
unsafe impl Send for Chain {}

impl Chain {
    /// Without requests, for any queue pair. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let mut links = KVec::with_capacity(LENGTH, GFP_KERNEL)?;
        for _ in 0..LENGTH {
            let link = Link {
                register: bindings::ib_reg_wr {
                    wr: request(bindings::ib_wr_opcode_IB_WR_REG_MR, ptr::null_mut()),
                    mr: ptr::null_mut(),
                    key: 0,
                    access: 0,
                },
                send: request(bindings::ib_wr_opcode_IB_WR_SEND, ptr::null_mut()),
                entries: no_entries(),
                registered: None,
            };
            links.push(link, GFP_KERNEL)?;
        }
        // INVARIANT: There are none.
        Ok(Self {
            number: 0,
            len: 0,
            unsignalled: 0,
            links,
        })
    }

    /// The next link, to be filled for [`Self::add`].
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are requests of another queue pair.
    #[inline(always)]
    pub(super) fn next<C: Consumer>(&mut self, inner: &Inner<C>) -> Result<&mut Link> {
        if self.len == 0 {
            self.number = inner.number;
        } else if self.number != inner.number {
            return Err(EINVAL);
        }
        self.links.get_mut(self.len).ok_or(EINVAL)
    }

    /// Adds what has been put into the next link: the send, and before it, if `registered` names
    /// the slot, the registration. The send is signalled if it has a tag of its own.
    ///
    /// # Safety
    ///
    /// The next link must be filled, by [`Self::next`] for `inner`; what it names must live until
    /// the requests have completed, or the queue pair is drained.
    #[inline(always)]
    pub(super) unsafe fn add<C: Consumer>(
        &mut self,
        inner: &Inner<C>,
        registered: Option<(u32, State)>,
        tag: Option<&Tag<C>>,
    ) {
        let Some(link) = self.links.get_mut(self.len) else {
            // Not after `next`.
            inner.consumer().failed(Failure::Post);
            return;
        };
        link.registered = registered;
        let requests = 1 + i32::from(registered.is_some());
        self.unsignalled = self.unsignalled.wrapping_add(requests);
        if let Some(tag) = tag {
            inner.signal(&mut link.send, core::mem::take(&mut self.unsignalled), tag);
        }
        // INVARIANT: As the caller promises.
        self.len = self.len.wrapping_add(1);
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.links.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
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
        if chain.number != self.number {
            let nothing = chain.is_empty();
            if !nothing {
                self.consumer().failed(Failure::Post);
            }
            return nothing;
        }
        let unsignalled = core::mem::take(&mut chain.unsignalled);
        // INVARIANT: There are none left.
        let len = core::mem::take(&mut chain.len);
        let links = chain.links.get_mut(..len).unwrap_or_default();
        let mut first: *mut bindings::ib_send_wr = ptr::null_mut();
        let (mut signalled, mut registrations) = (true, 0usize);
        for link in links.iter_mut().rev() {
            link.send.sg_list = link.entries.as_mut_ptr().cast();
            link.send.next = first;
            if first.is_null() && unsignalled > 0 {
                signalled = self.signal_if_due(&mut link.send, unsignalled);
            }
            first = &raw mut link.send;
            if link.registered.is_some() {
                link.register.wr.next = first;
                first = &raw mut link.register.wr;
                registrations = registrations.wrapping_add(1);
            }
        }
        if first.is_null() {
            return true;
        }
        // SAFETY: By the invariant of the chain, whose addresses have been set now.
        if unsafe { self.submit(first) }.is_err() {
            return false;
        }
        if !signalled {
            self.credits.posted_unsignalled(unsignalled);
        }
        self.statistics.sent(len, registrations);
        for link in links {
            if let Some((index, armed)) = link.registered {
                self.posted(index, armed);
            }
        }
        true
    }

    /// Tells the fence of slot `index` that its registration is in the send queue.
    #[inline(always)]
    pub(super) fn posted(&self, index: u32, armed: State) {
        let slots = self.exchange().map(|exchange| &exchange.slots);
        if let Some(slot) = slots.ok().and_then(|slots| slots.get(index as usize)) {
            // Not the finisher: the invalidation, if that is all, is still to come.
            if slot.fence.posted(armed) == Outcome::Invalidate {
                self.invalidate(slot, Poster::Transmit);
            }
        }
    }
}
