// SPDX-License-Identifier: GPL-2.0

//! What a session's forward lock guards.
//!
//! libiscsi takes the lock for whoever transmits. What the transport needs for that alone is as
//! safe under it, without a lock of its own.

use core::{cell::UnsafeCell, marker::PhantomData};
use kernel::prelude::*;

use super::connection::Connection;
use crate::bindings;

/// Shows that the forward lock of a session is held.
///
/// # Invariants
///
/// The lock of `session` is held during `'a`, and no other `Forward` of it is there.
pub(crate) struct Forward<'a> {
    session: *const bindings::iscsi_session,
    _held: PhantomData<&'a mut ()>,
}

impl Forward<'_> {
    /// # Safety
    ///
    /// The session's forward lock must be held during `'a`, by the caller, who has no other
    /// `Forward` of it.
    pub(super) unsafe fn new(session: *const bindings::iscsi_session) -> Self {
        // INVARIANT: As the caller promises.
        Self {
            session,
            _held: PhantomData,
        }
    }
}

/// A value that is only to be had under the forward lock of one session.
pub(crate) struct Guarded<T> {
    /// Only compared: it may be gone.
    session: *const bindings::iscsi_session,
    value: UnsafeCell<T>,
}

// SAFETY: The value may be sent, and the address is only compared.
unsafe impl<T: Send> Send for Guarded<T> {}
// SAFETY: The value is to be had by one at a time, see `get`.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    /// Guards `value` by the lock of the connection's session.
    pub(crate) fn new(connection: &Connection, value: T) -> Self {
        Self {
            session: connection.session(),
            value: UnsafeCell::new(value),
        }
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `forward` is of another session.
    #[inline(always)]
    pub(crate) fn get<'a>(&'a self, forward: &'a mut Forward<'_>) -> Result<&'a mut T> {
        if !core::ptr::eq(self.session, forward.session) {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariant there is one `Forward` of a session at that address at a
        // time, and it is borrowed as long as the value.
        Ok(unsafe { &mut *self.value.get() })
    }
}
