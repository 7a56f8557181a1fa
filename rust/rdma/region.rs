// SPDX-License-Identifier: GPL-2.0

//! Memory regions for fast registration.

use core::ptr::NonNull;
use kernel::{error::from_err_ptr, prelude::*, sync::Arc};

use super::device::ProtectionDomain;
use crate::{bindings, sg::RawList};

/// What a peer may do with a region. There is no right to do both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Nothing: the region serves sends of this machine.
    Local,
    /// RDMA Read.
    RemoteRead,
    /// RDMA Write.
    RemoteWrite,
}

impl Access {
    pub(super) fn as_raw(self) -> i32 {
        let flags = match self {
            Self::Local => 0,
            Self::RemoteRead => bindings::ib_access_flags_IB_ACCESS_REMOTE_READ,
            // The verbs want the right to write locally where a peer may write.
            Self::RemoteWrite => {
                bindings::ib_access_flags_IB_ACCESS_LOCAL_WRITE
                    | bindings::ib_access_flags_IB_ACCESS_REMOTE_WRITE
            }
        };
        flags as i32
    }
}

/// How a peer names registered memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RemoteKey {
    /// The remote key; steering tag to iWARP and iSER.
    pub(crate) rkey: u32,
    /// Address of the first byte.
    pub(crate) base: u64,
}

/// A memory region, to be registered by a work request.
///
/// # Invariants
///
/// `mr` is live and of the domain `pd`.
pub(super) struct Region {
    mr: NonNull<bindings::ib_mr>,
    _pd: Arc<ProtectionDomain>,
}

// SAFETY: A region may be used and freed from any thread.
unsafe impl Send for Region {}
// SAFETY: What changes a region is unsafe and asks for exclusive access.
unsafe impl Sync for Region {}

impl Region {
    /// Bytes of a page in a region's page list.
    pub(crate) const PAGE: u32 = 4096;

    /// Allocates a region for up to `pages` pages. May sleep.
    pub(super) fn new(pd: Arc<ProtectionDomain>, pages: usize, sg_gaps: bool) -> Result<Self> {
        let kind = if sg_gaps {
            bindings::ib_mr_type_IB_MR_TYPE_SG_GAPS
        } else {
            bindings::ib_mr_type_IB_MR_TYPE_MEM_REG
        };
        // SAFETY: The domain is live.
        let mr = unsafe { from_err_ptr(bindings::ib_alloc_mr(pd.as_raw(), kind, pages as u32))? };
        // INVARIANT: Just allocated.
        Ok(Self {
            mr: NonNull::new(mr).ok_or(ENOMEM)?,
            _pd: pd,
        })
    }

    /// Lays the list out in the region, under a new key.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the region cannot hold all of the list.
    ///
    /// # Safety
    ///
    /// The region must not be registered, nor read elsewhere at the same time, and the list must
    /// be mapped for the device with `mapped` entries.
    #[inline(always)]
    pub(super) unsafe fn lay_out(&self, list: &RawList, mapped: i32) -> Result<RemoteKey> {
        let mr = self.mr.as_ptr();
        // SAFETY: By the type invariant and the caller's promise nobody else looks.
        unsafe {
            // A key is not used twice in a row, so a peer's late use of the last one fails.
            let key = ((*mr).rkey & !0xff) | ((*mr).rkey.wrapping_add(1) & 0xff);
            (*mr).rkey = key;
            (*mr).lkey = key;
            let done = bindings::ib_map_mr_sg(
                mr,
                list.head.as_ptr().cast(),
                mapped,
                core::ptr::null_mut(),
                Self::PAGE,
            );
            if done < 0 {
                return Err(Error::from_errno(done));
            }
            if done != mapped || (*mr).length != list.len as u64 {
                return Err(EINVAL);
            }
        }
        Ok(self.key())
    }

    /// How a peer names the memory that was laid out last.
    pub(super) fn key(&self) -> RemoteKey {
        // SAFETY: By the type invariant; changes are exclusive.
        unsafe {
            let mr = self.mr.as_ptr();
            RemoteKey {
                rkey: (*mr).rkey,
                base: (*mr).iova,
            }
        }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ib_mr {
        self.mr.as_ptr()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; the queue pair that used the region is gone.
        unsafe { bindings::ib_dereg_mr_user(self.as_raw(), core::ptr::null_mut()) };
    }
}
