// SPDX-License-Identifier: GPL-2.0

//! Processing of completions: from work completions to the protocol above.
//!
//! Both queues of a queue pair share a completion queue, whose completions are processed one at a
//! time. So what belongs to the one who processes them needs no lock, and [`Context`] is it.

use kernel::sync::atomic::ordering::Relaxed;

use super::{
    completion::{Purpose, Status, Tag},
    fence::{Outcome, State},
    qp::{Consumer, Failure, Inner},
    receive::{Batch, Message, Ring},
};
use crate::bindings;

impl<C: Consumer> Inner<C> {
    /// Does what every completion asks for; returns its tag and, unless it failed, the context in
    /// which to go on.
    ///
    /// # Safety
    ///
    /// `wc` must be a completion of a request with a `Tag<C>`, in the processing of its
    /// completion queue.
    unsafe fn completed<'a>(wc: &bindings::ib_wc) -> (&'a Tag<C>, Option<Context<'a, C>>) {
        // SAFETY: As the caller promises.
        let tag = unsafe { Tag::<C>::of(wc) };
        // SAFETY: By the invariant of `Tag`.
        let inner = unsafe { &*tag.inner };
        let status = Status(wc.status);
        if status.is_success() {
            // SAFETY: Completions of a queue are processed one at a time, and the batch is
            // touched by nobody else.
            let batch = unsafe { &mut *inner.batch.get() };
            return (tag, Some(Context { inner, batch }));
        }
        if !inner.is_closing() {
            inner.consumer().failed(Failure::Completion(status));
        }
        (tag, None)
    }

    /// # Safety
    ///
    /// Called by the core alone, for send requests with a `Tag<C>`.
    pub(super) unsafe extern "C" fn send_done(_: *mut bindings::ib_cq, wc: *mut bindings::ib_wc) {
        // SAFETY: As required of the caller.
        let (tag, cx) = unsafe { Self::completed(&*wc) };
        let Some(mut cx) = cx else {
            return;
        };
        let inner = cx.inner;
        inner.credits.give(tag.credits.xchg(0, Relaxed));
        let index = tag.index as usize;
        match tag.purpose {
            Purpose::Data => cx.advance(index, State::sent),
            Purpose::FollowUp => {
                if let Ok(follow_ups) = inner.follow_ups() {
                    let slot = follow_ups.slot(index);
                    follow_ups.give(1);
                    cx.advance(slot, State::sent);
                }
            }
            Purpose::Invalidate => cx.advance(index, State::invalidated),
            Purpose::Plain | Purpose::Receive { .. } => {}
        }
    }

    /// # Safety
    ///
    /// Called by the core alone, for receive requests with a `Tag<C>`.
    pub(super) unsafe extern "C" fn receive_done(
        _: *mut bindings::ib_cq,
        wc: *mut bindings::ib_wc,
    ) {
        // SAFETY: As required of the caller.
        let wc = unsafe { &*wc };
        // SAFETY: As required of the caller.
        let (tag, cx) = unsafe { Self::completed(wc) };
        let (Some(mut cx), Purpose::Receive { ring }) = (cx, tag.purpose) else {
            return;
        };
        let inner = cx.inner;
        if let Some(ring) = inner
            .exchange()
            .ok()
            .and_then(|e| e.rings.get(ring as usize))
        {
            ring.sync_for_cpu(tag.index as usize, wc.byte_len as usize);
        }
        let invalidated = wc.wc_flags & bindings::ib_wc_flags_IB_WC_WITH_INVALIDATE as i32 != 0;
        // SAFETY: The flag says whether this member of the union is valid; it may be read anyway.
        let key = unsafe { wc.ex.invalidate_rkey };
        let message = Message {
            ring,
            index: tag.index,
            len: wc.byte_len,
            invalidated: invalidated.then_some(key),
            owner: core::ptr::from_ref(inner) as usize,
        };
        inner.consumer().received(&mut cx, message);
    }
}

/// The processing of one completion.
pub(crate) struct Context<'a, C: Consumer> {
    inner: &'a Inner<C>,
    batch: &'a mut Batch,
}

/// Why an answer does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AnswerError {
    /// No transfer in that slot waits for an answer.
    NotAwaited,
    /// The message says to have invalidated a key that is not the slot's.
    WrongKey,
}

