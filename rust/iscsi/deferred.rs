// SPDX-License-Identifier: GPL-2.0

//! Requests that go out when who sends them is back in user space.
//!
//! iscsiadm sends the requests of a discovery itself, and waits for the kernel's reply to each
//! netlink message. An answer of the target that is there before that reply it takes in, and does
//! not look for any more (open-iscsi 2.1.11, `__kipc_call()`): the discovery times out, crashes,
//! and leaves its session. The class replies after [`Transport::transmit_control`] has returned; so that
//! no answer can overtake the reply, the request waits until the system call is over.

use core::{marker::PhantomData, ptr::NonNull};
use kernel::{current, error::to_result, prelude::*};

use super::{
    connection::{self, Connection},
    task::TaskOps,
    transport::Transport,
};
use crate::bindings;

/// State of a task that waits for its [`Deferred`]. Each is sent once, whichever of them comes first.
const PENDING: u32 = bindings::ISCSI_TASK_PENDING;

/// A login or text request of a discovery session, to be transmitted later.
#[repr(C)]
pub(super) struct Deferred<T> {
    /// First, so that its address is that of all.
    work: kernel::bindings::callback_head,
    connection: Connection,
    _module: ModuleReference,
    _phantom: PhantomData<T>,
}

impl<T: Transport> Deferred<T> {
    /// Has `task` transmitted when the current task returns to user space. Returns whether it
    /// will be; else it is to be transmitted now, as tasks other than such requests are.
    ///
    /// # Safety
    ///
    /// `task` must be one that libiscsi wants to have transmitted, under the session's forward
    /// lock.
    #[inline]
    pub(super) unsafe fn accept(task: *mut bindings::iscsi_task) -> bool {
        // SAFETY: As required of the caller: the task has a connection, and that a session.
        unsafe {
            if (*(*task).conn).login_task != task
                || (*(*(*task).conn).session).discovery_sess == 0
                || Self::schedule((*task).conn).is_none()
            {
                return false;
            }
            Self::change_state(task, bindings::ISCSI_TASK_RUNNING, PENDING);
        }
        true
    }

    /// Changes the state of `task`, if it is `from`. Returns whether it was.
    ///
    /// # Safety
    ///
    /// `task` must be the login task of a connection, and the session's forward lock be held.
    unsafe fn change_state(task: *mut bindings::iscsi_task, from: u32, to: u32) -> bool {
        // SAFETY: As required of the caller; an answer frees a task under the back lock alone.
        unsafe {
            let session = (*(*task).conn).session;
            bindings::iser_rs_lock_back(session);
            let is_from = (*task).state as u32 == from;
            if is_from {
                (*task).state = to as i32;
            }
            bindings::iser_rs_unlock_back(session);
            is_from
        }
    }

    /// # Safety
    ///
    /// `conn` must be a connection of `T`.
    #[cold]
    unsafe fn schedule(conn: *mut bindings::iscsi_conn) -> Option<()> {
        let deferred = Self {
            work: kernel::bindings::callback_head {
                next: core::ptr::null_mut(),
                func: Some(Self::run),
            },
            // SAFETY: As required of the caller.
            connection: unsafe { Connection::new(NonNull::new(conn)?) },
            // SAFETY: As required of the caller; the owner is this module, which runs.
            _module: unsafe { ModuleReference::new((*(*(*conn).session).tt).owner)? },
            _phantom: PhantomData,
        };
        let deferred = KBox::into_raw(KBox::new(deferred, GFP_ATOMIC).ok()?);
        // SAFETY: The box stays until `run` is called, once, with the address of its first field.
        let error = unsafe {
            kernel::bindings::task_work_add(
                current!().as_ptr(),
                &raw mut (*deferred).work,
                kernel::bindings::task_work_notify_mode_TWA_RESUME,
            )
        };
        if error != 0 {
            // SAFETY: From `into_raw` above, and nobody has taken it.
            drop(unsafe { KBox::from_raw(deferred) });
            return None;
        }
        Some(())
    }

    /// # Safety
    ///
    /// Called by the kernel, with the `work` of a [`Deferred`], once.
    unsafe extern "C" fn run(work: *mut kernel::bindings::callback_head) {
        // SAFETY: As required of the caller; from `into_raw` in `schedule`.
        let deferred = KBox::into_inner(unsafe { KBox::from_raw(work.cast::<Self>()) });
        // SAFETY: It is a connection of `T`.
        unsafe { Self::transmit(&deferred.connection) };
        // The reference to the module is the last to be given back.
        drop(deferred.connection);
    }

    /// Transmits the request, unless it was given up. May not be called with libiscsi's locks.
    ///
    /// # Safety
    ///
    /// `connection` must be one of `T`.
    unsafe fn transmit(connection: &Connection) {
        let (conn, session) = (connection.raw(), connection.session());
        // SAFETY: As required of the caller. The connection is unbound, and a request given up,
        // under the lock; as long as it is bound its login task is there.
        unsafe {
            bindings::iser_rs_lock_forward(session);
            if let Some(endpoint) = connection::endpoint_locked::<T>(conn) {
                let task = (*conn).login_task;
                if Self::change_state(task, PENDING, bindings::ISCSI_TASK_RUNNING) {
                    // The task stays as it is until the connection is stopped: libiscsi has
                    // left it to the transport.
                    if let Err(error) = to_result(TaskOps::<T>::transmit_control(task)) {
                        T::not_transmitted(endpoint, error);
                    }
                }
            }
            bindings::iser_rs_unlock_forward(session);
        }
    }
}

/// Keeps a module from being unloaded.
///
/// # Invariants
///
/// `self` owns a reference to the module.
struct ModuleReference(*mut kernel::bindings::module);

impl ModuleReference {
    /// # Safety
    ///
    /// `module` must be there during the call.
    unsafe fn new(module: *mut kernel::bindings::module) -> Option<Self> {
        // SAFETY: As the caller promises.
        // INVARIANT: The reference was just taken.
        unsafe { kernel::bindings::try_module_get(module) }.then_some(Self(module))
    }
}

impl Drop for ModuleReference {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { kernel::bindings::module_put(self.0) };
    }
}

/// Waits until nobody is in the last instructions of [`Deferred::run`], after the reference to the
/// module was given back. To be called before the module goes. May sleep.
pub(super) fn wait_for_tails() {
    // SAFETY: May be called whenever one may sleep. `run` does not sleep after it has given the
    // reference back.
    unsafe { kernel::bindings::synchronize_rcu_tasks() };
}
