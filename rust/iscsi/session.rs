// SPDX-License-Identifier: GPL-2.0

//! Sessions, each on a SCSI host of its own.

use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    device::Device,
    error::to_result,
    prelude::*,
    sync::{Arc, ArcBorrow}, //
};

use super::{endpoint::EndpointOps, transport::Transport};
use crate::{bindings, cells::Cells, scsi::host::Limits};

/// A session that user space asks for.
pub(crate) struct NewSession<'a, T> {
    commands: u16,
    queue_depth: u16,
    initial_cmdsn: u32,
    _phantom: PhantomData<&'a T>,
}

/// A session that has been made.
pub(crate) struct Session(NonNull<bindings::iscsi_cls_session>);

impl<T: Transport> NewSession<'_, T> {
    /// Tasks that user space wants, among them those that libiscsi keeps for itself.
    pub(crate) fn commands(&self) -> u16 {
        self.commands
    }

    /// Commands for each logical unit.
    pub(crate) fn queue_depth(&self) -> u16 {
        self.queue_depth
    }

    /// Makes the session and its host. May sleep.
    pub(crate) fn create(self, limits: &Limits, parent: Option<&Device>) -> Result<Session> {
        // SAFETY: The template is valid while callbacks run.
        let host = unsafe { bindings::iscsi_host_alloc(T::globals().host_template(), 0, false) };
        if host.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: The host is new.
        unsafe { limits.apply(host, T::globals().scsi_template()) };
        let parent = parent.map_or(core::ptr::null_mut(), |parent| {
            // A `Device` is transparent.
            core::ptr::from_ref(parent).cast_mut().cast()
        });
        // SAFETY: As above; the parent is valid.
        let added = to_result(unsafe { bindings::iscsi_host_add(host, parent) });
        if let Err(error) = added {
            // SAFETY: Not added, so ours to free.
            unsafe { bindings::iscsi_host_free(host) };
            return Err(error);
        }
        // SAFETY: The host is added.
        unsafe { self.create_on(host, limits) }.inspect_err(|_| {
            // SAFETY: There is no session on it.
            unsafe {
                bindings::iscsi_host_remove(host, false);
                bindings::iscsi_host_free(host);
            }
        })
    }

    /// # Safety
    ///
    /// `host` must be added, and without a session.
    unsafe fn create_on(self, host: *mut bindings::Scsi_Host, limits: &Limits) -> Result<Session> {
        // SAFETY: The host and the transport are valid.
        let session = unsafe {
            bindings::iscsi_session_setup(
                T::globals().transport(),
                host,
                limits.can_queue as u16,
                core::mem::size_of::<Own<T>>() as i32,
                0,
                self.initial_cmdsn,
                0,
            )
        };
        let session = NonNull::new(session).ok_or(ENOMEM)?;
        // SAFETY: The session was just made, with zeroed data of its own.
        unsafe {
            let tasks = (*libiscsi(session.as_ptr())).cmds_max as usize;
            let cell = (T::HEADER_PREFIX + core::mem::size_of::<bindings::iscsi_hdr>())
                .next_power_of_two();
            let headers =
                Cells::new(tasks, cell).and_then(|cells| Ok(Arc::new(cells, GFP_KERNEL)?));
            match headers.and_then(|headers| Ok((headers, T::session_data()?))) {
                Ok((headers, data)) => {
                    let own = own::<T>(session.as_ptr());
                    (*own).headers = Arc::into_raw(headers);
                    (*own).data = Arc::into_raw(data);
                }
                Err(error) => {
                    bindings::iscsi_session_teardown(session.as_ptr());
                    return Err(error);
                }
            }
        }
        Ok(Session(session))
    }
}

/// libiscsi's part of a session.
///
/// # Safety
///
/// `session` must be one that `iscsi_session_setup` has made.
pub(super) unsafe fn libiscsi(
    session: *mut bindings::iscsi_cls_session,
) -> *mut bindings::iscsi_session {
    // SAFETY: As the caller promises.
    unsafe { bindings::iser_rs_session_libiscsi(session) }
}

/// What a session of `T` has in its memory: from `Arc::into_raw`, null while it is being made.
#[repr(C)]
struct Own<T: Transport> {
    /// First, as [`headers`] finds it without knowing the rest.
    headers: *const Cells,
    data: *const T::SessionData,
}

/// # Safety
///
/// `session` must be one that [`NewSession::create`] makes or has made, for `T`.
unsafe fn own<T: Transport>(session: *mut bindings::iscsi_cls_session) -> *mut Own<T> {
    // SAFETY: As the caller promises.
    unsafe { (*libiscsi(session)).dd_data.cast() }
}

/// What the transport keeps of a session.
///
/// # Safety
///
/// `session` must be one that [`NewSession::create`] has made for `T`, and not be destroyed during
/// the call.
pub(super) unsafe fn data<T: Transport>(
    session: *mut bindings::iscsi_cls_session,
) -> Arc<T::SessionData> {
    // SAFETY: As the caller promises; the session keeps the `Arc` that this address is of.
    unsafe { ArcBorrow::from_raw((*own::<T>(session)).data) }.into()
}

/// The headers of a session's tasks.
///
/// # Safety
///
/// `session` must be one that [`NewSession::create`] has made, and not be destroyed during `'a`.
pub(super) unsafe fn headers<'a>(session: *mut bindings::iscsi_session) -> Option<&'a Cells> {
    // SAFETY: As the caller promises; the slot keeps a reference.
    unsafe { (*session).dd_data.cast::<*const Cells>().read().as_ref() }
}

/// The callbacks of a transport that deal with sessions.
pub(super) struct SessionOps<T>(PhantomData<T>);

impl<T: Transport> SessionOps<T> {
    /// # Safety
    ///
    /// Called by the transport class, with an endpoint of this transport or null.
    pub(super) unsafe extern "C" fn create(
        ep: *mut bindings::iscsi_endpoint,
        commands: u16,
        queue_depth: u16,
        initial_cmdsn: u32,
    ) -> *mut bindings::iscsi_cls_session {
        let endpoint = if ep.is_null() {
            None
        } else {
            // SAFETY: As required of the caller.
            match unsafe { EndpointOps::<T>::get(ep) } {
                Some(endpoint) => Some(endpoint),
                None => return core::ptr::null_mut(),
            }
        };
        let new = NewSession::<'_, T> {
            commands,
            queue_depth,
            initial_cmdsn,
            _phantom: PhantomData,
        };
        let endpoint = endpoint.as_ref().map(Arc::as_arc_borrow);
        T::create_session(endpoint, new).map_or(core::ptr::null_mut(), |session| session.0.as_ptr())
    }

    /// # Safety
    ///
    /// Called by the transport class, once, for a session without connections.
    pub(super) unsafe extern "C" fn destroy(session: *mut bindings::iscsi_cls_session) {
        // SAFETY: As required of the caller: nobody uses the session's tasks any more, so their
        // headers can go after them.
        unsafe {
            let host = bindings::iser_rs_session_to_host(session);
            bindings::iscsi_session_remove(session);
            bindings::iscsi_host_remove(host, false);
            // A connection that somebody still holds must not find them.
            let Own { headers, data } = own::<T>(session).read();
            (*own::<T>(session)).headers = core::ptr::null();
            drop(Arc::from_raw(headers));
            drop(Arc::from_raw(data));
            // With the session goes its hold on the module, so this comes last.
            bindings::iscsi_session_free(session);
            bindings::iscsi_host_free(host);
        }
    }
}
