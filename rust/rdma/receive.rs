// SPDX-License-Identifier: GPL-2.0

//! Receive buffers, and the messages in them.

use core::{
    cell::UnsafeCell,
    mem,
    ptr::{self, NonNull},
    slice, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        Arc,
    }, //
};

use super::{
    completion::{Purpose, Tag},
    device::ProtectionDomain,
    memory::MappedCells,
    qp::{Consumer, Inner},
};
use crate::{bindings, cells::Cells, series::EALREADY, sg::Direction};

/// Buffers that are posted with one call.
const BATCH: usize = 16;

/// What is the same each time that a buffer is posted.
///
/// # Invariants
///
/// `address` is that of a cell of the ring's with at least `sge.length` bytes.
struct Receive {
    request: bindings::ib_recv_wr,
    sge: bindings::ib_sge,
    address: NonNull<u8>,
    ring: u8,
}

/// A receive buffer, and how its completion finds it.
///
/// # Invariants
///
/// Not moved once it may be posted. `receive` belongs to the one who processes completions; until
/// it is posted for the first time, to [`Ring::post_all`].
#[repr(C)]
pub(super) struct Buffer<C: Consumer> {
    pub(super) tag: Tag<C>,
    receive: UnsafeCell<Receive>,
}

impl<C: Consumer> Buffer<C> {
    /// The buffer of a completion.
    ///
    /// # Safety
    ///
    /// `wc` must be the completion of a receive that was posted by [`Ring::post_all`] or
    /// [`Batch::post`], of a queue pair of this consumer.
    #[inline(always)]
    pub(super) unsafe fn of<'a>(wc: &bindings::ib_wc) -> &'a Self {
        // SAFETY: The tag is the first field, and its own first one is what the request carries.
        unsafe { &*wc.__bindgen_anon_1.wr_cqe.cast::<Self>() }
    }

    /// The message that has come into it.
    ///
    /// # Safety
    ///
    /// `wc` must be its completion, of the queue pair with that number.
    #[inline(always)]
    pub(super) unsafe fn message(&self, wc: &bindings::ib_wc, queue_pair: u64) -> Message {
        let receive = self.receive.get();
        let invalidated = wc.wc_flags & bindings::ib_wc_flags_IB_WC_WITH_INVALIDATE as i32 != 0;
        // SAFETY: The flag says whether this member of the union is valid; it may be read anyway.
        let key = unsafe { wc.ex.invalidate_rkey };
        // INVARIANT: It has completed, so it is not posted.
        Message {
            receive,
            // SAFETY: By the type invariant it is ours to read.
            len: wc.byte_len.min(unsafe { (*receive).sge.length }),
            invalidated: invalidated.then_some(key),
            queue_pair,
        }
    }
}

/// A received message: a buffer that belongs to the CPU until it is recycled.
///
/// Dropping it leaves the buffer unused for the rest of the connection.
///
/// # Invariants
///
/// `receive` is of a buffer of the queue pair with the number `queue_pair`, as long as that
/// lives, which is not posted, and `len` at most its length.
pub(crate) struct Message {
    receive: *mut Receive,
    len: u32,
    invalidated: Option<u32>,
    queue_pair: u64,
}

impl Message {
    /// The key that the peer says to have invalidated with this message. Not checked yet.
    #[inline(always)]
    pub(crate) fn invalidated(&self) -> Option<u32> {
        self.invalidated
    }

    /// Whether it is of the queue pair with that number.
    #[inline(always)]
    pub(super) fn is_of(&self, queue_pair: u64) -> bool {
        self.queue_pair == queue_pair
    }

    /// Which ring of the queue pair the buffer is of.
    ///
    /// # Safety
    ///
    /// The queue pair that it [is of](Self::is_of) must be there.
    #[inline(always)]
    pub(super) unsafe fn ring(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { (*self.receive).ring.into() }
    }

    /// Its bytes.
    ///
    /// # Safety
    ///
    /// As for [`Self::ring`]; it must be there as long as the bytes are borrowed.
    #[inline(always)]
    pub(super) unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: By the invariants of both types. The buffer is not posted, so neither the device
        // nor anybody else writes to it.
        unsafe { slice::from_raw_parts((*self.receive).address.as_ptr(), self.len as usize) }
    }
}

/// Buffers of one size for messages of a peer.
pub(super) struct Ring<C: Consumer> {
    memory: MappedCells,
    buffers: KVVec<Buffer<C>>,
    /// The buffers have been posted for the first time.
    posted: Atomic<bool>,
}

impl<C: Consumer> Ring<C> {
    /// More buffers than asked for, so that as many are posted even while a batch is collected.
    pub(super) const SPARE: usize = BATCH;

    /// `count` buffers for messages of up to `capacity` bytes. May sleep.
    pub(super) fn new(
        pd: Arc<ProtectionDomain>,
        ring: u8,
        count: usize,
        capacity: usize,
    ) -> Result<Self> {
        let cells = Arc::new(Cells::new(count, capacity.next_power_of_two())?, GFP_KERNEL)?;
        let memory = MappedCells::new(pd, cells, Direction::FromDevice)?;
        let mut buffers = KVVec::with_capacity(count, GFP_KERNEL)?;
        for index in 0..count {
            // INVARIANT: An entry for its cell.
            let receive = Receive {
                // SAFETY: All zeroes is a valid, empty work request.
                request: unsafe { mem::zeroed() },
                sge: memory.entry(index, capacity).ok_or(EINVAL)?,
                address: memory.cells().address(index).ok_or(EINVAL)?,
                ring,
            };
            let buffer = Buffer {
                tag: Tag::new(Purpose::Receive, index),
                receive: UnsafeCell::new(receive),
            };
            buffers.push(buffer, GFP_KERNEL)?;
        }
        Ok(Self {
            memory,
            buffers,
            posted: Atomic::new(false),
        })
    }

