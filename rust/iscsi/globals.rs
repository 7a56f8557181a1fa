// SPDX-License-Identifier: GPL-2.0

//! What callbacks without a context need to know of the registered transport.

use kernel::sync::atomic::{
    ordering::{Acquire, Release},
    Atomic,
};

use crate::bindings;

/// Addresses of what a [`super::registration::Registration`] owns; null without one.
///
/// # Invariants
///
/// Addresses that are not null are valid: callbacks that use them hold the module, or come while
/// the registration is made or dropped.
pub(crate) struct Globals {
    transport: Atomic<usize>,
    scsi_template: Atomic<usize>,
    host_template: Atomic<usize>,
}

impl Globals {
    /// For a `static`.
    pub(crate) const fn new() -> Self {
        Self {
            transport: Atomic::new(0),
            scsi_template: Atomic::new(0),
            host_template: Atomic::new(0),
        }
    }

    /// Remembers the structures. Returns `false` if there are some already.
    pub(super) fn set(
        &self,
        transport: *mut bindings::iscsi_transport,
        host_template: *const bindings::scsi_host_template,
    ) -> bool {
        if self
            .transport
            .cmpxchg(0, transport as usize, Release)
            .is_err()
        {
            return false;
        }
        self.host_template.store(host_template as usize, Release);
        true
    }

    pub(super) fn set_scsi_template(&self, template: *mut bindings::scsi_transport_template) {
        self.scsi_template.store(template as usize, Release);
    }

    pub(super) fn clear(&self) {
        self.scsi_template.store(0, Release);
        self.host_template.store(0, Release);
        self.transport.store(0, Release);
    }

    pub(super) fn transport(&self) -> *mut bindings::iscsi_transport {
        self.transport.load(Acquire) as *mut bindings::iscsi_transport
    }

    pub(super) fn scsi_template(&self) -> *mut bindings::scsi_transport_template {
        self.scsi_template.load(Acquire) as *mut bindings::scsi_transport_template
    }

    pub(super) fn host_template(&self) -> *const bindings::scsi_host_template {
        self.host_template.load(Acquire) as *const bindings::scsi_host_template
    }
}