impl<C: Consumer> Context<'_, C> {
    /// The bytes of a message; nothing for one of another queue pair.
    pub(crate) fn bytes<'m>(&'m self, message: &'m Message) -> &'m [u8] {
        if message.owner != core::ptr::from_ref(self.inner) as usize {
            return &[];
        }
        self.inner
            .exchange()
            .ok()
            .and_then(|exchange| exchange.rings.get(message.ring()))
            .map_or(&[], |ring| ring.bytes(message))
    }

    /// Gives a message's buffer back, to be posted again.
    pub(crate) fn recycle(&mut self, message: Message) {
        if message.owner != core::ptr::from_ref(self.inner) as usize || self.inner.is_closing() {
            return;
        }
        let Ok(exchange) = self.inner.exchange() else {
            return;
        };
        let Some(ring) = exchange.rings.get(message.ring()) else {
            return;
        };
        let full = self.batch.push(ring, message.index as usize);
        // A small ring cannot wait for a whole batch.
        if full || ring.count() <= Ring::<C>::SPARE {
            // SAFETY: The queue pair and the rings are those of `inner`.
            if unsafe { self.batch.post(self.inner.qp.as_ptr()) }.is_err() {
                self.inner.consumer().failed(Failure::Post);
            }
        }
    }

    /// Whether slot `index` has a transfer in it.
    pub(crate) fn is_in_use(&self, index: usize) -> bool {
        let slots = self.inner.exchange().map(|exchange| &exchange.slots);
        slots
            .ok()
            .and_then(|slots| slots.get(index))
            .is_some_and(|slot| slot.fence.load().is_armed())
    }

    /// Hands in the answer to the transfer in slot `index`.
    ///
    /// [`Consumer::finished`] gets it when the transfer is over: in this call, or once the
    /// peer's access and all sends have ended. On error the message comes back.
    pub(crate) fn answer(
        &mut self,
        index: usize,
        message: Message,
    ) -> core::result::Result<(), (AnswerError, Message)> {
        let inner = self.inner;
        let slots = inner.exchange().map(|exchange| &exchange.slots);
        let Some(slot) = slots.ok().and_then(|slots| slots.get(index)) else {
            return Err((AnswerError::NotAwaited, message));
        };
        let seen = slot.fence.load();
        let remotely = message.invalidated.is_some();
        if remotely && (!seen.is_advertised() || message.invalidated != Some(slot.rkey())) {
            return Err((AnswerError::WrongKey, message));
        }
        // A device for iWARP may take a peer's word for a key that it has not registered yet.
        let believed = remotely && !inner.is_iwarp();
        // An error handler may have ended that transfer, and another one begun: then the key that
        // was looked at is not that of the slot any more.
        let answered = |now: State| {
            (now.awaits_answer() && now.is_same_transfer(seen)).then(|| now.answered(believed))
        };
        match slot.fence.update(answered) {
            Err(_) => return Err((AnswerError::NotAwaited, message)),
            Ok((before, Outcome::Complete)) => {
                if before.has_region() {
                    // The invalidation that was provided for is not needed.
                    inner.credits.give(1);
                }
                // SAFETY: By the outcome.
                let (owner, _) = unsafe { slot.finish(inner.device()) };
                inner.consumer().finished(self, owner, Some(message));
            }
            Ok((before, outcome)) => {
                // SAFETY: The slot now waits for the send that is taken away below.
                unsafe { slot.store_answer(message) };
                if outcome == Outcome::Invalidate {
                    inner.invalidate(slot);
                } else if believed && before.has_region() && !before.is_posting() {
                    // The invalidation that was provided for is not needed.
                    inner.credits.give(1);
                }
                self.advance(index, State::sent);
            }
        }
        Ok(())
    }

    /// Changes the fence of slot `index`, and finishes it if it is complete by that.
    fn advance(&mut self, index: usize, change: impl FnMut(State) -> Option<State>) {
        let inner = self.inner;
        let Some(slot) = inner.exchange().ok().and_then(|e| e.slots.get(index)) else {
            return;
        };
        match slot.fence.update(change) {
            Ok((_, Outcome::Complete)) => {
                // SAFETY: By the outcome.
                let (owner, answer) = unsafe { slot.finish(inner.device()) };
                inner.consumer().finished(self, owner, answer);
            }
            Ok((_, Outcome::Invalidate)) => inner.invalidate(slot),
            Ok((_, Outcome::Pending)) | Err(_) => {}
        }
    }
}
