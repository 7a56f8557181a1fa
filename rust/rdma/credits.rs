// SPDX-License-Identifier: GPL-2.0

//! Room in a send queue.
//!
//! The entry of an unsignalled work request is free again only when a later, signalled one has
//! completed. So whoever posts a signalled request takes with it all entries that were posted
//! unsignalled before it, and gives them back with its own at its completion.
//!
//! Those who transmit take entries, one at a time: libiscsi has them do it under the session's
//! forward lock. The processing of completions gives them back, which is serial, though not always
//! on the same CPU: the queue's poll is handed on by an atomic bit. So each side has a number of its
//! own that only it writes, and what is free is the difference; neither needs an atomic operation.
//! What an error handler posts was reserved before by who transmitted, so that it changes neither.
//!
//! Memory order: a number that is seen late only makes the queue look fuller than it is. One that is
//! seen is not trusted with more than counting: whether an entry can be written again the device's
//! driver sees for itself, under its own lock, and refuses what does not fit.

use kernel::sync::atomic::{ordering::Relaxed, Atomic};

use crate::{
    count::{Apart, Count},
    published::ReadOnce, //
};

/// When so many work requests have been posted unsignalled, the last of those posted next is
/// signalled, in queues that are large enough.
const SIGNAL_EVERY: u64 = 64;

/// Entries that only control messages may take, so that they never wait for commands.
const CONTROL: u64 = 32;

/// What those who transmit have done.
#[derive(Default)]
struct Transmitted {
    /// Entries taken, less those that were not used.
    taken: Count,
    /// Requests that were posted unsignalled.
    unsignalled: Count,
    /// [`Credits::along`] as it was when it was last looked at, to do that seldom.
    along_seen: Count,
}

/// Entries of one send queue.
pub(super) struct Credits {
    transmitted: Apart<Transmitted>,
    /// Entries given back.
    given: Apart<Count>,
    /// Of the requests that were posted unsignalled, those that a signalled one has taken along.
    /// Grows only.
    along: Apart<Atomic<i64>>,
    capacity: u64,
    signal_every: u64,
}

impl Credits {
    /// A queue with `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            transmitted: Apart::default(),
            given: Apart::default(),
            along: Apart(Atomic::new(0)),
            capacity: capacity as u64,
            signal_every: Self::signal_every(capacity),
        }
    }

    const fn signal_every(capacity: usize) -> u64 {
        let quarter = (capacity / 4) as u64;
        if quarter < SIGNAL_EVERY {
            quarter
        } else {
            SIGNAL_EVERY
        }
    }

    /// The most signalled requests, of those that [`Self::signal_due`] asked for, that can be
    /// outstanding in a queue with `capacity` entries.
    pub(super) const fn markers(capacity: usize) -> usize {
        let every = Self::signal_every(capacity);
        capacity / (if every > 1 { every as usize } else { 1 }) + 2
    }

    /// Takes `count` entries, for a command or else for control; returns whether they were there.
    /// For who transmits.
    #[inline(always)]
    pub(super) fn reserve(&self, count: i32, command: bool) -> bool {
        let taken = &self.transmitted.taken;
        let used = taken.get().wrapping_sub(self.given.get());
        let needed = (count as u64).wrapping_add(if command { CONTROL } else { 0 });
        let enough = used.wrapping_add(needed) <= self.capacity;
        if enough {
            taken.add(count as u64);
        }
        enough
    }

    /// Gives back entries that were reserved and not used. For who transmits.
    pub(super) fn give_unused(&self, count: i32) {
        let taken = &self.transmitted.taken;
        taken.set(taken.get().wrapping_sub(count as u64));
    }

    /// Gives back entries whose requests have completed, or that were provided for what is not
    /// needed. For the processing of completions.
    #[inline(always)]
    pub(super) fn give(&self, count: u64) {
        self.given.add(count);
    }

    /// Notes requests that have been posted unsignalled, after the fact: then they are older than
    /// any signalled request that takes them along. For who transmits.
    #[inline(always)]
    pub(super) fn posted_unsignalled(&self, count: i32) {
        self.transmitted.unsignalled.add(count as u64);
    }

    /// Takes along, before a signalled request is posted, what was posted unsignalled before and
    /// not taken along by others. For anybody, at any time: each number is taken by one alone.
    ///
    /// Those who were counted have left the lock that the device's driver posts under. Who saw
    /// that, as here, gets the lock after them, and its request a later place in the queue.
    #[inline(always)]
    pub(super) fn take_unsignalled(&self) -> u64 {
        let posted = self.transmitted.unsignalled.get();
        let along = self.along.read_once();
        if along as u64 >= posted {
            return 0;
        }
        self.take_up_to(posted, along)
    }

    #[inline(never)]
    fn take_up_to(&self, posted: u64, mut along: i64) -> u64 {
        // Others may have seen more, and taken it.
        while (along as u64) < posted {
            match self.along.cmpxchg(along, posted as i64, Relaxed) {
                Ok(_) => return posted.wrapping_sub(along as u64),
                Err(now) => along = now,
            }
        }
        0
    }

    /// Whether the request that is posted next should be signalled. For who transmits.
    ///
    /// Between two that were due there are as many unsignalled ones, whoever takes them along, and
    /// their entries are free again only after the first: so [`Self::markers`] are enough.
    #[inline(always)]
    pub(super) fn signal_due(&self) -> bool {
        let (posted, seen) = (
            self.transmitted.unsignalled.get(),
            &self.transmitted.along_seen,
        );
        // It only grows: if few are left of those that it had not reached, then few are.
        if posted.wrapping_sub(seen.get()) < self.signal_every {
            return false;
        }
        seen.set(self.along.read_once() as u64);
        posted.wrapping_sub(seen.get()) >= self.signal_every
    }
}
