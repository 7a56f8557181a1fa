// SPDX-License-Identifier: GPL-2.0

//! RDMA devices and protection domains.
//!
//! C header: [`include/rdma/ib_verbs.h`](srctree/include/rdma/ib_verbs.h)

use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

use super::cm::CmId;
use crate::bindings;

/// An RDMA device, a `struct ib_device`.
#[repr(transparent)]
pub(crate) struct Device(Opaque<bindings::ib_device>);

/// What a device offers, as far as users of fast registration care.
#[derive(Clone, Copy)]
pub(crate) struct Attributes {
    /// Most entries of a completion queue.
    pub(crate) max_cqe: usize,
    /// Most work requests in one queue.
    pub(crate) max_qp_wr: usize,
    /// Most scatter-gather entries of a send.
    pub(crate) max_send_sge: usize,
    /// Most pages in one fast registered region.
    pub(crate) max_region_pages: usize,
    /// Most RDMA reads that one queue pair can serve at once.
    pub(crate) max_read_atomic: u32,
    /// Fast registration and invalidation of memory are supported.
    pub(crate) memory_management: bool,
    /// A region's segments need not fill whole pages.
    pub(crate) sg_gaps: bool,
    /// It speaks iWARP.
    pub(crate) iwarp: bool,
}

impl Device {
    /// # Safety
    ///
    /// `ptr` must be valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::ib_device) -> &'a Self {
        // SAFETY: `Device` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ib_device {
        self.0.get()
    }

    /// What the device offers.
    pub(crate) fn attributes(&self) -> Attributes {
        let mut raw = bindings::iser_rs_device_attr {
            max_cqe: 0,
            max_qp_wr: 0,
            max_send_sge: 0,
            max_fast_reg_page_list_len: 0,
            max_qp_rd_atom: 0,
            mem_mgt_extensions: false,
            sg_gaps_reg: false,
            iwarp: false,
        };
        // SAFETY: The device is valid, `raw` is ours.
        unsafe { bindings::iser_rs_device_attr(self.as_raw(), &mut raw) };
        Attributes {
            max_cqe: raw.max_cqe as usize,
            max_qp_wr: raw.max_qp_wr as usize,
            max_send_sge: raw.max_send_sge as usize,
            max_region_pages: raw.max_fast_reg_page_list_len as usize,
            max_read_atomic: raw.max_qp_rd_atom,
            memory_management: raw.mem_mgt_extensions,
            sg_gaps: raw.sg_gaps_reg,
            iwarp: raw.iwarp,
        }
    }

    /// The device's name, such as `rxe0`.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: A device has a name as long as it is registered, which it is while borrowed.
        unsafe { CStr::from_char_ptr(bindings::iser_rs_device_name(self.as_raw())) }
    }

    /// The device that does the DMA, as a parent for other devices; virtual ones have none.
    pub(crate) fn parent(&self) -> Option<&kernel::device::Device> {
        // SAFETY: The device is valid.
        let parent = unsafe { bindings::iser_rs_device_parent(self.as_raw()) };
        // SAFETY: A device holds a reference to its parent.
        (!parent.is_null()).then(|| unsafe { kernel::device::Device::from_raw(parent) })
    }
}

/// A protection domain without any global remote key.
///
/// Regions and queue pairs of different domains cannot reach each other.
///
/// # Invariants
///
/// `pd` is a live domain of `device`, which is that of `id` and stays as long as `id`; `local_key`
/// is its key.
pub(crate) struct ProtectionDomain {
    pd: NonNull<bindings::ib_pd>,
    device: NonNull<bindings::ib_device>,
    local_key: u32,
    id: Arc<CmId>,
}

// SAFETY: A domain may be used and freed from any thread.
unsafe impl Send for ProtectionDomain {}
// SAFETY: The verbs synchronise access to it.
unsafe impl Sync for ProtectionDomain {}

impl ProtectionDomain {
    /// Allocates a domain of the device that `id` resolved to. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` before the address is resolved.
    pub(crate) fn new(id: Arc<CmId>) -> Result<Self> {
        let device = id.device().ok_or(ENODEV)?.as_raw();
        // SAFETY: The device is valid as long as `id`.
        let pd = unsafe {
            from_err_ptr(bindings::__ib_alloc_pd(
                device,
                0,
                c"ib_iser_rs".as_char_ptr(),
            ))?
        };
        let (pd, device) = NonNull::new(pd).zip(NonNull::new(device)).ok_or(ENOMEM)?;
        // INVARIANT: Just allocated for this device.
        Ok(Self {
            pd,
            device,
            // SAFETY: Just allocated.
            local_key: unsafe { bindings::iser_rs_pd_local_dma_lkey(pd.as_ptr()) },
            id,
        })
    }

    pub(super) fn as_raw(&self) -> *mut bindings::ib_pd {
        self.pd.as_ptr()
    }

    pub(super) fn id(&self) -> &CmId {
        &self.id
    }

    /// The device.
    pub(crate) fn device(&self) -> &Device {
        // SAFETY: By the type invariant.
        unsafe { Device::from_raw(self.device.as_ptr()) }
    }

    /// The local key for all of the memory that is mapped for the device: for sends and receives
    /// of this machine only, of no use to a peer.
    pub(super) fn local_key(&self) -> u32 {
        self.local_key
    }
}

impl Drop for ProtectionDomain {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; whoever uses the domain holds a reference to `self`.
        unsafe { bindings::ib_dealloc_pd_user(self.as_raw(), core::ptr::null_mut()) };
    }
}
