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
    requests::Requests,
    slot::Slot,
    statistics::Poster,
    transmitter::Transmitter,
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

/// A send of what `entries` name, that carries `tag`.
#[inline(always)]
pub(super) fn send_request(
    entries: &mut [bindings::ib_sge],
    tag: *mut bindings::ib_cqe,
) -> bindings::ib_send_wr {
    bindings::ib_send_wr {
        sg_list: entries.as_mut_ptr(),
        num_sge: entries.len() as i32,
        ..request(bindings::ib_wr_opcode_IB_WR_SEND, tag)
    }
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
    pub(crate) fn send(
        &self,
        transmitter: &mut Transmitter,
        index: usize,
        payload: &[u8],
    ) -> Result {
        let inner = self.inner();
        if !transmitter.is_of(inner) {
            return Err(EINVAL);
        }
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
        let mut send = send_request(sges.get_mut(..used).ok_or(EINVAL)?, inner.plain_tag());
        if !inner.credits.reserve(1, false) {
            inner.statistics.stalled();
            return Err(EAGAIN);
        }
        let signalled = inner.signal_if_due(&mut send, 1);
        // SAFETY: One request on this stack; the header and the payload live as long as the queue
        // pair.
        unsafe { inner.submit(&raw mut send) }.inspect_err(|_| inner.credits.give_unused(1))?;
        if !signalled {
            inner.credits.posted_unsignalled(1);
        }
        inner.statistics.sent(false);
        Ok(())
    }
}

impl<C: Consumer> Inner<C> {
    /// Has `request` signalled by `tag`: its completion gives back `count` entries, with those that
    /// were posted unsignalled before.
    #[inline(always)]
    pub(super) fn signal(&self, request: &mut bindings::ib_send_wr, count: i32, tag: &Tag<C>) {
        request.__bindgen_anon_1.wr_cqe = tag.as_raw();
        request.send_flags = bindings::ib_send_flags_IB_SEND_SIGNALED;
        tag.set_credits(self.credits.take_unsignalled() + count as u64);
    }

    /// Has `request`, the last of `count` without a completion, signalled if one is due; returns
    /// whether it is. For who transmits.
    #[inline(always)]
    pub(super) fn signal_if_due(&self, request: &mut bindings::ib_send_wr, count: i32) -> bool {
        self.credits.signal_due() && self.signal_by_marker(request, count)
    }

    #[cold]
    fn signal_by_marker(&self, request: &mut bindings::ib_send_wr, count: i32) -> bool {
        let next = self.next_marker.fetch_add(1, Relaxed) as usize;
        let index = next.checked_rem(self.markers.len());
        let Some(marker) = index.and_then(|index| self.markers.get(index)) else {
            return false;
        };
        self.signal(request, count, marker);
        true
    }

    /// Posts a list of requests, whose entries must be reserved.
    ///
    /// If that fails the queue pair is of no use any more, as there was room for them: neither is
    /// what their tags would have given back.
    ///
    /// # Safety
    ///
    /// `first` must head a list of valid requests; what they name must live until they complete or
    /// the queue pair is drained.
    #[inline(always)]
    pub(super) unsafe fn submit(&self, first: *mut bindings::ib_send_wr) -> Result {
        if self.is_closing() {
            return Err(ENOTCONN);
        }
        // SAFETY: The queue pair exists; the caller vouches for the requests.
        match unsafe { bindings::iser_rs_post_send(self.qp.as_ptr(), first) } {
            0 => Ok(()),
            errno => Err(self.not_posted(errno)),
        }
    }

    #[cold]
    fn not_posted(&self, errno: i32) -> Error {
        if !self.is_closing() {
            self.consumer.failed(Failure::Post);
        }
        Error::from_errno(errno)
    }

    /// Posts the requests of a slot, whose entries are reserved: the send, and the registration before
    /// it if it is `registering`. The send is signalled by `tag`, or when one is due.
    ///
    /// # Safety
    ///
    /// They must be of a slot of `self`, filled, and not touched meanwhile; what they name must live
    /// until they complete or the queue pair is drained.
    #[inline(always)]
    pub(super) unsafe fn post_requests(
        &self,
        requests: &mut Requests,
        registering: bool,
        tag: Option<&Tag<C>>,
    ) -> Result {
        let count = 1 + i32::from(registering);
        let signalled = requests.set_signal(self, count, tag);
        // SAFETY: As the caller promises.
        unsafe { self.submit(requests.first(registering)) }?;
        if !signalled {
            self.credits.posted_unsignalled(count);
        }
        self.statistics.sent(registering);
        Ok(())
    }

    /// Posts one signalled request whose entries, `count` with older ones, are reserved.
    pub(super) fn post_signalled(
        &self,
        request: &mut bindings::ib_send_wr,
        count: i32,
        tag: &Tag<C>,
    ) -> Result {
        self.signal(request, count, tag);
        // SAFETY: A single request that names nothing but the tag, which is of this queue pair.
        unsafe { self.submit(request) }
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
        let mut send = send_request(gather.entries(), self.plain_tag());
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
