// SPDX-License-Identifier: GPL-2.0

//! Numbers that anybody may read at any time, and that cost their writer next to nothing.

use core::cell::UnsafeCell;
use kernel::sync::atomic::{ordering::Relaxed, Atomic};

/// A number with one writer at a time: a plain addition, without a locked instruction.
///
/// Where two would write at once, one of the additions could be lost, and nothing worse. So this
/// is for what is serialised anyway: [`Shared`] is for the rest.
#[derive(Default)]
pub(crate) struct Count(UnsafeCell<u64>);

// SAFETY: All accesses are volatile, aligned and of one machine word, which in the kernel's memory
// model is what `READ_ONCE()` and `WRITE_ONCE()` are: marked accesses, which do not race.
unsafe impl Sync for Count {}

impl Count {
    /// The number.
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        // SAFETY: Valid and aligned; see `Sync` above.
        unsafe { self.0.get().read_volatile() }
    }

    /// Replaces the number.
    #[inline(always)]
    pub(crate) fn set(&self, value: u64) {
        // SAFETY: As in `get`.
        unsafe { self.0.get().write_volatile(value) };
    }

    /// Adds to the number.
    #[inline(always)]
    pub(crate) fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }
}

/// A number with any writers, for what is rare.
pub(crate) struct Shared(Atomic<i64>);

impl Shared {
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// The number.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed) as u64
    }

    /// Adds to the number.
    pub(crate) fn add(&self, more: u64) {
        self.0.add(more as i64, Relaxed);
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

/// What one side writes, on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> core::ops::Deref for Apart<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Defines a set of numbers whose names are what user space sees.
macro_rules! counts {
    ($(#[$doc:meta])* $type:ident of $kind:ident { $($(#[$field_doc:meta])* $name:ident,)* }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $type {
            $($(#[$field_doc])* pub(crate) $name: $crate::count::$kind,)*
        }

        impl $type {
            /// Tells the names and the numbers.
            pub(crate) fn tell(&self, to: &mut dyn FnMut(&str, u64)) {
                $(to(stringify!($name), self.$name.get());)*
            }
        }
    };
}
pub(crate) use counts;
