// SPDX-License-Identifier: GPL-2.0

//! What a transfer still waits for, in one atomic word.
//!
//! A slot is idle, held by whoever prepares a transfer in it, or armed. An armed slot waits for
//! events: the peer's answer, the sends that read the data's pages, and the end of the peer's
//! access to its region. Whoever takes away the last of them finds the slot its own to finish;
//! until then nobody may touch what is in it. That makes it impossible to finish a transfer while
//! the peer can still reach its memory.
//!
//! A region is invalidated only after its registration is in the send queue, as the queue is worked
//! off in order: so a transfer that is answered while it is being posted keeps its region until
//! the one who posts says that it is done.
//!
//! Memory order: arming releases what was put into the slot, every later change is fully ordered,
//! so that the finisher sees it all, and going idle releases the slot to the next user.

use kernel::sync::atomic::{
    ordering::{Acquire, Full, Release},
    Atomic,
};

use crate::published::ReadOnce;

/// A snapshot of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u32);

impl State {
    const SENDS: u32 = 0xfff;
    const HELD: u32 = 1 << 12;
    const ARMED: u32 = 1 << 13;
    const ANSWER: u32 = 1 << 14;
    const REGION: u32 = 1 << 15;
    const INVALIDATING: u32 = 1 << 16;
    const ADVERTISED: u32 = 1 << 17;
    const POSTING: u32 = 1 << 18;
    const SENDS_USE_REGION: u32 = 1 << 19;
    const GENERATION_SHIFT: u32 = 20;
    const GENERATION: u32 = !0 << Self::GENERATION_SHIFT;

    /// The most sends that one transfer may wait for.
    pub(super) const MAX_SENDS: usize = Self::SENDS as usize - 1;

    fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    fn without(self, bits: u32) -> Self {
        Self(self.0 & !bits)
    }

    fn with(self, bits: u32) -> Self {
        Self(self.0 | bits)
    }

    /// Which transfer of the slot it is of, for a while.
    pub(super) fn generation(self) -> Generation {
        Generation(self.0 & Self::GENERATION)
    }

    /// Both are of the same transfer.
    pub(super) fn is_same_transfer(self, other: Self) -> bool {
        (self.0 ^ other.0) & Self::GENERATION == 0
    }

    /// A transfer has been put into the slot and not finished.
    pub(super) fn is_armed(self) -> bool {
        self.has(Self::ARMED)
    }

    /// The peer has still to answer.
    pub(super) fn awaits_answer(self) -> bool {
        self.is_armed() && self.has(Self::ANSWER)
    }

    /// The peer may have access, and nothing has been done to end it.
    pub(super) fn has_region(self) -> bool {
        self.has(Self::REGION)
    }

    /// The registration may not be in the send queue yet.
    pub(super) fn is_posting(self) -> bool {
        self.has(Self::POSTING)
    }

    /// The peer knows the region's key.
    pub(super) fn is_advertised(self) -> bool {
        self.has(Self::ADVERTISED)
    }

    /// What an occupied slot is waiting for: a name for user space, which is not to change.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            _ if self.has(Self::HELD) => Some("held"),
            _ if !self.is_armed() => None,
            _ if self.has(Self::ANSWER) => Some("posted"),
            _ if self.has(Self::INVALIDATING) => Some("invalidating"),
            _ => Some("sending"),
        }
    }

    /// Nothing is waited for any more.
    fn is_complete(self) -> bool {
        self.is_armed() && !self.has(Self::SENDS | Self::ANSWER | Self::REGION | Self::INVALIDATING)
    }

    /// The answer has come, and with it the peer's word that it has invalidated the key, if
    /// `remotely` so.
    ///
    /// That word is worth nothing as long as the request is being posted: the peer may have
    /// guessed what it answers, and the registration be still to come.
    ///
    /// If something else is still waited for, so is one send more than before: the caller takes
    /// it away by [`Self::sent`] when it has put the answer where the finisher looks for it.
    pub(super) fn answered(self, remotely: bool) -> Self {
        let next = self.without(Self::ANSWER);
        let next = if remotely && !self.is_posting() {
            next.without(Self::REGION)
        } else {
            next.fenced()
        };
        if next.is_complete() {
            next
        } else {
            Self(next.0 + 1)
        }
    }

    /// No answer is waited for any more.
    pub(super) fn abandoned(self) -> Self {
        self.without(Self::ANSWER).fenced()
    }

    /// The registration is in the send queue.
    pub(super) fn posted(self) -> Self {
        self.without(Self::POSTING).fenced()
    }

    /// One send that read the data has completed.
    pub(super) fn sent(self) -> Option<Self> {
        self.has(Self::SENDS).then(|| Self(self.0 - 1).fenced())
    }

    /// The local invalidation has completed.
    pub(super) fn invalidated(self) -> Option<Self> {
        self.has(Self::INVALIDATING)
            .then(|| self.without(Self::INVALIDATING))
    }

    /// Begins to invalidate the region, if there is no more need for it and its registration
    /// comes first in the send queue.
    fn fenced(self) -> Self {
        let used = self.has(Self::SENDS) && self.has(Self::SENDS_USE_REGION);
        if self.has_region() && !self.has(Self::ANSWER | Self::POSTING) && !used {
            self.without(Self::REGION).with(Self::INVALIDATING)
        } else {
            self
        }
    }
}

