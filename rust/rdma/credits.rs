// SPDX-License-Identifier: GPL-2.0

//! Room in a send queue.
//!
//! The entry of an unsignalled work request is free again only when a later, signalled one has
//! completed. So whoever posts a signalled request takes with it all entries that were posted
//! unsignalled before it, and gives them back with its own at its completion.

use kernel::sync::atomic::{ordering::Relaxed, Atomic};

/// Signal at least one in so many work requests, in queues that are large enough.
const SIGNAL_EVERY: i32 = 64;

/// Entries that only control messages may take, so that they never wait for commands.
const CONTROL: i32 = 32;

/// Free and unsignalled entries of one send queue.
pub(super) struct Credits {
    free: Atomic<i32>,
    unsignalled: Atomic<i32>,
    signal_every: i32,
}

impl Credits {
    /// A queue with `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            free: Atomic::new(capacity as i32),
            unsignalled: Atomic::new(0),
            signal_every: Self::signal_every(capacity),
        }
    }

    const fn signal_every(capacity: usize) -> i32 {
        let quarter = (capacity / 4) as i32;
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
    pub(super) fn reserve(&self, count: i32, command: bool) -> bool {
        let needed = if command { count + CONTROL } else { count };
        if self.free.fetch_sub(count, Relaxed) >= needed {
            return true;
        }
        self.give(count);
        false
    }

    /// Gives back entries that were reserved, or whose requests have completed.
    pub(super) fn give(&self, count: i32) {
        self.free.add(count, Relaxed);
    }

    /// Notes entries that have been posted unsignalled, after the fact: then they are older than
    /// any signalled request that takes them along.
    pub(super) fn posted_unsignalled(&self, count: i32) {
        self.unsignalled.add(count, Relaxed);
    }

    /// Takes along, before a signalled request is posted, what was posted unsignalled before.
    pub(super) fn take_unsignalled(&self) -> i32 {
        self.unsignalled.xchg(0, Relaxed)
    }

    /// Whether the next request should be signalled.
    pub(super) fn signal_due(&self) -> bool {
        self.unsignalled.load(Relaxed) >= self.signal_every
    }
}
