// SPDX-License-Identifier: GPL-2.0

//! What can be seen of a slot while its transfer goes on, without a part in it.
//!
//! Only the one who holds the slot writes this, others may read it at any time. So it is in words
//! of its own beside what belongs to the transfer, and nobody who looks touches that.

use super::{fence::State, receive::Message};
use crate::{
    clock,
    count::Count,
    sg::{Direction, RawList},
};

/// A transfer in a slot, as far as others can see it.
pub(crate) struct InFlight {
    /// Which slot.
    pub(crate) index: usize,
    /// What it is waiting for.
    pub(crate) state: &'static str,
    /// Which way its data moves, if it has any.
    pub(crate) direction: Option<Direction>,
    /// How much that is.
    pub(crate) bytes: u64,
    /// For how long.
    pub(crate) age_ms: u64,
}

/// A transfer that is over.
pub(crate) struct Finished<O> {
    /// Who keeps the data.
    pub(crate) owner: O,
    /// The peer's answer, unless it was abandoned or was not to be answered.
    pub(crate) answer: Option<Message>,
    /// What was given to [`super::slot::Prepared::stamp`].
    pub(crate) stamp: u64,
    /// Which way the data has moved, if there was any.
    pub(crate) direction: Option<Direction>,
}

/// The words of one slot.
#[derive(Default)]
pub(super) struct Watch {
    /// Bytes, and in the lowest bit whether they go to the peer.
    data: Count,
    since: Count,
    stamp: Count,
}

impl Watch {
    const TO_PEER: u64 = 1;

    /// A transfer begins. For the holder of the slot.
    #[inline(always)]
    pub(super) fn begin(&self, list: Option<&RawList>, direction: Direction) {
        let bytes = list.map_or(0, |list| list.len as u64);
        let to_peer = u64::from(direction == Direction::ToDevice);
        self.data.set(bytes << 1 | to_peer);
        self.since.set(clock::ticks());
        self.stamp.set(0);
    }

    /// For the holder of the slot.
    #[inline(always)]
    pub(super) fn stamp(&self, stamp: u64) {
        self.stamp.set(stamp);
    }

    fn bytes(&self) -> u64 {
        self.data.get() >> 1
    }

    fn direction(&self) -> Option<Direction> {
        let data = self.data.get();
        let direction = if data & Self::TO_PEER != 0 {
            Direction::ToDevice
        } else {
            Direction::FromDevice
        };
        (data >> 1 != 0).then_some(direction)
    }

    /// The end of the transfer of `owner`. For the holder of the slot.
    #[inline(always)]
    pub(super) fn finish<O>(&self, owner: O, answer: Option<Message>) -> Finished<O> {
        Finished {
            owner,
            answer,
            stamp: self.stamp.get(),
            direction: self.direction(),
        }
    }

    /// What is seen of slot `index`.
    pub(super) fn see(&self, index: usize, state: State) -> Option<InFlight> {
        Some(InFlight {
            index,
            state: state.name()?,
            direction: self.direction(),
            bytes: self.bytes(),
            age_ms: clock::ms_since(self.since.get()),
        })
    }
}
