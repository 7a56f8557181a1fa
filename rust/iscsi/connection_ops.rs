// SPDX-License-Identifier: GPL-2.0

//! What the transport class asks of connections.

use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_char, c_int},
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};

use super::{
    connection::{endpoint_locked, Connection},
    endpoint::EndpointOps,
    parameter::{Parameter, ParameterAction},
    session,
    transport::Transport,
};
use crate::{
    bindings,
    series::{ENOTCONN, EPROTO},
};

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

    /// The endpoint that `conn` is bound to.
    ///
    /// # Safety
    ///
    /// `conn` must be a connection of this transport.
    unsafe fn endpoint(conn: *mut bindings::iscsi_conn) -> Option<Arc<T::Endpoint>> {
        // SAFETY: As the caller promises; the lock is that of `endpoint_locked`.
        unsafe {
            bindings::iser_rs_lock_forward((*conn).session);
            let endpoint: Option<Arc<T::Endpoint>> = endpoint_locked::<T>(conn).map(Arc::from);
            bindings::iser_rs_unlock_forward((*conn).session);
            endpoint
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
            if let Some(endpoint) = Self::endpoint(conn) {
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
                        let data = session::data::<T>(session);
                        T::bind(endpoint.as_arc_borrow(), Connection::new(conn), data)
                            // Not bound, so nobody else would end it with the connection.
                            .inspect_err(|_| T::disconnect(endpoint.as_arc_borrow()))?;
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
            let (value, endpoint) = unsafe {
                let endpoint = Self::endpoint(Self::raw(cls_conn));
                (CStr::from_char_ptr(value), endpoint)
            };
            let endpoint = endpoint.as_ref().map(Arc::as_arc_borrow);
            T::set_parameter(endpoint, parameter, value.to_bytes())
        });
        if parameter == bindings::iscsi_param_ISCSI_PARAM_TARGET_NAME {
            // SAFETY: As required of the caller.
            unsafe {
                if let Some(endpoint) = Self::endpoint(Self::raw(cls_conn)) {
                    let name = CStr::from_char_ptr(value).to_bytes();
                    T::named(endpoint.as_arc_borrow(), name);
                }
            }
        }
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
