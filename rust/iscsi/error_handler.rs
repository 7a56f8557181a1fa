// SPDX-License-Identifier: GPL-2.0

//! The SCSI error handlers of a transport.
//!
//! libiscsi's handlers report success when the target has answered. That says nothing of the
//! memory: so these let the transport end the target's access to the data of every task that
//! libiscsi has ended, before the midlayer gives the memory to somebody else.

use core::marker::PhantomData;
use kernel::{
    ffi::c_int,
    sync::{Arc, ArcBorrow},
    time::{delay::fsleep, Delta}, //
};

use super::{connection, transport::Transport};
use crate::bindings;

/// How long a completion may take to give a command back.
const GIVE_BACK_STEPS: usize = 5000;
const GIVE_BACK_STEP: Delta = Delta::from_millis(1);

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

    /// Whether a command that libiscsi has ended is still on its way back to the midlayer.
    ///
    /// # Safety
    ///
    /// `session` must be valid.
    unsafe fn is_giving_back(session: *mut bindings::iscsi_session) -> bool {
        // SAFETY: As the caller promises; a task is freed, and forgets its command, under the
        // lock.
        unsafe {
            bindings::iser_rs_lock_back(session);
            let found = (0..(*session).cmds_max as usize).any(|index| {
                let task = *(*session).cmds.add(index);
                let state = (*task).state as u32;
                !(*task).sc.is_null()
                    && state != bindings::ISCSI_TASK_FREE
                    && state != bindings::ISCSI_TASK_PENDING
                    && state != bindings::ISCSI_TASK_RUNNING
            });
            bindings::iser_rs_unlock_back(session);
            found
        }
    }

    /// Lets nothing be left of the tasks that libiscsi has ended.
    ///
    /// # Safety
    ///
    /// `session` must be one of this transport, and outlive the call.
    unsafe fn fence(session: *mut bindings::iscsi_session) {
        // SAFETY: As the caller promises.
        let Some(endpoint) = (unsafe { Self::endpoint(session) }) else {
            return;
        };
        T::fence(endpoint.as_arc_borrow(), |index| {
            // SAFETY: As the caller promises.
            unsafe { Self::is_ended(session, index) }
        });
        // The last of it may be done by a completion right now. Until that is through, the
        // midlayer must not use the command for something else.
        for _ in 0..GIVE_BACK_STEPS {
            // SAFETY: As the caller promises.
            if !unsafe { Self::is_giving_back(session) } {
                return;
            }
            fsleep(GIVE_BACK_STEP);
        }
        T::give_up(endpoint.as_arc_borrow());
    }

    /// Waits for a command whose response has come, but has not been given back yet. Returns
    /// whether that has happened.
    ///
    /// # Safety
    ///
    /// `sc` must be a command of `session`, a session of this transport.
    unsafe fn finishes(
        session: *mut bindings::iscsi_session,
        sc: *mut bindings::scsi_cmnd,
    ) -> bool {
        // SAFETY: As the caller promises.
        let Some(endpoint) = (unsafe { Self::endpoint(session) }) else {
            return false;
        };
        for _ in 0..GIVE_BACK_STEPS {
            // SAFETY: As the caller promises; the lock guards the command's task.
            let index = unsafe {
                bindings::iser_rs_lock_back(session);
                let task = bindings::iser_rs_task_of_command(sc);
                let index = (!task.is_null()).then(|| (*task).itt as usize);
                bindings::iser_rs_unlock_back(session);
                index
            };
            match index {
                None => return true,
                Some(index) if T::is_finishing(endpoint.as_arc_borrow(), index) => {
                    fsleep(GIVE_BACK_STEP);
                }
                Some(_) => return false,
            }
        }
        false
    }

    /// # Safety
    ///
    /// Called by the midlayer, with a command of a session of this transport.
    pub(super) unsafe extern "C" fn abort(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As required of the caller; sessions outlive the handling of their commands.
        unsafe {
            let session = bindings::iser_rs_session_of_command(sc);
            let result = bindings::iscsi_eh_abort(sc);
            if result == SUCCESS {
                Self::fence(session);
            } else if Self::finishes(session, sc) {
                // The target did not know the command any more, as it had answered it.
                return SUCCESS;
            }
            result
        }
    }

    /// # Safety
    ///
    /// As for [`Self::abort`].
    pub(super) unsafe extern "C" fn device_reset(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As in `abort`.
        unsafe {
            let session = bindings::iser_rs_session_of_command(sc);
            let result = bindings::iscsi_eh_device_reset(sc);
            if result == SUCCESS {
                Self::fence(session);
            }
            result
        }
    }

    /// # Safety
    ///
    /// As for [`Self::abort`].
    pub(super) unsafe extern "C" fn target_reset(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As in `abort`.
        unsafe {
            let session = bindings::iser_rs_session_of_command(sc);
            let endpoint = Self::endpoint(session);
            let result = bindings::iscsi_eh_recover_target(sc);
            if result == SUCCESS {
                Self::fence(session);
            } else if let Some(endpoint) = endpoint {
                // The midlayer gives up, and the memory back: nothing may be left.
                T::give_up(endpoint.as_arc_borrow());
            }
            result
        }
    }
}
