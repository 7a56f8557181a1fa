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

/// An error handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handler {
    /// Of one command.
    Abort,
    /// Of a logical unit.
    DeviceReset,
    /// Of a target, or of its session.
    TargetReset,
}

/// How far an error handler is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// It begins.
    Begun,
    /// libiscsi has succeeded, by the target's answer. The memory is next.
    Answered,
    /// The target has not done it, for which libiscsi has given up the connection.
    GaveUp,
    /// It has succeeded.
    Succeeded,
    /// It has failed.
    Failed,
}

/// What an error handler has got to.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// Which one.
    pub(crate) handler: Handler,
    /// How far it is.
    pub(crate) progress: Progress,
    /// The task of the command that it is for, while there is one.
    pub(crate) task: Option<usize>,
}

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

    /// Index of the task of `sc`, if it has one still.
    ///
    /// # Safety
    ///
    /// `sc` must be a command of `session`, a session of this transport.
    unsafe fn task_of(
        session: *mut bindings::iscsi_session,
        sc: *mut bindings::scsi_cmnd,
    ) -> Option<usize> {
        // SAFETY: As the caller promises; the lock guards the command's task.
        unsafe {
            bindings::iser_rs_lock_back(session);
            let task = bindings::iser_rs_task_of_command(sc);
            let index = (!task.is_null()).then(|| (*task).itt as usize);
            bindings::iser_rs_unlock_back(session);
            index
        }
    }

    /// Tells the transport how far `handler` is, which began when the session had `endpoint`.
    ///
    /// # Safety
    ///
    /// As for [`Self::task_of`].
    unsafe fn tell(
        endpoint: Option<&Arc<T::Endpoint>>,
        session: *mut bindings::iscsi_session,
        sc: *mut bindings::scsi_cmnd,
        handler: Handler,
        progress: Progress,
    ) {
        if let Some(endpoint) = endpoint {
            let step = Step {
                handler,
                progress,
                // SAFETY: As the caller promises.
                task: unsafe { Self::task_of(session, sc) },
            };
            T::error_handling(endpoint.as_arc_borrow(), step);
        }
    }

    /// What libiscsi takes the session for.
    ///
    /// # Safety
    ///
    /// `session` must be valid.
    unsafe fn state(session: *mut bindings::iscsi_session) -> u32 {
        // SAFETY: As the caller promises; the lock guards what is read.
        unsafe {
            bindings::iser_rs_lock_forward(session);
            let state = (*session).state as u32;
            bindings::iser_rs_unlock_forward(session);
            state
        }
    }

    /// Whether a session that was logged in by `endpoint` has lost that connection, and is not to end.
    ///
    /// # Safety
    ///
    /// `session` must be one of this transport.
    unsafe fn has_lost(
        session: *mut bindings::iscsi_session,
        endpoint: Option<&Arc<T::Endpoint>>,
    ) -> bool {
        // SAFETY: As the caller promises.
        let (state, now) = unsafe { (Self::state(session), Self::endpoint(session)) };
        match state {
            bindings::ISCSI_STATE_LOGGED_IN => now
                .zip(endpoint)
                .is_some_and(|(now, then)| !Arc::ptr_eq(&now, then)),
            bindings::ISCSI_STATE_FAILED
            | bindings::ISCSI_STATE_IN_RECOVERY
            | bindings::ISCSI_STATE_RECOVERY_FAILED => true,
            _ => false,
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
    /// `session` must be valid; its tasks need not be there any more.
    unsafe fn is_giving_back(session: *mut bindings::iscsi_session) -> bool {
        // SAFETY: As the caller promises. Tasks are there as long as there is a connection, which
        // is taken away under the forward lock; one is freed, and forgets its command, under the
        // back lock.
        unsafe {
            bindings::iser_rs_lock_forward(session);
            bindings::iser_rs_lock_back(session);
            let tasks = if (*session).leadconn.is_null() {
                0
            } else {
                (*session).cmds_max as usize
            };
            let found = (0..tasks).any(|index| {
                let task = *(*session).cmds.add(index);
                let state = (*task).state as u32;
                !(*task).sc.is_null()
                    && state != bindings::ISCSI_TASK_FREE
                    && state != bindings::ISCSI_TASK_PENDING
                    && state != bindings::ISCSI_TASK_RUNNING
            });
            bindings::iser_rs_unlock_back(session);
            bindings::iser_rs_unlock_forward(session);
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
                let index = (!task.is_null()).then(|| {
                    let sent = (*task).state as u32 != bindings::ISCSI_TASK_PENDING;
                    sent.then_some((*task).itt as usize)
                });
                bindings::iser_rs_unlock_back(session);
                index
            };
            match index {
                None => return true,
                Some(Some(index)) if T::is_finishing(endpoint.as_arc_borrow(), index) => {
                    fsleep(GIVE_BACK_STEP);
                }
                Some(_) => return false,
            }
        }
        false
    }

    /// Lets libiscsi's handler do its part, and fences what it has ended.
    ///
    /// # Safety
    ///
    /// `sc` must be a command of a session of this transport that the midlayer handles errors of,
    /// and `libiscsi` the handler for it.
    unsafe fn handle(
        handler: Handler,
        sc: *mut bindings::scsi_cmnd,
        libiscsi: unsafe extern "C" fn(*mut bindings::scsi_cmnd) -> c_int,
    ) -> c_int {
        // SAFETY: As the caller promises; sessions outlive the handling of their commands.
        unsafe {
            let session = bindings::iser_rs_session_of_command(sc);
            let endpoint = Self::endpoint(session);
            let tell = |progress| Self::tell(endpoint.as_ref(), session, sc, handler, progress);
            let was_up = Self::state(session) == bindings::ISCSI_STATE_LOGGED_IN;
            tell(Progress::Begun);
            let mut result = libiscsi(sc);
            let lost = Self::has_lost(session, endpoint.as_ref());
            if lost && was_up {
                tell(Progress::GaveUp);
            }
            if result == SUCCESS {
                if !lost {
                    tell(Progress::Answered);
                }
                Self::fence(session);
            } else if handler == Handler::Abort && Self::finishes(session, sc) {
                // The target did not know the command any more, as it had answered it.
                result = SUCCESS;
            } else if let (Handler::TargetReset, Some(endpoint)) = (handler, &endpoint) {
                // The midlayer gives up, and the memory back: nothing may be left.
                T::give_up(endpoint.as_arc_borrow());
            }
            let progress = if result == SUCCESS {
                Progress::Succeeded
            } else {
                Progress::Failed
            };
            tell(progress);
            result
        }
    }

    /// # Safety
    ///
    /// Called by the midlayer, with a command of a session of this transport.
    pub(super) unsafe extern "C" fn abort(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As required of the caller.
        unsafe { Self::handle(Handler::Abort, sc, bindings::iscsi_eh_abort) }
    }

    /// # Safety
    ///
    /// As for [`Self::abort`].
    pub(super) unsafe extern "C" fn device_reset(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As required of the caller.
        unsafe { Self::handle(Handler::DeviceReset, sc, bindings::iscsi_eh_device_reset) }
    }

    /// # Safety
    ///
    /// As for [`Self::abort`].
    pub(super) unsafe extern "C" fn target_reset(sc: *mut bindings::scsi_cmnd) -> c_int {
        // SAFETY: As required of the caller.
        unsafe { Self::handle(Handler::TargetReset, sc, bindings::iscsi_eh_recover_target) }
    }
}
