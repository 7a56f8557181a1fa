// SPDX-License-Identifier: GPL-2.0

//! Room in a send queue.
//!
//! The entry of an unsignalled work request is free again only when a later, signalled one has
//! completed. So whoever posts a signalled request takes with it all entries that were posted
//! unsignalled before it, and gives them back with its own at its completion.

use kernel::sync::atomic::{ordering::Relaxed, Atomic};

/// Signal at least one in so many work requests.
const SIGNAL_EVERY: i32 = 64;

/// Free and unsignalled entries of one send queue.
pub(super) struct Credits {
    free: Atomic<i32>,
    unsignalled: Atomic<i32>,
}

impl Credits {
    /// A queue with `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            free: Atomic::new(capacity as i32),
            unsignalled: Atomic::new(0),
        }
    }

    /// The most signalled requests, of those that [`Self::signal_due`] asked for, that can be
    /// outstanding in a queue with `capacity` entries.
    pub(super) const fn markers(capacity: usize) -> usize {
        capacity / SIGNAL_EVERY as usize + 2
    }

    /// Takes `count` entries; returns whether they were there.
    pub(super) fn reserve(&self, count: i32) -> bool {
        if self.free.fetch_sub(count, Relaxed) >= count {
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
        self.unsignalled.load(Relaxed) >= SIGNAL_EVERY
    }
}
