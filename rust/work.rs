// SPDX-License-Identifier: GPL-2.0

//! Work items that their owner waits for.

use kernel::{
    bindings,
    workqueue::{HasWork, Queue, Work}, //
};

/// The queue for work that may run on any CPU, and may take long.
pub(crate) fn queue() -> &'static Queue {
    // SAFETY: The queue is made at boot and never destroyed.
    unsafe { Queue::from_raw(bindings::system_dfl_wq) }
}

/// Waits until the work item of `owner` neither runs nor is queued. May sleep.
///
/// What is queued afterwards is not waited for.
pub(crate) fn flush<T: HasWork<T>>(owner: &T) {
    let owner = core::ptr::from_ref(owner).cast_mut();
    // SAFETY: The pointer is valid, and so is the work item in it; flushing only waits.
    unsafe { bindings::flush_work(Work::raw_get(T::raw_get_work(owner))) };
}
