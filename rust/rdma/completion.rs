// SPDX-License-Identifier: GPL-2.0

//! Completion queues, and how a completion finds its work request.
//!
//! C header: [`include/rdma/ib_verbs.h`](srctree/include/rdma/ib_verbs.h)

use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*,
    sync::Arc, //
};

use super::{
    device::ProtectionDomain,
    qp::{Consumer, Inner},
};
use crate::{bindings, count::Count};

/// Entries of a completion queue that belongs to the device and is shared with others.
///
/// All completions of one such queue are processed in one softirq at a time.
///
/// # Invariants
///
/// `cq` is live, with `entries` of it reserved, as long as `self`.
pub(super) struct CompletionQueue {
    cq: NonNull<bindings::ib_cq>,
    entries: u32,
    _pd: Arc<ProtectionDomain>,
}

impl CompletionQueue {
    /// Reserves `entries`. May sleep.
    pub(super) fn new(pd: Arc<ProtectionDomain>, entries: usize) -> Result<Self> {
        let entries = entries.try_into()?;
        // SAFETY: The device is valid; -1 leaves the choice of vector to the core.
        let cq = unsafe {
            from_err_ptr(bindings::ib_cq_pool_get(
                pd.device().as_raw(),
                entries,
                -1,
                bindings::ib_poll_context_IB_POLL_SOFTIRQ,
            ))?
        };
        // INVARIANT: As the pool has given.
        Ok(Self {
            cq: NonNull::new(cq).ok_or(ENOMEM)?,
            entries,
            _pd: pd,
        })
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ib_cq {
        self.cq.as_ptr()
    }
}

impl Drop for CompletionQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; the queue pair that used the entries is gone.
        unsafe { bindings::ib_cq_pool_put(self.as_raw(), self.entries) };
    }
}

/// How a work request ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(super) bindings::ib_wc_status);

impl Status {
    pub(super) fn is_success(self) -> bool {
        self.0 == bindings::ib_wc_status_IB_WC_SUCCESS
    }

    /// The request was not executed because the queue pair had failed before.
    pub(crate) fn is_flush(self) -> bool {
        self.0 == bindings::ib_wc_status_IB_WC_WR_FLUSH_ERR
    }

    /// A text for logs.
    pub(crate) fn name(self) -> &'static CStr {
        // SAFETY: Returns a string constant for any value.
        unsafe { CStr::from_char_ptr(bindings::ib_wc_status_msg(self.0)) }
    }
}

/// What a work request was for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// Only its failure matters.
    Plain,
    /// A send that reads the data of slot `index`.
    Data,
    /// The local invalidation of slot `index`.
    Invalidate,
    /// The send with the follow-up header `index`.
    FollowUp,
    /// A receive into buffer `index` of a ring.
    Receive,
}

/// What a work request carries, for its completion to find back.
///
/// # Invariants
///
/// While a work request with this tag is posted, `inner` is valid, and `self` is not moved.
#[repr(C)]
pub(super) struct Tag<C: Consumer> {
    cqe: bindings::ib_cqe,
    pub(super) inner: *const Inner<C>,
    pub(super) purpose: Purpose,
    pub(super) index: u32,
    /// Entries of the send queue that are free again when this completes. Written by who posts the
    /// request, read by who processes its completion; a tag is posted again only after that.
    credits: Count,
}

impl<C: Consumer> Tag<C> {
    pub(super) fn new(purpose: Purpose, index: usize) -> Self {
        Self {
            cqe: bindings::ib_cqe {
                done: Some(match purpose {
                    Purpose::Receive => Inner::<C>::receive_done,
                    _ => Inner::<C>::send_done,
                }),
            },
            inner: core::ptr::null(),
            purpose,
            index: index as u32,
            credits: Count::default(),
        }
    }

    /// Before it is posted: what it gives back.
    pub(super) fn set_credits(&self, credits: u64) {
        self.credits.set(credits);
    }

    /// When it has completed. Only read, so that nothing of this completion can come after what
    /// the next one to post it writes.
    pub(super) fn credits(&self) -> u64 {
        self.credits.get()
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ib_cqe {
        (&raw const self.cqe).cast_mut()
    }

    /// The tag of a completion.
    ///
    /// # Safety
    ///
    /// `wc` must be the completion of a request that was posted with a `Tag<C>`.
    pub(super) unsafe fn of<'a>(wc: &bindings::ib_wc) -> &'a Self {
        // SAFETY: `cqe` is the first field, and by the type invariant the tag is where it was.
        unsafe { &*wc.__bindgen_anon_1.wr_cqe.cast::<Self>() }
    }
}
