// SPDX-License-Identifier: GPL-2.0

//! Processing of completions: from work completions to the protocol above.
//!
//! Both queues of a queue pair share a completion queue, whose completions are processed one at a
//! time. So what belongs to the one who processes them needs no lock, and [`Context`] is it.

use super::{
    completion::{Purpose, Status, Tag},
    exchange::Exchange,
    fence::{Outcome, State},
    qp::{Consumer, Failure, Inner},
    receive::{Batch, Buffer, Message, Ring},
    slot::Slot,
    statistics::Poster,
};
use crate::bindings;

impl<C: Consumer> Inner<C> {
    /// The context in which to go on with a completion of a request with `tag`, unless it failed.
    ///
    /// # Safety
    ///
    /// `wc` must be that completion, in the processing of its completion queue.
    #[inline(always)]
    unsafe fn completed<'a>(tag: &'a Tag<C>, wc: &bindings::ib_wc) -> Option<Context<'a, C>> {
        // SAFETY: By the invariant of `Tag`.
        let inner = unsafe { &*tag.inner };
        let status = Status(wc.status);
        if !status.is_success() {
            if !inner.is_closing() {
                inner.consumer().failed(Failure::Completion(status));
            }
            return None;
        }
        // SAFETY: Completions of a queue are processed one at a time, and the batch is touched by
        // nobody else.
        let batch = unsafe { &mut *inner.batch.get() };
        // There is one if anything was posted.
        inner.exchange().ok().map(|exchange| Context {
            inner,
            exchange,
            batch,
        })
    }

    /// # Safety
    ///
    /// Called by the core alone, for send requests with a `Tag<C>`.
    pub(super) unsafe extern "C" fn send_done(_: *mut bindings::ib_cq, wc: *mut bindings::ib_wc) {
        // SAFETY: As required of the caller.
        let wc = unsafe { &*wc };
        // SAFETY: As required of the caller.
        let tag = unsafe { Tag::<C>::of(wc) };
        // SAFETY: By the invariant of `Tag`.
        let inner = unsafe { &*tag.inner };
        inner.statistics.send_completed();
        // SAFETY: As required of the caller.
        let Some(mut cx) = (unsafe { Self::completed(tag, wc) }) else {
            return;
        };
        inner.credits.give(tag.credits());
        let index = tag.index as usize;
        match tag.purpose {
            Purpose::Data => cx.advance(index, State::sent),
            Purpose::FollowUp => {
                if let Ok(follow_ups) = inner.follow_ups() {
                    let slot = follow_ups.slot(index);
                    follow_ups.give(1);
                    cx.advance_later(slot, State::sent);
                }
            }
            Purpose::Invalidate => {
                inner.statistics.invalidated_locally();
                cx.advance_later(index, State::invalidated);
            }
            Purpose::Plain | Purpose::Receive => {}
        }
    }

    /// # Safety
    ///
    /// Called by the core alone, for receives of a [`Buffer<C>`].
    pub(super) unsafe extern "C" fn receive_done(
        _: *mut bindings::ib_cq,
        wc: *mut bindings::ib_wc,
    ) {
        // SAFETY: As required of the caller.
        let wc = unsafe { &*wc };
        // SAFETY: As required of the caller.
        let buffer = unsafe { Buffer::<C>::of(wc) };
        // SAFETY: By the invariant of `Tag`.
        let inner = unsafe { &*buffer.tag.inner };
        inner.statistics.received();
        // SAFETY: As required of the caller.
        let Some(mut cx) = (unsafe { Self::completed(&buffer.tag, wc) }) else {
            return;
        };
        // SAFETY: As required of the caller; it is of `inner`.
        let message = unsafe { buffer.message(wc, inner.number) };
        if let Some(ring) = cx.ring(&message) {
            // SAFETY: The queue pair is there.
            unsafe { ring.sync_for_cpu(&message) };
        }
        inner.consumer().received(&mut cx, message);
    }
}

