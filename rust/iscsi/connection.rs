// SPDX-License-Identifier: GPL-2.0

//! Connections.

use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_char, c_int},
    prelude::*,
    sync::{Arc, ArcBorrow},
    types::ForeignOwnable, //
};

use super::{
    endpoint::EndpointOps,
    parameter::{ConnectionError, Parameter, ParameterAction},
    session,
    task::{TaskReference, HEADER_LEN},
    transport::Transport,
};
use crate::{bindings, cells::Cells};

/// What the commands of a host may look like in memory.
pub(crate) struct HostMemory {
    /// Scatter-gather entries of a command.
    pub(crate) sg_tablesize: u32,
    /// Inner entries begin and end at a boundary.
    pub(crate) has_boundary: bool,
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
    unsafe fn new(conn: NonNull<bindings::iscsi_conn>) -> Self {
        // SAFETY: As the caller promises.
        unsafe { bindings::iscsi_get_conn((*conn.as_ptr()).cls_conn) };
        Self { conn }
    }

    fn raw(&self) -> *mut bindings::iscsi_conn {
        self.conn.as_ptr()
    }

    fn session(&self) -> *mut bindings::iscsi_session {
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

    /// The target's name; empty as long as it is not known. Only while parameters cannot be set.
    pub(super) fn target_name_raw(&self) -> &[u8] {
        // SAFETY: By the type invariant; the name is a string or null.
        unsafe {
            let name = (*self.session()).targetname;
            if name.is_null() {
                &[]
            } else {
                CStr::from_char_ptr(name).to_bytes()
            }
        }
    }

    /// A copy of the target's name. To be called from [`Transport::start`].
    pub(crate) fn target_name(&self) -> Result<KVec<u8>> {
        let mut name = KVec::new();
        name.extend_from_slice(self.target_name_raw(), GFP_KERNEL)?;
        Ok(name)
    }

    /// If the target takes data that it has not asked for: most bytes of a command that are sent
    /// so, and most bytes in one PDU. To be called from [`Transport::start`].
    pub(crate) fn unsolicited_limits(&self) -> Option<(usize, usize)> {
        // SAFETY: By the type invariant.
        unsafe {
            let session = &*self.session();
            (session.initial_r2t_en == 0).then_some((
                session.first_burst as usize,
                (*self.raw()).max_xmit_dlength as usize,
            ))
        }
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
            let error = bindings::__iscsi_complete_pdu(
                self.raw(),
                header.as_ptr().cast_mut().cast(),
                data.as_ptr().cast_mut().cast(),
                data.len() as c_int,
            );
            if let Some(task) = task {
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

    /// The index of the task that a tag from the target names, if it is one of this session's.
    pub(crate) fn task_index(&self, itt: u32) -> Option<usize> {
        const INDEX: u32 = bindings::ISCSI_ITT_MASK;
        const AGE: u32 = bindings::ISCSI_AGE_MASK << bindings::ISCSI_AGE_SHIFT;
        // SAFETY: By the type invariant.
        let age = unsafe { (*self.session()).age } as u32;
        let index = (itt & INDEX) as usize;
        (itt & !(INDEX | AGE) == 0
            && (itt & AGE) >> bindings::ISCSI_AGE_SHIFT == age
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

/// The callbacks of a transport that deal with connections.
///
/// The `dd_data` of a connection is null, or a reference to the endpoint it is bound to.
pub(super) struct ConnectionOps<T>(PhantomData<T>);

impl<T: Transport> ConnectionOps<T> {
    /// # Safety
    ///
    /// `cls_conn` must be a connection of this transport.
    unsafe fn raw(cls_conn: *mut bindings::iscsi_cls_conn) -> *mut bindings::iscsi_conn {
        // SAFETY: As the caller promises; libiscsi has put it there.
        unsafe { (*cls_conn).dd_data.cast() }
    }

    /// Puts `endpoint` into `dd_data` and returns what was there.
    ///
    /// # Safety
    ///
    /// `conn` must be a connection of this transport.
    unsafe fn replace(
        conn: *mut bindings::iscsi_conn,
        endpoint: Option<Arc<T::Endpoint>>,
    ) -> Option<Arc<T::Endpoint>> {
        let new = endpoint.map_or(core::ptr::null_mut(), Arc::into_foreign);
        // SAFETY: As the caller promises; the lock is that of `endpoint_locked`.
        unsafe {
            bindings::iser_rs_lock_forward((*conn).session);
            let old = core::mem::replace(&mut (*conn).dd_data, new);
            bindings::iser_rs_unlock_forward((*conn).session);
            Arc::try_from_foreign(old)
        }
    }

    /// Ends the endpoint's connection, and unbinds it after that, so that nobody finds it unbound
    /// but not ended.
    ///
    /// # Safety
    ///
    /// `conn` must be a connection of this transport.
    unsafe fn disconnect(conn: *mut bindings::iscsi_conn) {
        // SAFETY: As the caller promises.
        unsafe {
            bindings::iser_rs_lock_forward((*conn).session);
            let endpoint: Option<Arc<T::Endpoint>> = endpoint_locked::<T>(conn).map(Arc::from);
            bindings::iser_rs_unlock_forward((*conn).session);
            if let Some(endpoint) = endpoint {
                T::disconnect(endpoint.as_arc_borrow());
                drop(Self::replace(conn, None));
            }
        }
    }

    /// # Safety
    ///
    /// Called by the transport class, with a session of this transport.
    pub(super) unsafe extern "C" fn create(
        session: *mut bindings::iscsi_cls_session,
        index: u32,
    ) -> *mut bindings::iscsi_cls_conn {
        // SAFETY: As required of the caller.
        unsafe {
            let cls_conn = bindings::iscsi_conn_setup(session, 0, index);
            if !cls_conn.is_null() {
                // What user space negotiates is about the login phase alone.
                (*Self::raw(cls_conn)).max_recv_dlength = T::MAX_RECV_DATA_SEGMENT_LENGTH;
            }
            cls_conn
        }
    }

    /// # Safety
    ///
    /// Called by the transport class, with a session and a connection of this transport.
    pub(super) unsafe extern "C" fn bind(
        session: *mut bindings::iscsi_cls_session,
        cls_conn: *mut bindings::iscsi_cls_conn,
        handle: u64,
        is_leading: c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: As required of the caller.
            let conn = NonNull::new(unsafe { Self::raw(cls_conn) }).ok_or(EINVAL)?;
            // SAFETY: As required of the caller.
            if unsafe { !(*conn.as_ptr()).dd_data.is_null() } {
                return Err(EBUSY);
            }
            // SAFETY: Any handle may be looked up.
            let ep = unsafe { bindings::iscsi_lookup_endpoint(handle) };
            if ep.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: The endpoint was just found, the connection is valid.
            let result = unsafe {
                EndpointOps::<T>::get(ep)
                    .ok_or(ENOTCONN)
                    .and_then(|endpoint| {
                        T::bind(endpoint.as_arc_borrow(), Connection::new(conn))?;
                        Ok(endpoint)
                    })
            };
            // SAFETY: From the look-up above.
            unsafe { bindings::iscsi_put_endpoint(ep) };
            // SAFETY: As required of the caller.
            unsafe {
                drop(Self::replace(conn.as_ptr(), Some(result?)));
                to_result(bindings::iscsi_conn_bind(session, cls_conn, is_leading))?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the transport class, with a connection of this transport.
    pub(super) unsafe extern "C" fn start(cls_conn: *mut bindings::iscsi_cls_conn) -> c_int {
        from_result(|| {
            // SAFETY: As required of the caller. The class lets nobody stop it meanwhile.
            unsafe {
                let conn = NonNull::new(Self::raw(cls_conn)).ok_or(EINVAL)?;
                let endpoint = (*conn.as_ptr()).dd_data;
                if endpoint.is_null() {
                    return Err(ENOTCONN);
                }
                T::start(Arc::<T::Endpoint>::borrow(endpoint), &Connection::new(conn))?;
                to_result(bindings::iscsi_conn_start(cls_conn))?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the transport class, with a connection of this transport.
    pub(super) unsafe extern "C" fn stop(cls_conn: *mut bindings::iscsi_cls_conn, flag: c_int) {
        // SAFETY: As required of the caller.
        unsafe {
            // The class has done that before, unless user space has gone astray.
            Self::disconnect(Self::raw(cls_conn));
            bindings::iscsi_conn_stop(cls_conn, flag);
        }
    }

    /// # Safety
    ///
    /// Called by the transport class, once, with a connection of this transport.
    pub(super) unsafe extern "C" fn destroy(cls_conn: *mut bindings::iscsi_cls_conn) {
        // SAFETY: As required of the caller.
        unsafe {
            Self::disconnect(Self::raw(cls_conn));
            bindings::iscsi_conn_teardown(cls_conn);
        }
    }

    /// # Safety
    ///
    /// Called by the transport class, with a connection of this transport and a string.
    pub(super) unsafe extern "C" fn set_parameter(
        cls_conn: *mut bindings::iscsi_cls_conn,
        parameter: bindings::iscsi_param,
        value: *mut c_char,
        len: c_int,
    ) -> c_int {
        let action = Parameter::from_raw(parameter).map_or(ParameterAction::Keep, |parameter| {
            // SAFETY: As required of the caller.
            let value = unsafe { CStr::from_char_ptr(value) };
            T::set_parameter(parameter, value.to_bytes())
        });
        match action {
            // SAFETY: As required of the caller.
            ParameterAction::Keep => unsafe {
                bindings::iscsi_set_param(cls_conn, parameter, value, len)
            },
            ParameterAction::Ignore => 0,
            ParameterAction::Refuse => EPROTO.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Called by the transport class, with a connection of this transport.
    pub(super) unsafe extern "C" fn statistics(
        cls_conn: *mut bindings::iscsi_cls_conn,
        stats: *mut bindings::iscsi_stats,
    ) {
        // SAFETY: As required of the caller.
        unsafe {
            let conn = &*Self::raw(cls_conn);
            let stats = &mut *stats;
            stats.txdata_octets = conn.txdata_octets;
            stats.rxdata_octets = conn.rxdata_octets;
            stats.scsicmd_pdus = conn.scsicmd_pdus_cnt;
            stats.dataout_pdus = conn.dataout_pdus_cnt;
            stats.scsirsp_pdus = conn.scsirsp_pdus_cnt;
            stats.datain_pdus = conn.datain_pdus_cnt;
            stats.r2t_pdus = conn.r2t_pdus_cnt;
            stats.tmfcmd_pdus = conn.tmfcmd_pdus_cnt;
            stats.tmfrsp_pdus = conn.tmfrsp_pdus_cnt as u32;
            stats.custom_length = 0;
        }
    }
}
