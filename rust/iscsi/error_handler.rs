// SPDX-License-Identifier: GPL-2.0

//! The SCSI error handlers of a transport.
//!
//! libiscsi's handlers report success when the target has answered. That says nothing of the
//! memory: so these let the transport end the target's access to the data of every task that
//! libiscsi has ended, before the midlayer gives the memory to somebody else.

use core::marker::PhantomData;
use kernel::{
    ffi::c_int,
    sync::{Arc, ArcBorrow}, //
};

use super::{connection, transport::Transport};
use crate::bindings;

const SUCCESS: c_int = bindings::scsi_disposition_SUCCESS as c_int;

/// The handlers of `T`.
pub(super) struct ErrorHandler<T>(PhantomData<T>);

impl<T: Transport> ErrorHandler<T> {
    /// The endpoint of the session's leading connection.
    ///
    /// # Safety
    ///
    /// `session` must be one of this transport.
    unsafe fn endpoint(session: *mut bindings::iscsi_session) -> Option<Arc<T::Endpoint>> {
        // SAFETY: As the caller promises; the lock guards what is read.
        unsafe {
            bindings::iser_rs_lock_forward(session);
            let conn = (*session).leadconn;
            let endpoint: Option<ArcBorrow<'_, T::Endpoint>> = if conn.is_null() {
                None
            } else {
                connection::endpoint_locked::<T>(conn)
            };
            let endpoint = endpoint.map(Arc::from);
            bindings::iser_rs_unlock_forward(session);
            endpoint
        }
    }

    /// Whether libiscsi has ended task `index`.
    ///
    /// # Safety
    ///
    /// `session` must be valid.
    unsafe fn is_ended(session: *mut bindings::iscsi_session, index: usize) -> bool {
        // SAFETY: As the caller promises; the tasks are there as long as the session.
        unsafe {
            if index >= (*session).cmds_max as usize {
                return false;
            }
            let task = *(*session).cmds.add(index);
            let state = (&raw const (*task).state).read_volatile() as u32;
            state != bindings::ISCSI_TASK_PENDING && state != bindings::ISCSI_TASK_RUNNING
        }
    }

    /// # Safety
    ///
    /// `sc` must be a command of a session of this transport.
    unsafe fn fence(sc: *mut bindings::scsi_cmnd) {
        // SAFETY: As the caller promises; sessions outlive the error handling of their commands.
        unsafe {
            let session = bindings::iser_rs_session_of_command(sc);
            if let Some(endpoint) = Self::endpoint(session) {
                T::fence(endpoint.as_arc_borrow(), |index| {
                    Self::is_ended(session, index)
                });
            }
        }
    }

    /// # Safety
    ///
    /// Called by the midlayer, with a command of a session of this transport.
    pub(super) unsafe extern "C" fn abort(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As required of the caller.
        unsafe {
            let result = bindings::iscsi_eh_abort(sc);
            if result == SUCCESS {
                Self::fence(sc);
            }
            result
        }
    }

    /// # Safety
    ///
    /// As for [`Self::abort`].
    pub(super) unsafe extern "C" fn device_reset(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As required of the caller.
        unsafe {
            let result = bindings::iscsi_eh_device_reset(sc);
            if result == SUCCESS {
                Self::fence(sc);
            }
            result
        }
    }

    /// # Safety
    ///
    /// As for [`Self::abort`].
    pub(super) unsafe extern "C" fn target_reset(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As required of the caller.
        unsafe {
            let result = bindings::iscsi_eh_recover_target(sc);
            if result == SUCCESS {
                Self::fence(sc);
            } else if let Some(endpoint) = Self::endpoint(bindings::iser_rs_session_of_command(sc))
            {
                // The midlayer gives up, and the memory back: nothing may be left.
                T::disconnect(endpoint.as_arc_borrow());
            }
            result
        }
    }
}
