// SPDX-License-Identifier: GPL-2.0

//! Work items that their owner waits for, on a queue of the module's own.

use core::ptr::NonNull;
use kernel::{
    bindings::{flush_work, workqueue_struct},
    prelude::*,
    sync::atomic::{
        ordering::{Acquire, Release},
        Atomic,
    },
    workqueue::{HasWork, Queue, Work}, //
};

use crate::bindings;

static QUEUE: Atomic<usize> = Atomic::new(0);

/// The module's queue, whose work makes progress when memory is short, as that may have to be
/// written to a disk whose connection the work is about.
///
/// # Invariants
///
/// The queue is live, and `QUEUE` its address. The module, whose value this is part of, is only
/// dropped when nobody is left who calls [`queue`].
pub(crate) struct WorkQueue(NonNull<workqueue_struct>);

// SAFETY: A queue may be destroyed by any thread.
unsafe impl Send for WorkQueue {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for WorkQueue {}

impl WorkQueue {
    /// Makes the queue; there may be one. May sleep.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: May be called at any time.
        let queue = unsafe { bindings::iser_rs_alloc_workqueue() };
        let queue = NonNull::new(queue).ok_or(ENOMEM)?;
        QUEUE.store(queue.as_ptr() as usize, Release);
        // INVARIANT: Just made.
        Ok(Self(queue))
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        QUEUE.store(0, Release);
        // SAFETY: By the type invariant. This waits for work that still runs.
        unsafe { bindings::iser_rs_destroy_workqueue(self.0.as_ptr()) };
    }
}

/// The queue, if there is one.
pub(crate) fn queue() -> Option<&'static Queue> {
    let queue = NonNull::new(QUEUE.load(Acquire) as *mut workqueue_struct)?;
    // SAFETY: By the invariant of `WorkQueue`.
    Some(unsafe { Queue::from_raw(queue.as_ptr()) })
}

/// Waits until the work item of `owner` neither runs nor is queued. May sleep.
///
/// What is queued afterwards is not waited for.
pub(crate) fn flush<T: HasWork<T>>(owner: &T) {
    let owner = core::ptr::from_ref(owner).cast_mut();
    // SAFETY: The pointer is valid, and so is the work item in it; flushing only waits.
    unsafe { flush_work(Work::raw_get(T::raw_get_work(owner))) };
}
