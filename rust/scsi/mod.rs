// SPDX-License-Identifier: GPL-2.0

//! SCSI commands and hosts, as far as a transport deals with them.
//!
//! C headers: [`include/scsi/scsi_cmnd.h`](srctree/include/scsi/scsi_cmnd.h),
//! [`include/scsi/scsi_host.h`](srctree/include/scsi/scsi_host.h)

pub(crate) mod command;
pub(crate) mod host;