/// What tells the transfers of a slot apart, until it wraps around.
#[derive(Clone, Copy)]
pub(super) struct Generation(u32);

/// What a transfer waits for when it is armed.
pub(super) struct Awaited {
    pub(super) sends: usize,
    pub(super) answer: bool,
    /// The region is registered.
    pub(super) region: bool,
    /// The peer is told its key.
    pub(super) advertised: bool,
    /// Sends take the data from it.
    pub(super) sends_use_region: bool,
}

/// Result of a change: who goes on.
#[derive(PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something is still waited for.
    Pending,
    /// The local invalidation is waited for, and the caller must post it.
    Invalidate,
    /// All has happened: the slot belongs to the caller, who must call [`Fence::release`].
    Complete,
}

/// The word of one slot.
pub(super) struct Fence(Atomic<u32>);

impl Fence {
    pub(super) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    pub(super) fn load(&self) -> State {
        State(self.0.load(Acquire))
    }

    /// The state, without what belongs to it: for a change that looks at nothing else.
    #[inline(always)]
    pub(super) fn peek(&self) -> State {
        State(self.0.read_once())
    }

    /// Idle to held, with the next generation. Fails if the slot is in use.
    #[inline(always)]
    pub(super) fn hold(&self) -> Option<Generation> {
        // Who gets hold of it acquires what its last user left, by the exchange.
        let now = self.peek();
        if now.has(State::HELD | State::ARMED) {
            return None;
        }
        let generation = (now.0 & State::GENERATION).wrapping_add(1 << State::GENERATION_SHIFT);
        self.0
            .cmpxchg(now.0, generation | State::HELD, Full)
            .is_ok()
            .then_some(Generation(generation))
    }

    /// Held to armed. Only for the holder.
    #[inline(always)]
    pub(super) fn arm(&self, generation: Generation, awaited: &Awaited) -> State {
        let mut next = State(generation.0 | State::ARMED | awaited.sends as u32 & State::SENDS);
        for (wanted, bit) in [
            (awaited.answer, State::ANSWER),
            (awaited.region, State::REGION | State::POSTING),
            (awaited.advertised, State::ADVERTISED),
            (awaited.sends_use_region, State::SENDS_USE_REGION),
        ] {
            if wanted {
                next = next.with(bit);
            }
        }
        self.0.store(next.0, Release);
        next
    }

    /// Replaces the state by what `change` makes of it, until `change` returns `None`.
    ///
    /// Returns the state before the change and what follows from it, or the last state seen. A
    /// change that completes the slot leaves it held by the caller.
    #[inline(never)]
    pub(super) fn update(
        &self,
        change: impl FnMut(State) -> Option<State>,
    ) -> Result<(State, Outcome), State> {
        self.update_seen(self.load(), change)
    }

    /// As [`Self::update`], for a caller who knows the state to have been `now`.
    #[inline(always)]
    pub(super) fn update_seen(
        &self,
        mut now: State,
        mut change: impl FnMut(State) -> Option<State>,
    ) -> Result<(State, Outcome), State> {
        loop {
            if let Some(result) = self.try_update(now, &mut change) {
                return result;
            }
            // Acquires, so that `change` sees what belongs to the new state.
            now = self.load();
        }
    }

    /// The registration is in the send queue, of a transfer that was `armed`.
    #[inline(always)]
    pub(super) fn posted(&self, armed: State) -> Outcome {
        // Mostly nothing has happened since: then the answer is still to come, and nothing follows.
        let next = armed.without(State::POSTING);
        if armed.awaits_answer() && self.0.cmpxchg(armed.0, next.0, Full).is_ok() {
            return Outcome::Pending;
        }
        self.update(|now| Some(now.posted()))
            .map_or(Outcome::Pending, |(_, outcome)| outcome)
    }

    /// One attempt of [`Self::update`]; `None` if the state is not `now` any more.
    #[inline(always)]
    fn try_update(
        &self,
        now: State,
        change: &mut impl FnMut(State) -> Option<State>,
    ) -> Option<Result<(State, Outcome), State>> {
        let Some(next) = change(now).filter(|_| now.is_armed()) else {
            return Some(Err(now));
        };
        let complete = next.is_complete();
        let word = if complete {
            next.0 & State::GENERATION | State::HELD
        } else {
            next.0
        };
        let begun = |state: State| state.has(State::INVALIDATING);
        match self.0.cmpxchg(now.0, word, Full) {
            Ok(_) if complete => Some(Ok((now, Outcome::Complete))),
            Ok(_) if begun(next) && !begun(now) => Some(Ok((now, Outcome::Invalidate))),
            Ok(_) => Some(Ok((now, Outcome::Pending))),
            Err(_) => None,
        }
    }

    /// Held to idle. Only for the holder, who has emptied the slot.
    pub(super) fn release(&self, generation: Generation) {
        self.0.store(generation.0, Release);
    }
}
