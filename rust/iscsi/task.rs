// SPDX-License-Identifier: GPL-2.0

//! Tasks: what libiscsi wants to have transmitted.

use core::{cell::Cell, marker::PhantomData, ptr::NonNull};
use kernel::{
    ffi::c_int,
    prelude::*,
    sync::ArcBorrow, //
};

use super::{
    connection,
    deferred::Deferred,
    forward::Forward,
    session,
    transport::Transport, //
};
use crate::{
    bindings,
    scsi::command::Command,
    series::ENOTCONN,
    sg::{ListOwner, RawList},
};

/// Bytes of a PDU's header.
pub(crate) const HEADER_LEN: usize = core::mem::size_of::<bindings::iscsi_hdr>();

/// A task that is to be transmitted; borrowed from libiscsi.
pub(crate) struct Task<'a> {
    task: NonNull<bindings::iscsi_task>,
    prefix: usize,
    /// The reference that libiscsi leaves to the transport has been taken.
    taken: &'a Cell<bool>,
}

impl Task<'_> {
    fn raw(&self) -> &bindings::iscsi_task {
        // SAFETY: libiscsi lends the task, and changes nothing that is read here meanwhile.
        unsafe { self.task.as_ref() }
    }

    /// Index of the task in its session, below the number of tasks.
    pub(crate) fn index(&self) -> usize {
        self.raw().itt as usize
    }

    /// The tag by which the target knows it.
    pub(crate) fn itt(&self) -> u32 {
        // SAFETY: The task has a header.
        unsafe { (&raw const (*self.raw().hdr).itt).read_unaligned() }
    }

    /// The PDU's header.
    pub(crate) fn header(&self) -> [u8; HEADER_LEN] {
        // SAFETY: `alloc_pdu` has given the task this much.
        unsafe { self.raw().hdr.cast::<[u8; HEADER_LEN]>().read() }
    }

    /// Fills what stands before the header.
    pub(crate) fn set_prefix<const N: usize>(&mut self, prefix: &[u8; N]) {
        if N == self.prefix {
            // SAFETY: `alloc_pdu` has left this much before the header.
            unsafe { self.raw().hdr.byte_sub(N).cast::<[u8; N]>().write(*prefix) };
        }
    }

    /// The SCSI command, if this is one.
    pub(crate) fn command(&self) -> Option<&Command> {
        let sc = self.raw().sc;
        // SAFETY: A command stays with its task until the task is freed.
        (!sc.is_null()).then(|| unsafe { Command::from_raw(sc) })
    }

    /// No response will come, so the task is to be given back when it has been sent.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.command().is_none() && self.itt() == u32::MAX
    }

    /// Bytes of data to go with the command.
    pub(crate) fn immediate_len(&self) -> usize {
        self.raw().imm_count as usize
    }

    /// Bytes of a write's data to be sent unsolicited, after the immediate ones.
    pub(crate) fn unsolicited_len(&self) -> usize {
        let r2t = &self.raw().unsol_r2t;
        r2t.data_length.saturating_sub(r2t.sent as u32) as usize
    }

    /// Most bytes of data in a PDU to the target.
    pub(crate) fn max_data_segment(&self) -> usize {
        // SAFETY: The task has a connection.
        unsafe { (*self.raw().conn).max_xmit_dlength as usize }
    }

    /// Makes the header of the next unsolicited Data-Out PDU; returns it with the offset and
    /// length of its data.
    pub(crate) fn next_data_out(&mut self) -> ([u8; HEADER_LEN], usize, usize) {
        let mut header = [0u8; HEADER_LEN];
        let task = self.task.as_ptr();
        // SAFETY: The task is libiscsi's to change in this call, `header` has the size of the
        // `iscsi_data` that is written.
        unsafe {
            let r2t = &raw mut (*task).unsol_r2t;
            let offset = (*r2t).data_offset as usize + (*r2t).sent as usize;
            let mut data: bindings::iscsi_data = core::mem::zeroed();
            bindings::iscsi_prep_data_out_pdu(task, r2t, &mut data);
            (*r2t).sent += (*r2t).data_count;
            header
                .as_mut_ptr()
                .cast::<bindings::iscsi_data>()
                .write_unaligned(data);
            (header, offset, (*r2t).data_count as usize)
        }
    }

    /// The payload of a login or text request.
    pub(crate) fn payload(&self) -> &[u8] {
        let task = self.raw();
        if task.data_count == 0 || task.data.is_null() {
            return &[];
        }
        // SAFETY: libiscsi has put so many bytes there.
        unsafe { core::slice::from_raw_parts(task.data.cast(), task.data_count as usize) }
    }

    /// A reference that keeps the task, and a command's data, from being given back.
    pub(crate) fn hold(&self) -> Option<TaskReference> {
        // SAFETY: The task is valid.
        unsafe { bindings::iscsi_get_task(self.task.as_ptr()) }.then_some(TaskReference(self.task))
    }

    /// The reference that libiscsi leaves to the transport with an unanswered task.
    ///
    /// Whatever becomes of it then, to libiscsi it was transmitted.
    pub(crate) fn into_unanswered(self) -> Option<TaskReference> {
        self.is_unanswered().then(|| {
            self.taken.set(true);
            // INVARIANT: libiscsi does not give it back, as it is told of no error.
            TaskReference(self.task)
        })
    }
}

