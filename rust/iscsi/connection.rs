// SPDX-License-Identifier: GPL-2.0

//! Connections.

use core::ptr::NonNull;
use kernel::{
    ffi::c_int,
    prelude::*,
    sync::{Arc, ArcBorrow},
    types::ForeignOwnable, //
};

use super::{
    parameter::ConnectionError,
    session,
    task::{TaskReference, HEADER_LEN},
    transport::Transport,
};
use crate::{bindings, cells::Cells, series::ENOTCONN};

/// What the commands of a host may look like in memory.
pub(crate) struct HostMemory {
    /// Scatter-gather entries of a command.
    pub(crate) sg_tablesize: u32,
    /// Inner entries begin and end at a boundary.
    pub(crate) has_boundary: bool,
}

/// The numbers by which user space knows a connection.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    /// Of the host: `/sys/class/scsi_host/host<N>`.
    pub(crate) host: u32,
    /// Of the session: `/sys/class/iscsi_session/session<N>`.
    pub(crate) session: u32,
    /// Of the connection in its session.
    pub(crate) connection: u32,
}

/// What was negotiated at login; before that, what is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Negotiated {
    /// A command may bring data with it.
    pub(crate) immediate_data: bool,
    /// The target wants to ask for all other data.
    pub(crate) initial_r2t: bool,
    /// Most bytes of a command that are sent unasked.
    pub(crate) first_burst: u32,
    /// Most bytes of data in a PDU to the target.
    pub(crate) max_data_segment: u32,
}

/// A connection, held by a reference to its class device.
///
/// # Invariants
///
/// `conn` is valid, and `self` owns a reference to its `cls_conn`, whose device holds that of the
/// session.
pub(crate) struct Connection {
    conn: NonNull<bindings::iscsi_conn>,
}

// SAFETY: libiscsi locks what it needs.
unsafe impl Send for Connection {}
// SAFETY: As above.
unsafe impl Sync for Connection {}

impl Connection {
    /// # Safety
    ///
    /// `conn` must be valid.
    pub(super) unsafe fn new(conn: NonNull<bindings::iscsi_conn>) -> Self {
        // SAFETY: As the caller promises.
        unsafe { bindings::iscsi_get_conn((*conn.as_ptr()).cls_conn) };
        Self { conn }
    }

    pub(super) fn raw(&self) -> *mut bindings::iscsi_conn {
        self.conn.as_ptr()
    }

