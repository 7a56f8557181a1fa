// SPDX-License-Identifier: GPL-2.0

//! How work requests are posted.

use core::ptr;
use kernel::{
    prelude::*,
    sync::atomic::ordering::Relaxed, //
};

use super::{
    completion::Tag,
    gather::{no_entries, Gather, Source},
    qp::{Consumer, Failure, Inner, QueuePair},
    slot::Slot,
    statistics::Poster,
};
use crate::{bindings, series::ENOTCONN};

/// A work request that carries `tag`, and nothing else yet.
#[inline(always)]
pub(super) fn request(
    opcode: bindings::ib_wr_opcode,
    tag: *mut bindings::ib_cqe,
) -> bindings::ib_send_wr {
    bindings::ib_send_wr {
        next: ptr::null_mut(),
        __bindgen_anon_1: bindings::ib_send_wr__bindgen_ty_1 { wr_cqe: tag },
        sg_list: ptr::null_mut(),
        num_sge: 0,
        opcode,
        send_flags: 0,
        ex: bindings::ib_send_wr__bindgen_ty_2 { imm_data: 0 },
    }
}

/// A send of what `entries` name; its tag is up to [`Inner::post_chain`].
#[inline(always)]
pub(super) fn send_request(entries: &mut [bindings::ib_sge]) -> bindings::ib_send_wr {
    bindings::ib_send_wr {
        sg_list: entries.as_mut_ptr(),
        num_sge: entries.len() as i32,
        ..request(bindings::ib_wr_opcode_IB_WR_SEND, ptr::null_mut())
    }
}

/// Error of [`Inner::post_chain`].
pub(super) struct PostError {
    pub(super) errno: Error,
    /// Not even the first request of the chain was taken.
    pub(super) nothing_posted: bool,
}

/// A message that follows the request of a transfer, with some of its data.
pub(crate) struct FollowUp<const N: usize> {
    /// Its header.
    pub(crate) header: [u8; N],
    /// First byte of the data, from the start of the transfer's data.
    pub(crate) offset: usize,
    /// Bytes of data.
    pub(crate) len: usize,
}

impl<C: Consumer> QueuePair<C> {
    /// Posts all buffers of ring `ring`.
    ///
    /// # Errors
    ///
    /// `EALREADY` if that was done before.
    pub(crate) fn post_receives(&self, ring: usize) -> Result {
        let inner = self.inner();
        let ring = inner.exchange()?.rings.get(ring).ok_or(EINVAL)?;
        let adding = |count| {
            (0..count).for_each(|_| inner.statistics.receive_added());
            inner.statistics.receives_added();
        };
        // SAFETY: The queue pair and the ring are those of `inner`.
        unsafe { ring.post_all(inner.qp.as_ptr(), adding) }
    }

    /// Sends the header of slot `index` without using the slot, and `payload` after it.
    ///
    /// There is one buffer for payloads: the peer must have answered the last one.
    pub(crate) fn send(&self, index: usize, payload: &[u8]) -> Result {
        let inner = self.inner();
        let exchange = inner.exchange()?;
        let header = exchange
            .headers
            .entry(index, exchange.header_len)
            .ok_or(EINVAL)?;
        let data = exchange.payload.entry(0, payload.len()).ok_or(EINVAL)?;
        if !exchange.payload.cells().write(0, 0, payload) {
            return Err(E2BIG);
        }
        exchange.headers.sync_for_device(&header);
        exchange.payload.sync_for_device(&data);
        let mut sges = [header, data];
        let used = if payload.is_empty() { 1 } else { 2 };
        let mut send = send_request(sges.get_mut(..used).ok_or(EINVAL)?);
        if !inner.credits.reserve(1, false) {
            inner.statistics.stalled();
            return Err(EAGAIN);
        }
        let send = &raw mut send;
        // SAFETY: One request on this stack; the header and the payload live as long as the queue
        // pair.
        unsafe { inner.post_chain(send, send, 1, None) }.map_err(|error| {
            inner.credits.give_unused(1);
            error.errno
        })?;
        inner.statistics.sent(false);
        Ok(())
    }
}

