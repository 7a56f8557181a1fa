// SPDX-License-Identifier: GPL-2.0

//! What is written seldom and read all the time: to read it is a load, where the atomics of the
//! `kernel` crate are calls into a kernel that does not inline its helpers for Rust.

use core::{marker::PhantomData, pin::Pin, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::atomic::{ordering::Release, Atomic},
};

/// Reads an atomic as `READ_ONCE()` does, which is all that [`Relaxed`] asks for.
///
/// [`Relaxed`]: kernel::sync::atomic::ordering::Relaxed
pub(crate) trait ReadOnce {
    /// What it holds.
    type Value;

    /// Its value now.
    fn read_once(&self) -> Self::Value;
}

macro_rules! read_once {
    ($($value:ty)*) => {
        $(impl ReadOnce for Atomic<$value> {
            type Value = $value;

            #[inline(always)]
            fn read_once(&self) -> $value {
                // SAFETY: Valid and aligned. Volatile and at most one machine word, it is a marked
                // access in the kernel's memory model, which does not race with atomic ones.
                unsafe { self.as_ptr().read_volatile() }
            }
        })*
    };
}
read_once!(bool u32 i64 usize);
const _: () = assert!(usize::BITS == 64);

/// A value that is put here once, and stays as long as `self`: a [`SetOnce`] for what is read with
/// every command.
///
/// Memory order: publishing releases what was written to the value before. A reader gets at it by
/// the address that it has read, and such an address dependency orders in the kernel's memory
/// model, as for `rcu_dereference()` (`tools/memory-model`).
///
/// # Invariants
///
/// The address is zero, or that of a pinned value that `self` owns; then it never changes.
///
/// [`SetOnce`]: kernel::sync::SetOnce
pub(crate) struct Published<T> {
    address: Atomic<usize>,
    _owned: PhantomData<KBox<T>>,
}

// SAFETY: It goes where its value goes.
unsafe impl<T: Send> Send for Published<T> {}
// SAFETY: Who shares it shares its value, and may have been the one to put that here.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

impl<T> Published<T> {
    /// With nothing yet.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Zero.
        Self {
            address: Atomic::new(0),
            _owned: PhantomData,
        }
    }

    /// The value, once it is there.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        let value = NonNull::new(core::ptr::with_exposed_provenance_mut::<T>(
            self.address.read_once(),
        ))?;
        // SAFETY: By the type invariant it lives as long as `self`; what was written to it before
        // it was published is seen, see above.
        Some(unsafe { value.as_ref() })
    }

    /// Puts `value` here; gives it back if there is one.
    pub(crate) fn publish(&self, value: KBox<T>) -> core::result::Result<(), KBox<T>> {
        let value = KBox::into_raw(value);
        // INVARIANT: There was none, and now `self` owns it. Nothing moves it from here on.
        match self.address.cmpxchg(0, value.expose_provenance(), Release) {
            Ok(_) => Ok(()),
            // SAFETY: Of a box, and given to nobody.
            Err(_) => Err(unsafe { KBox::from_raw(value) }),
        }
    }

    /// As [`Self::publish`], for what is pinned already.
    pub(crate) fn publish_pinned(
        &self,
        value: Pin<KBox<T>>,
    ) -> core::result::Result<(), Pin<KBox<T>>> {
        // SAFETY: It is not moved: by the type invariant it stays pinned, or comes back.
        let value = unsafe { Pin::into_inner_unchecked(value) };
        self.publish(value).map_err(Into::into)
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        let value = core::ptr::with_exposed_provenance_mut::<T>(*self.address.get_mut());
        if !value.is_null() {
            // SAFETY: By the type invariant `self` owns it; nobody borrows it any more.
            drop(unsafe { KBox::from_raw(value) });
        }
    }
}