    pub(super) fn session(&self) -> *mut bindings::iscsi_session {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw()).session }
    }

    /// Number of tasks of the session.
    pub(crate) fn tasks(&self) -> usize {
        // SAFETY: By the type invariant; it never changes.
        unsafe { (*self.session()).cmds_max as usize }
    }

    /// The headers of the session's tasks, each in the cell of the task's index.
    pub(crate) fn headers(&self) -> Result<Arc<Cells>> {
        // SAFETY: The session was made by this transport; it is there as the connection is bound.
        let cells = unsafe { session::headers(self.session()) }.ok_or(ENOTCONN)?;
        // SAFETY: The session keeps the `Arc` that this address is of.
        Ok(unsafe { ArcBorrow::from_raw(cells) }.into())
    }

    /// What the commands of the session's host may look like.
    pub(crate) fn host_memory(&self) -> HostMemory {
        let (mut sg_tablesize, mut boundary) = (0, 0);
        // SAFETY: By the type invariant; the host outlives the session.
        unsafe {
            bindings::iser_rs_host_memory((*self.session()).host, &mut sg_tablesize, &mut boundary);
        }
        HostMemory {
            sg_tablesize,
            has_boundary: boundary != 0,
        }
    }

    /// The session only asks for the names of targets.
    pub(crate) fn is_discovery(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { (*self.session()).discovery_sess != 0 }
    }

    /// The numbers by which user space knows it.
    pub(crate) fn ids(&self) -> Ids {
        // SAFETY: By the type invariant; the numbers never change.
        unsafe {
            let session = (*self.session()).cls_session;
            Ids {
                host: bindings::iser_rs_session_host_number(session),
                session: bindings::iser_rs_session_number(session),
                connection: (*self.raw()).id as u32,
            }
        }
    }

    /// The tag by which the target knows task `index`; [`Self::task_index`] is the way back.
    pub(crate) fn tag(&self, index: usize) -> u32 {
        index as u32 & bindings::ISCSI_ITT_MASK | self.age() << bindings::ISCSI_AGE_SHIFT
    }

    fn age(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe {
            (&raw const (*self.session()).age).read_volatile() as u32 & bindings::ISCSI_AGE_MASK
        }
    }

    /// What was negotiated.
    pub(crate) fn negotiated(&self) -> Negotiated {
        // SAFETY: By the type invariant; whatever is read is valid, if perhaps about to change.
        unsafe {
            let (session, conn) = (self.session(), self.raw());
            Negotiated {
                immediate_data: (&raw const (*session).imm_data_en).read_volatile() != 0,
                initial_r2t: (&raw const (*session).initial_r2t_en).read_volatile() != 0,
                first_burst: (&raw const (*session).first_burst).read_volatile(),
                max_data_segment: (&raw const (*conn).max_xmit_dlength).read_volatile(),
            }
        }
    }

    /// If the target takes data that it has not asked for: most bytes of a command that are sent
    /// so, and most bytes in one PDU. To be called from [`Transport::start`].
    pub(crate) fn unsolicited_limits(&self) -> Option<(usize, usize)> {
        let negotiated = self.negotiated();
        (!negotiated.initial_r2t).then_some((
            negotiated.first_burst as usize,
            negotiated.max_data_segment as usize,
        ))
    }

    /// The connection is broken. Not with libiscsi's locks held; else in any context.
    pub(crate) fn fail(&self, error: ConnectionError) {
        // SAFETY: By the type invariant.
        unsafe { bindings::iscsi_conn_failure(self.raw(), error as u32) };
    }

    /// Hands in a PDU of the target, as a response to `task` if there is one. Softirq.
    ///
    /// # Errors
    ///
    /// An `ISCSI_ERR_*` if the PDU does not fit.
    #[inline(always)]
    pub(crate) fn complete(
        &self,
        header: &[u8; HEADER_LEN],
        data: &[u8],
        task: Option<TaskReference>,
    ) -> core::result::Result<(), u32> {
        let session = self.session();
        // SAFETY: By the type invariant. libiscsi does not write to header and data; the task's
        // reference is given back under the lock that this demands.
        let error = unsafe {
            bindings::iser_rs_lock_back(session);
            let acknowledged = (*self.raw()).exp_statsn;
            if let Some(task) = &task {
                task.forget_residual();
            }
            let error = bindings::__iscsi_complete_pdu(
                self.raw(),
                header.as_ptr().cast_mut().cast(),
                data.as_ptr().cast_mut().cast(),
                data.len() as c_int,
            );
            if let Some(task) = task {
                // Others may have been acknowledged while this one was fenced off.
                let now = &raw mut (*self.raw()).exp_statsn;
                if (now.read().wrapping_sub(acknowledged) as i32) < 0 {
                    now.write(acknowledged);
                }
                bindings::__iscsi_put_task(task.into_raw());
            }
            bindings::iser_rs_unlock_back(session);
            error
        };
        // A task management function may have ended the command in the meantime.
        if error == 0 || error as u32 == bindings::iscsi_err_ISCSI_ERR_NO_SCSI_CMD {
            Ok(())
        } else {
            Err(error as u32)
        }
    }

    /// Hands in the response to a login or text request. Softirq, without libiscsi's locks.
    ///
    /// User space may answer it with the next request at once, for which libiscsi has the same
    /// task; but it hands the response out before it frees the task, and would refuse the request.
    /// So who sends waits until both are done.
    ///
    /// # Errors
    ///
    /// As of [`Self::complete`].
    pub(crate) fn complete_negotiation(
        &self,
        header: &[u8; HEADER_LEN],
        data: &[u8],
    ) -> core::result::Result<(), u32> {
        // SAFETY: By the type invariant. The forward lock is the outer one, and for these responses
        // libiscsi does not take it itself.
        unsafe { bindings::iser_rs_lock_forward(self.session()) };
        let result = self.complete(header, data, None);
        // SAFETY: By the type invariant; taken above.
        unsafe { bindings::iser_rs_unlock_forward(self.session()) };
        result
    }

    /// The index of the task that a tag from the target names, if it is one of this session's.
    pub(crate) fn task_index(&self, itt: u32) -> Option<usize> {
        const INDEX: u32 = bindings::ISCSI_ITT_MASK;
        const AGE: u32 = bindings::ISCSI_AGE_MASK << bindings::ISCSI_AGE_SHIFT;
        let index = (itt & INDEX) as usize;
        (itt & !(INDEX | AGE) == 0
            && (itt & AGE) >> bindings::ISCSI_AGE_SHIFT == self.age()
            && index < self.tasks())
        .then_some(index)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::iscsi_put_conn((*self.raw()).cls_conn) };
    }
}

/// The endpoint that a connection is bound to.
///
/// # Safety
///
/// `conn` must be a connection of `T`, and the session's forward lock be held during `'a`.
pub(super) unsafe fn endpoint_locked<'a, T: Transport>(
    conn: *mut bindings::iscsi_conn,
) -> Option<ArcBorrow<'a, T::Endpoint>> {
    // SAFETY: `dd_data` is only changed under the lock.
    let endpoint = unsafe { (*conn).dd_data };
    // SAFETY: From `into_foreign` in `bind`; taken back under the lock.
    (!endpoint.is_null()).then(|| unsafe { Arc::<T::Endpoint>::borrow(endpoint) })
}
