// SPDX-License-Identifier: GPL-2.0

//! Connections by the RDMA connection manager, from the active side.
//!
//! C header: [`include/rdma/rdma_cm.h`](srctree/include/rdma/rdma_cm.h)

use core::ptr::NonNull;
use kernel::{
    error::{from_err_ptr, to_result},
    prelude::*,
    sync::{Arc, ArcBorrow},
    types::ForeignOwnable, //
};

use super::device::Device;
use crate::{addr::SockAddr, bindings};

/// What happened to a connection.
pub(crate) enum Event<'a> {
    /// The address is resolved and the device known; resolve the route next.
    AddressResolved,
    /// The route is resolved; make a queue pair and connect next.
    RouteResolved,
    /// The peer accepted, with this private data.
    Established(&'a [u8]),
    /// The address or the route could not be resolved, or the peer cannot be reached.
    Unreachable(Error),
    /// The peer refused.
    Rejected(&'static CStr),
    /// The connection is gone, or its address has moved.
    Disconnected(&'static CStr),
    /// The device goes away: everything that uses it must be dropped soon.
    DeviceRemoval,
    /// Something else, of no consequence.
    Other,
}

/// Receives the events of a [`CmId`].
pub(crate) trait Handler: Send + Sync + 'static {
    /// Called in process context, for one event at a time. May sleep, must not drop the last
    /// reference to the id.
    fn event(this: ArcBorrow<'_, Self>, token: &HandlerContext, event: Event<'_>);
}

/// Proof that the caller runs in [`Handler::event`], as [`CmId::connect`] demands; and what the
/// connection manager itself says of the event.
pub(crate) struct HandlerContext {
    /// Its name of the event.
    pub(crate) name: &'static CStr,
    /// The status that comes with it: 0, a negative error number, or the peer's reason.
    pub(crate) status: i32,
}

/// What to ask of the peer.
pub(crate) struct ConnectParameters<'a> {
    /// Handed to the peer.
    pub(crate) private_data: &'a [u8],
    /// RDMA reads that the peer may have outstanding.
    pub(crate) responder_resources: u8,
}

/// An identifier of the connection manager, a `struct rdma_cm_id`.
///
/// # Invariants
///
/// `id` is live; its context came from `ForeignOwnable::into_foreign` of an `Arc` that
/// `drop_context` releases.
pub(crate) struct CmId {
    id: NonNull<bindings::rdma_cm_id>,
    drop_context: unsafe fn(*mut kernel::ffi::c_void),
}

// SAFETY: The connection manager may be called from any thread.
unsafe impl Send for CmId {}
// SAFETY: The connection manager locks what it needs.
unsafe impl Sync for CmId {}

impl CmId {
    /// Makes an id whose events go to `handler`. May sleep.
    pub(crate) fn new<H: Handler>(handler: Arc<H>) -> Result<Self> {
        let context = handler.into_foreign();
        // SAFETY: `callback::<H>` takes the context that is passed here.
        let id = unsafe {
            from_err_ptr(bindings::iser_rs_create_id(
                Some(Self::callback::<H>),
                context,
            ))
        };
        let id = id.and_then(|id| NonNull::new(id).ok_or(ENOMEM));
        match id {
            // INVARIANT: The id is new and has this context.
            Ok(id) => Ok(Self {
                id,
                drop_context: Self::drop_context::<H>,
            }),
            Err(error) => {
                // SAFETY: From `into_foreign` above, seen by nobody else.
                unsafe { Self::drop_context::<H>(context) };
                Err(error)
            }
        }
    }

    /// # Safety
    ///
    /// `context` must come from `Arc::<H>::into_foreign`, and not be used any more.
    unsafe fn drop_context<H: Handler>(context: *mut kernel::ffi::c_void) {
        // SAFETY: As the caller promises.
        drop(unsafe { Arc::<H>::from_foreign(context) });
    }

    /// # Safety
    ///
    /// Called by the connection manager alone, with a live id made by `new::<H>`.
    unsafe extern "C" fn callback<H: Handler>(
        id: *mut bindings::rdma_cm_id,
        event: *mut bindings::rdma_cm_event,
    ) -> kernel::ffi::c_int {
        // SAFETY: The id is live, so its context has not been dropped.
        let handler = unsafe { Arc::<H>::borrow(bindings::iser_rs_id_context(id)) };
        // SAFETY: The connection manager passes a valid event.
        let event = unsafe { &*event };
        let context = HandlerContext {
            // SAFETY: Returns a string constant for any value.
            name: unsafe { CStr::from_char_ptr(bindings::rdma_event_msg(event.event)) },
            status: event.status,
        };
        // SAFETY: It is an event of this id.
        let event = unsafe { Self::translate(id, event, context.name) };
        H::event(handler, &context, event);
        // Never ask the connection manager to destroy the id: its owner does that, and removal of
        // the device waits for it.
        0
    }

