// SPDX-License-Identifier: GPL-2.0

//! iSCSI transports on top of libiscsi.
//!
//! A driver implements [`transport::Transport`] and keeps a [`registration::Registration`].
//! libiscsi does the protocol: it makes requests and takes responses; the driver moves them.
//!
//! C headers: [`include/scsi/libiscsi.h`](srctree/include/scsi/libiscsi.h),
//! [`include/scsi/scsi_transport_iscsi.h`](srctree/include/scsi/scsi_transport_iscsi.h)

pub(crate) mod connection;
mod connection_ops;
mod deferred;
pub(crate) mod endpoint;
pub(crate) mod error_handler;
pub(crate) mod forward;
pub(crate) mod globals;
pub(crate) mod parameter;
pub(crate) mod registration;
pub(crate) mod session;
pub(crate) mod task;
pub(crate) mod transport;