impl<C: Consumer> Inner<C> {
    /// Posts a chain of `count` requests, all unsignalled but the last, which is signalled if it
    /// has a tag of its own. Their entries must be reserved.
    ///
    /// # Safety
    ///
    /// `first` must head a chain of valid requests that ends with `last`; what they name must
    /// live until they complete or the queue pair is drained.
    #[inline(always)]
    pub(super) unsafe fn post_chain(
        &self,
        first: *mut bindings::ib_send_wr,
        last: *mut bindings::ib_send_wr,
        count: i32,
        tag: Option<&Tag<C>>,
    ) -> core::result::Result<(), PostError> {
        let tag = tag.or_else(|| {
            if !self.credits.signal_due() {
                return None;
            }
            let next = self.next_marker.fetch_add(1, Relaxed) as usize;
            self.markers.get(next.checked_rem(self.markers.len())?)
        });
        // SAFETY: The caller promises a valid request.
        unsafe {
            (*last).__bindgen_anon_1.wr_cqe = tag.unwrap_or(&self.plain).as_raw();
            if let Some(tag) = tag {
                (*last).send_flags = bindings::ib_send_flags_IB_SEND_SIGNALED;
                tag.set_credits(self.credits.take_unsignalled() + count as u64);
            }
        }
        let mut bad: *const bindings::ib_send_wr = first;
        let errno = if self.is_closing() {
            ENOTCONN.to_errno()
        } else {
            // SAFETY: The queue pair exists; the caller vouches for the requests.
            unsafe { bindings::iser_rs_post_send(self.qp.as_ptr(), first, &mut bad) }
        };
        if errno == 0 {
            if tag.is_none() {
                self.credits.posted_unsignalled(count);
            }
            return Ok(());
        }
        Err(self.post_failed(errno, core::ptr::eq(bad, first)))
    }

    /// There was room for what was not posted, so the queue pair is of no use any more: neither is
    /// what its tag would have given back.
    #[cold]
    fn post_failed(&self, errno: i32, nothing_posted: bool) -> PostError {
        if !self.is_closing() {
            self.consumer.failed(Failure::Post);
        }
        PostError {
            errno: Error::from_errno(errno),
            nothing_posted,
        }
    }

    /// Posts one signalled request whose entries, `count` with older ones, are reserved.
    pub(super) fn post_signalled(
        &self,
        request: &mut bindings::ib_send_wr,
        count: i32,
        tag: &Tag<C>,
    ) -> Result {
        let request: *mut bindings::ib_send_wr = request;
        // SAFETY: A single request that names nothing but the tag, which is of this queue pair.
        unsafe { self.post_chain(request, request, count, Some(tag)) }.map_err(|error| error.errno)
    }

    /// Posts a message that follows the request in slot `index`.
    pub(super) fn post_follow_up<const N: usize>(
        &self,
        index: usize,
        source: &Source,
        follow_up: &FollowUp<N>,
    ) -> Result {
        let (header, tag) = self
            .follow_ups()?
            .next(index as u32, &follow_up.header)
            .ok_or(EINVAL)?;
        let mut entries = no_entries();
        let mut gather = Gather::new(&mut entries, header, self.max_send_sge());
        if !gather.add(source, follow_up.offset, follow_up.len) {
            return Err(EINVAL);
        }
        let mut send = send_request(gather.entries());
        self.post_signalled(&mut send, 1, tag)?;
        self.statistics.sent(false);
        Ok(())
    }

    /// Ends the peer's access to a slot whose fence waits for that from now on.
    pub(super) fn invalidate(&self, slot: &Slot<C>, by: Poster) {
        match slot.post_invalidate(self) {
            Ok(()) => self.statistics.invalidating(by),
            // The slot stays as it is until the queue pair is drained.
            Err(_) => self.consumer.failed(Failure::Post),
        }
    }
}

/// Entries of the send queue and follow-up headers, given back when dropped unused.
pub(super) struct Room<'a, C: Consumer> {
    inner: &'a Inner<C>,
    entries: i32,
    headers: i32,
}

impl<'a, C: Consumer> Room<'a, C> {
    #[inline(always)]
    pub(super) fn reserve(
        inner: &'a Inner<C>,
        entries: i32,
        headers: i32,
        command: bool,
    ) -> Result<Self> {
        if !inner.credits.reserve(entries, command) {
            inner.statistics.stalled();
            return Err(EAGAIN);
        }
        let enough = headers == 0
            || inner
                .follow_ups()
                .is_ok_and(|follow_ups| follow_ups.reserve(headers));
        if !enough {
            inner.credits.give_unused(entries);
            inner.statistics.stalled();
            return Err(EAGAIN);
        }
        Ok(Self {
            inner,
            entries,
            headers,
        })
    }

    pub(super) fn used(self) {
        core::mem::forget(self);
    }
}

impl<C: Consumer> Drop for Room<'_, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.inner.give_back(self.entries, self.headers);
    }
}

impl<C: Consumer> Inner<C> {
    #[cold]
    fn give_back(&self, entries: i32, headers: i32) {
        self.credits.give_unused(entries);
        if let Ok(follow_ups) = self.follow_ups() {
            follow_ups.give(headers);
        }
    }
}
