// SPDX-License-Identifier: GPL-2.0

//! The work requests of a slot.
//!
//! Most of what they say is the same for each transfer. So they are kept with the slot, and only
//! what differs is written again.

use core::{marker::PhantomPinned, ptr};

use super::{
    completion::Tag,
    gather::{no_entries, Entries, Gather},
    post::request,
    qp::{Consumer, Inner},
    region::{Access, Region},
};
use crate::bindings;

/// A send, and the registration that may come before it.
///
/// # Invariants
///
/// The first of `entries` is the slot's header, `mr` the region of the slot. Once
/// [placed](Self::place), `self` is not moved, the send takes its bytes from `entries`, and the
/// registration leads to the send, which nothing follows.
pub(super) struct Requests {
    register: bindings::ib_reg_wr,
    send: bindings::ib_send_wr,
    entries: Entries,
    _pinned: PhantomPinned,
}

impl Requests {
    /// For a slot with that header and region.
    pub(super) fn new(header: bindings::ib_sge, region: &Region) -> Self {
        let mut entries = no_entries();
        if let Some(first) = entries.first_mut() {
            first.write(header);
        }
        // INVARIANT: As given.
        Self {
            register: bindings::ib_reg_wr {
                wr: request(bindings::ib_wr_opcode_IB_WR_REG_MR, ptr::null_mut()),
                mr: region.as_raw(),
                key: 0,
                access: 0,
            },
            send: request(bindings::ib_wr_opcode_IB_WR_SEND, ptr::null_mut()),
            entries,
            _pinned: PhantomPinned,
        }
    }

    /// Where they are now is where they stay; `plain` is what a request carries that is not signalled.
    pub(super) fn place(&mut self, plain: *mut bindings::ib_cqe) {
        // INVARIANT: As it asks for.
        self.send.sg_list = (&raw mut self.entries).cast();
        self.register.wr.next = &raw mut self.send;
        self.register.wr.__bindgen_anon_1.wr_cqe = plain;
    }

    /// What the send takes its bytes from, for a device that takes `limit` entries.
    #[inline(always)]
    pub(super) fn gather(&mut self, limit: usize) -> Gather<'_> {
        // SAFETY: By the type invariant the first one is initialised.
        unsafe { Gather::behind_header(&mut self.entries, limit) }
    }

    /// How many of the entries the send takes.
    #[inline(always)]
    pub(super) fn set_entries(&mut self, count: usize) {
        self.send.num_sge = count as i32;
    }

    /// What the registration is to allow.
    #[inline(always)]
    pub(super) fn set_registration(&mut self, rkey: u32, access: Access) {
        self.register.key = rkey;
        self.register.access = access.as_raw();
    }

    /// Has the send, the last of `count` requests, signalled by `tag`, or if one is due; returns
    /// whether it is.
    #[inline(always)]
    pub(super) fn set_signal<C: Consumer>(
        &mut self,
        inner: &Inner<C>,
        count: i32,
        tag: Option<&Tag<C>>,
    ) -> bool {
        match tag {
            Some(tag) => {
                inner.signal(&mut self.send, count, tag);
                true
            }
            None => {
                self.send.__bindgen_anon_1.wr_cqe = inner.plain_tag();
                self.send.send_flags = 0;
                inner.signal_if_due(&mut self.send, count)
            }
        }
    }

    /// The first of them; nothing comes after the send.
    #[inline(always)]
    pub(super) fn first(&mut self, registering: bool) -> *mut bindings::ib_send_wr {
        let this: *mut Self = self;
        // SAFETY: Addresses within what was just borrowed.
        unsafe {
            if registering {
                &raw mut (*this).register.wr
            } else {
                &raw mut (*this).send
            }
        }
    }
}