    /// Where the buffers are now is where they stay.
    pub(super) fn set_inner(&mut self, inner: *const Inner<C>) {
        for buffer in &mut self.buffers {
            let buffer: *mut Buffer<C> = buffer;
            // SAFETY: It is borrowed for this; by such addresses it is found from now on.
            unsafe {
                (*buffer).tag.inner = inner;
                let receive = (*buffer).receive.get();
                (*receive).request.__bindgen_anon_1.wr_cqe = buffer.cast();
                (*receive).request.sg_list = &raw mut (*receive).sge;
                (*receive).request.num_sge = 1;
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.buffers.len()
    }

    /// Lets the CPU see a message, which is of this ring.
    ///
    /// # Safety
    ///
    /// As for [`Message::ring`].
    #[inline(always)]
    pub(super) unsafe fn sync_for_cpu(&self, message: &Message) {
        // SAFETY: By the invariant of the message.
        let sge = unsafe { &(*message.receive).sge };
        self.memory.sync_for_cpu(sge, message.len);
    }

    /// Adds a message's buffer, which is of this ring, to `batch`; see [`Batch::push`].
    ///
    /// # Safety
    ///
    /// As for [`Message::ring`], for the one who processes the completions of that queue pair, with
    /// its batch.
    #[inline(always)]
    pub(super) unsafe fn recycle(&self, message: Message, batch: &mut Batch) -> bool {
        // SAFETY: By the invariant of the message, which ends with this.
        unsafe { batch.push(&self.memory, message.receive) }
    }

    /// Posts all buffers, for the first time; `adding` is told before how many with the next call.
    ///
    /// # Errors
    ///
    /// `EALREADY` if that was done before.
    ///
    /// # Safety
    ///
    /// `qp` must be live, and of the [`Inner`] that the ring is of.
    pub(super) unsafe fn post_all(
        &self,
        qp: *mut bindings::ib_qp,
        mut adding: impl FnMut(usize),
    ) -> Result {
        if self.posted.xchg(true, Relaxed) {
            return Err(EALREADY);
        }
        for buffers in self.buffers.chunks(BATCH) {
            // Of copies: a message may come and be recycled before the call has gone on.
            // SAFETY: All zeroes is a valid, empty work request.
            let mut requests: [bindings::ib_recv_wr; BATCH] = unsafe { mem::zeroed() };
            let mut next = ptr::null_mut();
            for (request, buffer) in requests.iter_mut().zip(buffers).rev() {
                // SAFETY: It has never been posted, so by its invariant it is ours to read.
                let receive = unsafe { &*buffer.receive.get() };
                self.memory.sync_for_device(&receive.sge);
                *request = receive.request;
                request.next = next;
                next = request;
            }
            adding(buffers.len());
            // SAFETY: The caller promises a live queue pair. The requests are copied by the call,
            // the buffers that they name live as long as the queue pair.
            to_result(unsafe { bindings::iser_rs_post_recv(qp, next) })?;
        }
        Ok(())
    }
}

/// Receives that wait to be posted together. Belongs to the one who processes completions.
///
/// # Invariants
///
/// `first` heads a chain of `len` requests that ends with `last`, of buffers that are not posted
/// and belong to who owns the batch; both are null if there is none.
pub(super) struct Batch {
    len: usize,
    first: *mut bindings::ib_recv_wr,
    last: *mut bindings::ib_recv_wr,
}

// SAFETY: The addresses are of buffers of the queue pair that the batch belongs to.
unsafe impl Send for Batch {}

impl Batch {
    pub(super) fn new() -> Self {
        // INVARIANT: There is none.
        Self {
            len: 0,
            first: ptr::null_mut(),
            last: ptr::null_mut(),
        }
    }

    /// Adds a buffer in `memory`; returns whether the batch is full and must be posted.
    ///
    /// # Safety
    ///
    /// `receive` must be of a buffer that is neither posted nor in a batch, and belong to the
    /// caller; it must live until it is posted and has completed, or the batch is dropped.
    #[inline(always)]
    unsafe fn push(&mut self, memory: &MappedCells, receive: *mut Receive) -> bool {
        // SAFETY: As the caller promises, and by the type invariant.
        unsafe {
            memory.sync_for_device(&(*receive).sge);
            let request = &raw mut (*receive).request;
            (*request).next = ptr::null_mut();
            if self.last.is_null() {
                self.first = request;
            } else {
                (*self.last).next = request;
            }
            // INVARIANT: It is the last, and one more.
            self.last = request;
        }
        self.len = self.len.wrapping_add(1);
        self.len >= BATCH
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Posts all that is in the batch.
    ///
    /// # Safety
    ///
    /// `qp` must be live, and of the same [`Inner`] as the rings of what was pushed.
    pub(super) unsafe fn post(&mut self, qp: *mut bindings::ib_qp) -> Result {
        // INVARIANT: There is none left.
        let Self { first, .. } = mem::replace(self, Self::new());
        if first.is_null() {
            return Ok(());
        }
        // SAFETY: The caller promises a live queue pair. By the type invariant the chain is valid;
        // the buffers that it names live as long as the queue pair.
        to_result(unsafe { bindings::iser_rs_post_recv(qp, first) })
    }
}