/// The processing of one completion.
pub(crate) struct Context<'a, C: Consumer> {
    inner: &'a Inner<C>,
    exchange: &'a Exchange<C>,
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
    /// The ring of a message, `None` for one of another queue pair.
    #[inline(always)]
    fn ring(&self, message: &Message) -> Option<&Ring<C>> {
        if !message.is_of(self.inner.number) {
            return None;
        }
        // SAFETY: The queue pair that it is of is there.
        self.exchange.rings.get(unsafe { message.ring() })
    }

    /// The bytes of a message; nothing for one of another queue pair.
    #[inline(always)]
    pub(crate) fn bytes<'m>(&'m self, message: &'m Message) -> &'m [u8] {
        if !message.is_of(self.inner.number) {
            return &[];
        }
        // SAFETY: The queue pair that it is of is there as long as `self`.
        unsafe { message.bytes() }
    }

    /// Gives a message's buffer back, to be posted again; not one of a ring that `keeps` does
    /// not want to be.
    #[inline(always)]
    pub(crate) fn recycle(&mut self, message: Message, keeps: impl FnOnce(usize) -> bool) {
        if !message.is_of(self.inner.number) {
            return;
        }
        // SAFETY: The queue pair that it is of is there.
        let index = unsafe { message.ring() };
        let Some(ring) = self.exchange.rings.get(index).filter(|_| keeps(index)) else {
            return;
        };
        // SAFETY: As above, and the batch is that of the queue pair.
        let full = unsafe { ring.recycle(message, self.batch) };
        // A small ring cannot wait for a whole batch.
        if (full || ring.count() <= Ring::<C>::SPARE) && !self.inner.is_closing() {
            self.inner.statistics.receives_recycled(self.batch.len());
            // SAFETY: The queue pair and the rings are those of `inner`.
            if unsafe { self.batch.post(self.inner.qp.as_ptr()) }.is_err() {
                self.inner.consumer().failed(Failure::Post);
            }
        }
    }

    /// Whether slot `index` has a transfer in it whose key the peer was told.
    pub(crate) fn is_advertised(&self, index: usize) -> bool {
        self.exchange
            .slots
            .get(index)
            .is_some_and(|slot| slot.fence.load().is_advertised())
    }

    /// Whether slot `index` has a transfer in it.
    pub(crate) fn is_in_use(&self, index: usize) -> bool {
        self.exchange
            .slots
            .get(index)
            .is_some_and(|slot| slot.fence.load().is_armed())
    }

    /// Hands in the answer to the transfer in slot `index`.
    ///
    /// [`Consumer::finished`] gets it when the transfer is over: in this call, or once the
    /// peer's access and all sends have ended. On error the message comes back.
    #[inline(always)]
    pub(crate) fn answer(
        &mut self,
        index: usize,
        message: Message,
    ) -> core::result::Result<(), (AnswerError, Message)> {
        let inner = self.inner;
        let Some(slot) = self.exchange.slots.get(index) else {
            return Err((AnswerError::NotAwaited, message));
        };
        let seen = slot.fence.load();
        let remotely = message.invalidated().is_some();
        if remotely && (!seen.is_advertised() || message.invalidated() != Some(slot.rkey())) {
            return Err((AnswerError::WrongKey, message));
        }
        // A device for iWARP may take a peer's word for a key that it has not registered yet.
        let believed = remotely && !inner.is_iwarp();
        // An error handler may have ended that transfer, and another one begun: then the key that
        // was looked at is not that of the slot any more.
        let answered = |now: State| {
            (now.awaits_answer() && now.is_same_transfer(seen)).then(|| now.answered(believed))
        };
        let updated = slot.fence.update_seen(seen, answered);
        if remotely && updated.is_ok() {
            inner.statistics.invalidated_remotely();
        }
        match updated {
            Err(_) => return Err((AnswerError::NotAwaited, message)),
            Ok((before, Outcome::Complete)) => {
                if before.has_region() {
                    // The invalidation that was provided for is not needed.
                    inner.credits.give(1);
                }
                // SAFETY: By the outcome.
                let mut finished = unsafe { slot.finish(before, inner.device()) };
                finished.answer = Some(message);
                inner.consumer().finished(self, finished);
            }
            Ok((before, outcome)) => {
                // SAFETY: The slot now waits for the send that is taken away below.
                unsafe { slot.store_answer(message) };
                if outcome == Outcome::Invalidate {
                    inner.invalidate(slot, Poster::Completion);
                } else if believed && before.has_region() && !before.is_posting() {
                    // The invalidation that was provided for is not needed.
                    inner.credits.give(1);
                }
                self.advance_later(index, State::sent);
            }
        }
        Ok(())
    }

    /// Changes the fence of slot `index`, and finishes it if it is complete by that.
    #[inline(always)]
    fn advance(&mut self, index: usize, change: impl FnMut(State) -> Option<State>) {
        let inner = self.inner;
        let Some(slot) = self.exchange.slots.get(index) else {
            return;
        };
        match slot.fence.update_seen(slot.fence.peek(), change) {
            Ok((before, Outcome::Complete)) => {
                // SAFETY: By the outcome.
                unsafe { self.finish_later(slot, before) };
            }
            Ok((_, Outcome::Invalidate)) => inner.invalidate(slot, Poster::Completion),
            Ok((_, Outcome::Pending)) | Err(_) => {}
        }
    }

    /// As [`Self::advance`], for what is not part of most commands.
    #[inline(never)]
    fn advance_later(&mut self, index: usize, change: impl FnMut(State) -> Option<State>) {
        self.advance(index, change);
    }

    /// Finishes a slot as [`Self::answer`] does, out of line: most are finished there.
    ///
    /// # Safety
    ///
    /// As of [`Slot::finish`].
    #[inline(never)]
    unsafe fn finish_later(&mut self, slot: &Slot<C>, ended: State) {
        // SAFETY: As the caller promises.
        let finished = unsafe { slot.finish(ended, self.inner.device()) };
        self.inner.consumer().finished(self, finished);
    }
}
