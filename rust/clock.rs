// SPDX-License-Identifier: GPL-2.0

//! Time, as cheap as it can be had.

use kernel::bindings;

/// Ticks of the kernel's timer since some moment: a load, exact to a few milliseconds.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    // SAFETY: Always valid; written by the timer interrupt alone, in one piece.
    unsafe { (&raw const bindings::jiffies).read_volatile() as u64 }
}

/// Milliseconds since `ticks`.
pub(crate) fn ms_since(then: u64) -> u64 {
    // Another CPU may be a tick ahead.
    let passed = ticks().wrapping_sub(then) as i64;
    // SAFETY: May be called with any number.
    unsafe { bindings::jiffies64_to_msecs(passed.max(0) as u64) }
}

/// Nanoseconds since some moment: reads the clock.
#[inline(always)]
pub(crate) fn nanoseconds() -> u64 {
    // SAFETY: May be called in any context.
    unsafe { bindings::ktime_get() as u64 }
}
