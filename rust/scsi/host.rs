// SPDX-License-Identifier: GPL-2.0

//! SCSI hosts.

use crate::bindings;

/// What a new host can do.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Commands at once.
    pub(crate) can_queue: u32,
    /// Commands at once for each logical unit.
    pub(crate) cmd_per_lun: u32,
    /// One more than the highest logical unit number.
    pub(crate) max_lun: u32,
    /// Scatter-gather entries of a command.
    pub(crate) sg_tablesize: u32,
    /// Data of a command, in sectors of 512 bytes.
    pub(crate) max_sectors: u32,
    /// Inner segments of a command begin and end at multiples of this plus one, in bytes.
    pub(crate) virt_boundary_mask: u32,
}

impl Limits {
    /// Applies the limits to a host that has not been added yet.
    ///
    /// # Safety
    ///
    /// `host` must be valid and not added, `template` the transport's.
    pub(crate) unsafe fn apply(
        &self,
        host: *mut bindings::Scsi_Host,
        template: *mut bindings::scsi_transport_template,
    ) {
        let limits = bindings::iser_rs_host_limits {
            can_queue: self.can_queue,
            cmd_per_lun: self.cmd_per_lun,
            max_lun: self.max_lun,
            sg_tablesize: self.sg_tablesize,
            max_sectors: self.max_sectors,
            virt_boundary_mask: self.virt_boundary_mask,
        };
        // SAFETY: As the caller promises.
        unsafe { bindings::iser_rs_host_set(host, template, &limits) };
    }
}