/// A reference to a task, given back when dropped, in any context.
///
/// # Invariants
///
/// `self` owns one count of the task's.
pub(crate) struct TaskReference(NonNull<bindings::iscsi_task>);

// SAFETY: Tasks are counted atomically, and may be given back by any thread.
unsafe impl Send for TaskReference {}

impl TaskReference {
    /// Lets the response alone say what is left over: an error handler that has ended the command
    /// before, but could not give it back yet, has set that all is.
    ///
    /// # Safety
    ///
    /// The task must be of a SCSI command, and the session's back lock be held.
    pub(super) unsafe fn forget_residual(&self) {
        // SAFETY: By the type invariant the task is there, and a command stays with it; its
        // result is changed under the lock.
        unsafe { (*(*self.0.as_ptr()).sc).resid_len = 0 };
    }

    pub(super) fn into_raw(self) -> *mut bindings::iscsi_task {
        core::mem::ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for TaskReference {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::iscsi_put_task(self.0.as_ptr()) };
    }
}

// SAFETY: A command is not given back to the midlayer before its task is freed, and its list
// belongs to it until then.
unsafe impl ListOwner for TaskReference {
    fn list(&self) -> Option<RawList> {
        // SAFETY: By the type invariant the task is valid, and keeps its command.
        unsafe {
            let sc = (*self.0.as_ptr()).sc;
            if sc.is_null() {
                None
            } else {
                Command::from_raw(sc).data()
            }
        }
    }
}

/// The callbacks of a transport that deal with tasks.
pub(super) struct TaskOps<T>(PhantomData<T>);

impl<T: Transport> TaskOps<T> {
    /// Gives a task its header.
    ///
    /// # Safety
    ///
    /// Called by libiscsi, with a task of a session of this transport.
    pub(super) unsafe extern "C" fn alloc_pdu(
        task: *mut bindings::iscsi_task,
        _opcode: u8,
    ) -> c_int {
        // SAFETY: As required of the caller; the session outlives its tasks.
        unsafe {
            let cells = session::headers((*(*task).conn).session);
            let Some(cell) = cells.and_then(|cells| cells.address((*task).itt as usize)) else {
                return ENOMEM.to_errno();
            };
            (*task).hdr = cell.as_ptr().add(T::HEADER_PREFIX).cast();
            (*task).hdr_max = HEADER_LEN as u16;
        }
        0
    }

    /// # Safety
    ///
    /// Called by libiscsi.
    pub(super) unsafe extern "C" fn init(_task: *mut bindings::iscsi_task) -> c_int {
        0
    }

    /// # Safety
    ///
    /// Called by libiscsi, under the session's forward lock, with a task of this transport.
    pub(super) unsafe extern "C" fn transmit(task: *mut bindings::iscsi_task) -> c_int {
        // SAFETY: As required of the caller.
        unsafe {
            if !(*task).sc.is_null() {
                Self::transmit_by(task, T::transmit_command)
            } else if Deferred::<T>::accept(task) {
                0
            } else {
                Self::transmit_control(task)
            }
        }
    }

    /// # Safety
    ///
    /// As of [`Self::transmit`].
    pub(super) unsafe fn transmit_control(task: *mut bindings::iscsi_task) -> c_int {
        // SAFETY: As required of the caller.
        unsafe { Self::transmit_by(task, T::transmit_control) }
    }

    /// # Safety
    ///
    /// As of [`Self::transmit`].
    #[inline(always)]
    unsafe fn transmit_by(
        task: *mut bindings::iscsi_task,
        transmit: impl FnOnce(ArcBorrow<'_, T::Endpoint>, Task<'_>, &mut Forward<'_>) -> Result,
    ) -> c_int {
        // SAFETY: As required of the caller, who has lent the lock to this call alone.
        let (endpoint, mut forward) = unsafe {
            let conn = (*task).conn;
            let endpoint: Option<ArcBorrow<'_, T::Endpoint>> =
                connection::endpoint_locked::<T>(conn);
            (endpoint, Forward::new((*conn).session))
        };
        let Some((endpoint, task)) = endpoint.zip(NonNull::new(task)) else {
            return ENOTCONN.to_errno();
        };
        let taken = Cell::new(false);
        let task = Task {
            task,
            prefix: T::HEADER_PREFIX,
            taken: &taken,
        };
        match transmit(endpoint, task, &mut forward) {
            // libiscsi would give the reference back once more.
            Err(error) if !taken.get() => error.to_errno(),
            _ => 0,
        }
    }

    /// Nothing: who holds data of the task for a peer holds the task.
    ///
    /// # Safety
    ///
    /// Called by libiscsi.
    pub(super) unsafe extern "C" fn cleanup(_task: *mut bindings::iscsi_task) {}
}
