// SPDX-License-Identifier: GPL-2.0

//! What callbacks without a context need to know of the registered transport.

use kernel::{
    prelude::*,
    sync::atomic::{
        ordering::{Acquire, Release},
        Atomic,
    }, //
};

use crate::bindings;

/// Addresses of what a [`super::registration::Registration`] owns; null without one.
///
/// # Invariants
///
/// Addresses that are not null are valid: callbacks that use them come from sessions and
/// endpoints, which hold the module, or while the registration is made or dropped.
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

/// A reference that keeps the transport's module loaded.
pub(super) struct ModuleReference(*mut kernel::bindings::module);

impl ModuleReference {
    /// # Errors
    ///
    /// `ENODEV` if the module is on its way out.
    pub(super) fn new(globals: &Globals) -> Result<Self> {
        let module = Self::owner(globals);
        // SAFETY: The owner of a transport is valid while its callbacks run.
        unsafe { bindings::iser_rs_try_module_get(module) }
            .then_some(Self(module))
            .ok_or(ENODEV)
    }

    /// Keeps the reference without a value for it.
    pub(super) fn leak(self) {
        core::mem::forget(self);
    }

    /// # Safety
    ///
    /// Once for each reference that was leaked.
    pub(super) unsafe fn from_leaked(globals: &Globals) -> Self {
        Self(Self::owner(globals))
    }

    fn owner(globals: &Globals) -> *mut kernel::bindings::module {
        let transport = globals.transport();
        if transport.is_null() {
            return core::ptr::null_mut();
        }
        // SAFETY: By the invariant of `Globals`.
        unsafe { (*transport).owner }
    }
}

impl Drop for ModuleReference {
    fn drop(&mut self) {
        // SAFETY: The reference is ours. Null is fine, as it is for `try_module_get`.
        unsafe { bindings::iser_rs_module_put(self.0) };
    }
}
