// SPDX-License-Identifier: GPL-2.0

//! What a queue pair has done.
//!
//! Requests are posted by those who transmit, of whom there is one at a time, and by the processing
//! of completions, which is serial: each has counts of its own, on cache lines of its own. Only
//! what error handlers do is counted by an atomic.

use crate::count::{Apart, Count, Shared};

/// Who posts to the send queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Poster {
    /// Who transmits, one at a time.
    Transmit,
    /// The processing of completions.
    Completion,
    /// Anybody else.
    Other,
}

/// What those who transmit have posted.
#[derive(Default)]
struct Transmitted {
    sends: Count,
    registrations: Count,
    invalidations: Count,
    stalls: Count,
}

/// What the processing of completions has seen, and posted.
#[derive(Default)]
struct Completed {
    sends: Count,
    receives: Count,
    remote_invalidations: Count,
    local_invalidations: Count,
    /// Local invalidations that were posted.
    invalidations: Count,
    receives_posted: Count,
    receive_doorbells: Count,
    /// [`Rare::receives_posted`] when the low-water mark was begun anew.
    initial: Count,
    low_water: Count,
}

/// What is hardly ever written.
#[derive(Default)]
struct Rare {
    /// Receives that were posted by who sets up the queue pair, or begins another phase.
    receives_posted: Count,
    receive_doorbells: Count,
    invalidations: Shared,
}

/// The counts of one queue pair.
#[derive(Default)]
pub(crate) struct Statistics {
    transmitted: Apart<Transmitted>,
    completed: Apart<Completed>,
    rare: Apart<Rare>,
}

impl Statistics {
    /// Who transmits has posted a send by one call, after a registration or not.
    #[inline(always)]
    pub(super) fn sent(&self, registering: bool) {
        self.transmitted.sends.add(1);
        if registering {
            self.transmitted.registrations.add(1);
        }
    }

    /// Who transmits has found no room.
    pub(super) fn stalled(&self) {
        self.transmitted.stalls.add(1);
    }

    /// A local invalidation has been posted by one call.
    #[inline(always)]
    pub(super) fn invalidating(&self, by: Poster) {
        match by {
            Poster::Transmit => self.transmitted.invalidations.add(1),
            Poster::Completion => self.completed.invalidations.add(1),
            Poster::Other => self.rare.invalidations.add(1),
        }
    }

    /// A request to send has completed. In the processing of completions, as all that follow.
    #[inline(always)]
    pub(super) fn send_completed(&self) {
        self.completed.sends.add(1);
    }

    /// A local invalidation has completed.
    #[inline(always)]
    pub(super) fn invalidated_locally(&self) {
        self.completed.local_invalidations.add(1);
    }

    /// The peer has invalidated a key, as it should.
    #[inline(always)]
    pub(super) fn invalidated_remotely(&self) {
        self.completed.remote_invalidations.add(1);
    }

    /// `count` receives have been posted by one call.
    #[inline(always)]
    pub(super) fn receives_recycled(&self, count: usize) {
        self.completed.receives_posted.add(count as u64);
        self.completed.receive_doorbells.add(1);
    }

    /// A receive has completed.
    #[inline(always)]
    pub(super) fn received(&self) {
        let (completed, initial) = (&self.completed, self.rare.receives_posted.get());
        completed.receives.add(1);
        let posted = self.receives_posted();
        // Where others have posted more, that begins another phase.
        if completed.initial.get() != initial || posted < completed.low_water.get() {
            completed.initial.set(initial);
            completed.low_water.set(posted);
        }
    }

    /// Who sets up the queue pair, or begins another phase, is about to post a receive.
    pub(super) fn receive_added(&self) {
        self.rare.receives_posted.add(1);
    }

    /// As many of them as there were have been posted by one call.
    pub(super) fn receives_added(&self) {
        self.rare.receive_doorbells.add(1);
    }

    /// Receives that are in the queue.
    #[inline(always)]
    fn receives_posted(&self) -> u64 {
        let posted = self.rare.receives_posted.get() + self.completed.receives_posted.get();
        posted.saturating_sub(self.completed.receives.get())
    }

    fn low_water(&self) -> u64 {
        if self.completed.initial.get() == self.rare.receives_posted.get() {
            self.completed.low_water.get()
        } else {
            // None has completed since more were posted.
            self.receives_posted()
        }
    }

    /// Tells the names that user space knows, and the numbers.
    pub(crate) fn tell(&self, to: &mut dyn FnMut(&str, u64)) {
        let (transmitted, completed, rare) = (&self.transmitted, &self.completed, &self.rare);
        let sends = transmitted.sends.get();
        let invalidations = transmitted.invalidations.get()
            + completed.invalidations.get()
            + rare.invalidations.get();
        let receives = completed.receives_posted.get() + rare.receives_posted.get();
        let receive_doorbells = completed.receive_doorbells.get() + rare.receive_doorbells.get();
        to("wr_send", sends);
        to("wr_reg", transmitted.registrations.get());
        to("wr_local_inv", invalidations);
        to("wr_receive", receives);
        // A registration goes with a send; each send and each invalidation is a call.
        to("doorbells_send", sends + invalidations);
        to("doorbells_receive", receive_doorbells);
        to("completions_send", completed.sends.get());
        to("completions_receive", completed.receives.get());
        to("remote_invalidations", completed.remote_invalidations.get());
        to("local_invalidations", completed.local_invalidations.get());
        to("receives_posted", self.receives_posted());
        to("receive_low_water", self.low_water());
        to("send_queue_stalls", transmitted.stalls.get());
    }
}
