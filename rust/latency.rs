// SPDX-License-Identifier: GPL-2.0

//! Histograms of times, off or on for the whole module.
//!
//! As long as they are off, no clock is read, and a patched jump is all that they cost.

use kernel::{bindings::static_key_false, jump_label::static_branch_unlikely, prelude::*};

use crate::{bindings, clock, count::Count};

/// Steps of each power of two, which tells how exact a histogram is: to a sixteenth.
const STEPS_SHIFT: u32 = 4;
const STEPS: usize = 1 << STEPS_SHIFT;

/// Times from 2 to this power of nanoseconds on, more than two minutes, are all the same.
const LARGEST_SHIFT: u32 = 37;
const BUCKETS: usize = STEPS * (LARGEST_SHIFT - STEPS_SHIFT + 1) as usize;

#[repr(transparent)]
struct Key {
    key: static_key_false,
}

extern "C" {
    #[link_name = "iser_rs_latency"]
    static KEY: Key;
}

/// Whether times are measured.
pub(crate) fn is_on() -> bool {
    // SAFETY: May be called at any time.
    unsafe { bindings::iser_rs_latency_on() }
}

/// Measures times, or not. May sleep.
pub(crate) fn set(on: bool) {
    // SAFETY: May be called where that may sleep.
    unsafe { bindings::iser_rs_latency_set(on) };
}

/// The time now, to give to [`Histogram::ended`]; 0 as long as times are not measured.
#[inline(always)]
pub(crate) fn begin() -> u64 {
    // SAFETY: It is a static key that C has defined.
    if unsafe { static_branch_unlikely!(KEY, Key, key) } {
        clock::nanoseconds()
    } else {
        0
    }
}

/// How often something took how long. There is one writer at a time.
pub(crate) struct Histogram(KVec<Count>);

impl Histogram {
    /// An empty one. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let mut buckets = KVec::with_capacity(BUCKETS, GFP_KERNEL)?;
        for _ in 0..BUCKETS {
            buckets.push(Count::default(), GFP_KERNEL)?;
        }
        Ok(Self(buckets))
    }

    /// Takes what has begun at `begin`.
    #[inline(always)]
    pub(crate) fn ended(&self, begin: u64) {
        if begin != 0 {
            self.note(clock::nanoseconds().saturating_sub(begin));
        }
    }

    #[inline(never)]
    fn note(&self, ns: u64) {
        if let Some(bucket) = self.0.get(index(ns)) {
            bucket.add(1);
        }
    }

    /// Tells the least time, the time from which on it is not counted there, and the count, of
    /// each bucket that is not empty.
    pub(crate) fn tell(&self, mut to: impl FnMut(u64, u64, u64)) {
        for (index, bucket) in self.0.iter().enumerate() {
            let count = bucket.get();
            if count != 0 {
                to(lower(index), lower(index + 1), count);
            }
        }
    }
}

/// The bucket of a time: below [`STEPS`] one for each nanosecond, then as many for each power of
/// two.
fn index(ns: u64) -> usize {
    let power = ns.checked_ilog2().unwrap_or(0);
    if power < STEPS_SHIFT {
        return ns as usize;
    }
    let shift = power - STEPS_SHIFT;
    let step = (ns >> shift) as usize - STEPS;
    (STEPS * (shift as usize + 1) + step).min(BUCKETS - 1)
}

/// The least time in a bucket.
fn lower(index: usize) -> u64 {
    if index < STEPS {
        return index as u64;
    }
    let shift = index / STEPS - 1;
    ((STEPS + index % STEPS) as u64) << shift
}
