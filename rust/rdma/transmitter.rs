// SPDX-License-Identifier: GPL-2.0

//! Who transmits.
//!
//! One at a time puts transfers into the slots of a queue pair and posts what they send: who has this.
//! The requests of a slot, and the numbers that one alone writes, need no lock by that.

use super::qp::{Consumer, Inner};

/// The right to transmit by a queue pair.
///
/// # Invariants
///
/// There is no other with that `number`, which is the queue pair's and is not used again.
pub(crate) struct Transmitter {
    number: u64,
}

impl Transmitter {
    /// That of the queue pair with that number.
    ///
    /// # Safety
    ///
    /// It must be the only one.
    pub(super) unsafe fn new(number: u64) -> Self {
        // INVARIANT: As the caller promises.
        Self { number }
    }

    /// Whether it is that of `inner`.
    #[inline(always)]
    pub(super) fn is_of<C: Consumer>(&self, inner: &Inner<C>) -> bool {
        self.number == inner.number
    }
}
