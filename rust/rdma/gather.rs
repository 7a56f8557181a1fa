// SPDX-License-Identifier: GPL-2.0

//! What a send takes its bytes from: scatter-gather entries.

use core::mem::MaybeUninit;
use kernel::prelude::*;

use super::{device::Device, region::RemoteKey};
use crate::{
    bindings,
    sg::{Direction, RawList},
};

/// Scatter-gather entries of a send, where the device has as many.
pub(super) const MAX_SGE: usize = 17;

/// A list that is mapped for the device; to be unmapped by [`Self::unmap`].
#[derive(Clone, Copy)]
pub(super) struct MappedList {
    pub(super) list: RawList,
    pub(super) mapped: i32,
    direction: Direction,
}

impl MappedList {
    /// # Safety
    ///
    /// The list must stay valid, and be mapped by nobody else, until it is unmapped.
    pub(super) unsafe fn map(device: &Device, list: RawList, direction: Direction) -> Result<Self> {
        // SAFETY: As the caller promises.
        let mapped = unsafe {
            bindings::iser_rs_dma_map_sg(
                device.as_raw(),
                list.head.as_ptr(),
                list.nents as i32,
                direction.as_raw(),
            )
        };
        if mapped <= 0 {
            return Err(ENOMEM);
        }
        Ok(Self {
            list,
            mapped,
            direction,
        })
    }

    /// # Safety
    ///
    /// For the device with which it was mapped, once.
    pub(super) unsafe fn unmap(self, device: &Device) {
        // SAFETY: As the caller promises.
        unsafe {
            bindings::iser_rs_dma_unmap_sg(
                device.as_raw(),
                self.list.head.as_ptr(),
                self.list.nents as i32,
                self.direction.as_raw(),
            );
        }
    }

    /// Adds to `gather` what covers `len` bytes at `offset`; returns whether it could.
    #[inline(always)]
    fn cover(&self, mut offset: usize, mut len: usize, lkey: u32, gather: &mut Gather<'_>) -> bool {
        let mut sg = self.list.head.as_ptr();
        for _ in 0..self.mapped {
            if len == 0 {
                break;
            }
            let (mut address, mut size) = (0, 0);
            // SAFETY: There are `mapped` entries in the list, and this is one of them; the result is
            // not used after the last.
            sg = unsafe { bindings::iser_rs_sg_entry(sg, &mut address, &mut size) };
            let size = size as usize;
            if offset < size {
                let take = (size - offset).min(len);
                let added = gather.push(bindings::ib_sge {
                    addr: address.wrapping_add(offset as u64),
                    length: take as u32,
                    lkey,
                });
                if !added {
                    return false;
                }
                len -= take;
                offset = 0;
            } else {
                offset -= size;
            }
        }
        len == 0
    }
}

/// Where a send takes data from.
pub(super) enum Source {
    /// The mapped segments, under the local key.
    Segments(MappedList, u32),
    /// The slot's region.
    Region(RemoteKey),
}

/// Room for the entries of one send.
pub(super) type Entries = [MaybeUninit<bindings::ib_sge>; MAX_SGE];

/// Room with nothing in it.
#[inline(always)]
pub(super) const fn no_entries() -> Entries {
    [const { MaybeUninit::uninit() }; MAX_SGE]
}

/// The entries of one send: its header, then its data.
///
/// # Invariants
///
/// The first `len` of `entries` are initialised; `len` is at most `limit`, and that `MAX_SGE`.
pub(super) struct Gather<'a> {
    entries: &'a mut Entries,
    len: usize,
    limit: usize,
}

impl<'a> Gather<'a> {
    /// With the header alone, for a device that takes `limit` entries.
    #[inline(always)]
    pub(super) fn new(entries: &'a mut Entries, header: bindings::ib_sge, limit: usize) -> Self {
        // INVARIANT: None is initialised.
        let mut gather = Self {
            entries,
            len: 0,
            limit: limit.min(MAX_SGE),
        };
        gather.push(header);
        gather
    }

    /// As [`Self::new`], with a header that is there already.
    ///
    /// # Safety
    ///
    /// The first entry must be initialised.
    #[inline(always)]
    pub(super) unsafe fn behind_header(entries: &'a mut Entries, limit: usize) -> Self {
        // INVARIANT: As the caller promises; the least limit is one.
        Self {
            entries,
            len: 1,
            limit: limit.clamp(1, MAX_SGE),
        }
    }

    /// Entries that there are.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn push(&mut self, entry: bindings::ib_sge) -> bool {
        if self.len >= self.limit {
            return false;
        }
        let Some(next) = self.entries.get_mut(self.len) else {
            return false;
        };
        next.write(entry);
        // INVARIANT: It is initialised, and there was room.
        self.len = self.len.wrapping_add(1);
        true
    }

    /// Entries that can be added.
    pub(super) fn room(&self) -> usize {
        self.limit.wrapping_sub(self.len)
    }

    /// Adds what covers `len` bytes at `offset` of the mapped segments, or nothing; returns whether
    /// it did.
    #[inline(always)]
    pub(super) fn add_segments(
        &mut self,
        data: &MappedList,
        lkey: u32,
        offset: usize,
        len: usize,
    ) -> bool {
        let before = self.len;
        let added = data.cover(offset, len, lkey, self);
        if !added {
            // INVARIANT: Fewer than there were.
            self.len = before;
        }
        added
    }

    /// Adds `len` bytes at `offset` of a region; returns whether there was room.
    #[inline(always)]
    pub(super) fn add_region(&mut self, key: &RemoteKey, offset: usize, len: usize) -> bool {
        self.push(bindings::ib_sge {
            addr: key.base.wrapping_add(offset as u64),
            length: len as u32,
            lkey: key.rkey,
        })
    }

    /// Adds `len` bytes at `offset` of `source`, or nothing; returns whether it did.
    pub(super) fn add(&mut self, source: &Source, offset: usize, len: usize) -> bool {
        match source {
            _ if len == 0 => true,
            Source::Segments(data, lkey) => self.add_segments(data, *lkey, offset, len),
            Source::Region(key) => self.add_region(key, offset, len),
        }
    }

    /// The entries, for a request that must not be posted when the room for them is gone.
    #[inline(always)]
    pub(super) fn entries(&mut self) -> &mut [bindings::ib_sge] {
        // SAFETY: By the type invariant.
        unsafe { core::slice::from_raw_parts_mut(self.entries.as_mut_ptr().cast(), self.len) }
    }
}