    /// # Safety
    ///
    /// `event` must be one of `id`.
    unsafe fn translate<'a>(
        id: *mut bindings::rdma_cm_id,
        event: &'a bindings::rdma_cm_event,
        name: &'static CStr,
    ) -> Event<'a> {
        let status = event.status;
        let error = || Error::from_errno(if status < 0 { status } else { -110 });
        match event.event {
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ADDR_RESOLVED => Event::AddressResolved,
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ROUTE_RESOLVED => Event::RouteResolved,
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ESTABLISHED => {
                // SAFETY: This event carries connection parameters, whose private data has the
                // length given, or is null.
                Event::Established(unsafe {
                    let conn = &event.param.conn;
                    if conn.private_data.is_null() {
                        &[]
                    } else {
                        core::slice::from_raw_parts(
                            conn.private_data.cast(),
                            conn.private_data_len.into(),
                        )
                    }
                })
            }
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ADDR_ERROR
            | bindings::rdma_cm_event_type_RDMA_CM_EVENT_ROUTE_ERROR
            | bindings::rdma_cm_event_type_RDMA_CM_EVENT_CONNECT_ERROR
            | bindings::rdma_cm_event_type_RDMA_CM_EVENT_UNREACHABLE => Event::Unreachable(error()),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_REJECTED => {
                // SAFETY: The id is valid; a string constant is returned for any status.
                Event::Rejected(unsafe {
                    CStr::from_char_ptr(bindings::rdma_reject_msg(id, status))
                })
            }
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_DISCONNECTED
            | bindings::rdma_cm_event_type_RDMA_CM_EVENT_ADDR_CHANGE
            | bindings::rdma_cm_event_type_RDMA_CM_EVENT_TIMEWAIT_EXIT => Event::Disconnected(name),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_DEVICE_REMOVAL => Event::DeviceRemoval,
            _ => Event::Other,
        }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::rdma_cm_id {
        self.id.as_ptr()
    }

    pub(super) fn raw_device(&self) -> *mut bindings::ib_device {
        // SAFETY: By the type invariant.
        unsafe { bindings::iser_rs_id_device(self.as_raw()) }
    }

    /// The device, once the address is resolved. It stays registered as long as `self` lives.
    pub(crate) fn device(&self) -> Option<&Device> {
        let device = self.raw_device();
        // SAFETY: A device that an id is bound to waits for that id in its removal.
        (!device.is_null()).then(|| unsafe { Device::from_raw(device) })
    }

    /// The device's port, and the address on this side, once the address is resolved.
    pub(crate) fn port(&self) -> (u32, Option<SockAddr>) {
        // SAFETY: By the type invariant; the address is part of the id.
        unsafe {
            let source = bindings::iser_rs_id_source(self.as_raw());
            let port = bindings::iser_rs_id_port(self.as_raw());
            (port, SockAddr::from_raw(source.cast()).ok())
        }
    }

    /// Starts to resolve `address`; the answer is an event.
    pub(crate) fn resolve_address(&self, address: &SockAddr, timeout_ms: usize) -> Result {
        // SAFETY: The id is live, the address is copied.
        to_result(unsafe {
            bindings::rdma_resolve_addr(
                self.as_raw(),
                core::ptr::null_mut(),
                address.as_ptr().cast(),
                timeout_ms,
            )
        })
    }

    /// Starts to resolve the route; the answer is an event.
    pub(crate) fn resolve_route(&self, timeout_ms: usize) -> Result {
        // SAFETY: The id is live.
        to_result(unsafe { bindings::rdma_resolve_route(self.as_raw(), timeout_ms) })
    }

    /// Asks the peer for a connection; the answer is an event.
    pub(crate) fn connect(&self, _: &HandlerContext, ask: &ConnectParameters<'_>) -> Result {
        // SAFETY: All zeroes is valid.
        let mut param: bindings::rdma_conn_param = unsafe { core::mem::zeroed() };
        param.private_data = ask.private_data.as_ptr().cast();
        param.private_data_len = ask.private_data.len().try_into()?;
        param.responder_resources = ask.responder_resources;
        // This side only sends.
        param.initiator_depth = 1;
        // As often as the three bits of each allow: 7 is for ever for receiver not ready.
        param.retry_count = 7;
        param.rnr_retry_count = 6;
        // SAFETY: The id is live, its handler mutex is held in the handler, the data is copied.
        to_result(unsafe { bindings::rdma_connect_locked(self.as_raw(), &mut param) })
    }

    /// Starts to disconnect, and moves the queue pair to the error state. May sleep.
    ///
    /// # Errors
    ///
    /// If there is no connection.
    pub(crate) fn disconnect(&self) -> Result {
        // SAFETY: The id is live.
        to_result(unsafe { bindings::rdma_disconnect(self.as_raw()) })
    }
}

impl Drop for CmId {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        let context = unsafe { bindings::iser_rs_id_context(self.as_raw()) };
        // SAFETY: Nobody else has the id. This waits for a running handler and lets no other
        // start, so the context is ours afterwards.
        unsafe { bindings::rdma_destroy_id(self.as_raw()) };
        // SAFETY: By the type invariant.
        unsafe { (self.drop_context)(context) };
    }
}
