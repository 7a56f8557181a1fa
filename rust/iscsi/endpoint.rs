// SPDX-License-Identifier: GPL-2.0

//! Endpoints: connections to a portal, before and while a session uses them.

use kernel::{
    error::from_result,
    ffi::{c_char, c_int},
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};

use super::transport::Transport;
use crate::{addr::SockAddr, bindings, series::ENOTCONN};

/// The callbacks of a transport that deal with endpoints.
///
/// Each endpoint is in a list of the module's from `connect` until it is disconnected, with data
/// from `Arc::<T::Endpoint>::into_foreign`; the lock of the list guards that. An endpoint does not
/// hold the module: one that user space has forgotten ends with the registration.
pub(super) struct EndpointOps<T>(core::marker::PhantomData<T>);

impl<T: Transport> EndpointOps<T> {
    /// The connection of an endpoint, unless it is disconnected. A handle may be found a little
    /// longer than its endpoint is used.
    ///
    /// # Safety
    ///
    /// `ep` must be an endpoint of this transport.
    pub(super) unsafe fn get(ep: *mut bindings::iscsi_endpoint) -> Option<Arc<T::Endpoint>> {
        // SAFETY: As the caller promises; what is there stays until the lock is released.
        unsafe {
            bindings::iser_rs_lock_endpoints();
            let data = bindings::iser_rs_endpoint_data(ep);
            let endpoint = (!data.is_null()).then(|| Arc::<T::Endpoint>::borrow(data).into());
            bindings::iser_rs_unlock_endpoints();
            endpoint
        }
    }

    /// # Safety
    ///
    /// Called by the transport class, with an address of at least the size of its family.
    pub(super) unsafe extern "C" fn connect(
        _host: *mut bindings::Scsi_Host,
        address: *mut bindings::sockaddr,
        non_blocking: c_int,
    ) -> *mut bindings::iscsi_endpoint {
        // SAFETY: As required of the caller.
        let result = unsafe { SockAddr::from_raw(address.cast()) }
            .and_then(|address| Self::try_connect(address, non_blocking != 0));
        match result {
            Ok(ep) => ep,
            Err(error) => error.to_ptr(),
        }
    }

    fn try_connect(address: SockAddr, non_blocking: bool) -> Result<*mut bindings::iscsi_endpoint> {
        // SAFETY: May be called at any time.
        let ep = unsafe { bindings::iser_rs_create_endpoint() };
        if ep.is_null() {
            pr_err!("{address}: cannot connect, no memory\n");
            return Err(ENOMEM);
        }
        match T::connect(address, non_blocking) {
            Ok(endpoint) => {
                // SAFETY: The endpoint is ours until user space gets its handle.
                unsafe { bindings::iser_rs_endpoint_add(ep, endpoint.into_foreign()) };
                Ok(ep)
            }
            Err(error) => {
                // SAFETY: Just created.
                unsafe { bindings::iscsi_destroy_endpoint(ep) };
                Err(error)
            }
        }
    }

    /// # Safety
    ///
    /// Called by the transport class, with an endpoint of this transport.
    pub(super) unsafe extern "C" fn poll(
        ep: *mut bindings::iscsi_endpoint,
        timeout_ms: c_int,
    ) -> c_int {
        // SAFETY: As required of the caller.
        let endpoint = unsafe { Self::get(ep) };
        from_result(|| {
            let endpoint = endpoint.ok_or(ENOTCONN)?;
            T::poll(endpoint.as_arc_borrow(), timeout_ms).map(c_int::from)
        })
    }

    /// # Safety
    ///
    /// Called by the transport class, once, with an endpoint of this transport.
    pub(super) unsafe extern "C" fn disconnect(ep: *mut bindings::iscsi_endpoint) {
        // SAFETY: As required of the caller.
        unsafe { Self::end(ep) };
    }

    /// # Safety
    ///
    /// `ep` must be an endpoint of this transport, and not be used after this.
    unsafe fn end(ep: *mut bindings::iscsi_endpoint) {
        // SAFETY: From `connect`; whoever looks for it after this finds nothing.
        let endpoint =
            unsafe { Arc::<T::Endpoint>::try_from_foreign(bindings::iser_rs_endpoint_take(ep)) };
        if let Some(endpoint) = endpoint {
            T::disconnect(endpoint.as_arc_borrow());
        }
        // SAFETY: As the caller promises.
        unsafe { bindings::iscsi_destroy_endpoint(ep) };
    }

    /// Ends the endpoints that user space has left behind. May sleep.
    ///
    /// # Safety
    ///
    /// The transport must be unregistered: nobody makes endpoints, or ends them.
    pub(super) unsafe fn end_all() {
        loop {
            // SAFETY: As the caller promises, what is found stays.
            let ep = unsafe { bindings::iser_rs_endpoint_first() };
            if ep.is_null() {
                return;
            }
            // SAFETY: As the caller promises.
            unsafe { Self::end(ep) };
        }
    }

    /// # Safety
    ///
    /// Called by the transport class, with an endpoint of this transport and a page.
    pub(super) unsafe extern "C" fn get_parameter(
        ep: *mut bindings::iscsi_endpoint,
        parameter: bindings::iscsi_param,
        buffer: *mut c_char,
    ) -> c_int {
        match parameter {
            bindings::iscsi_param_ISCSI_PARAM_CONN_PORT
            | bindings::iscsi_param_ISCSI_PARAM_CONN_ADDRESS => {
                // SAFETY: As required of the caller.
                let Some(endpoint) = (unsafe { Self::get(ep) }) else {
                    return ENOTCONN.to_errno();
                };
                let address = T::address(&endpoint).as_ptr().cast_mut();
                // SAFETY: The address is only read, the buffer is the caller's.
                unsafe { bindings::iscsi_conn_get_addr_param(address, parameter, buffer) }
            }
            _ => ENOSYS_RAW,
        }
    }
}

/// `-ENOSYS`, which the class expects for what a transport does not have.
pub(super) const ENOSYS_RAW: c_int = -38;
