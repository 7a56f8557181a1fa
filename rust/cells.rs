// SPDX-License-Identifier: GPL-2.0

//! Memory that C and devices reach by address: equal cells at places that never change.
//!
//! A [`Cells`] is allocated once and then only read and written through raw addresses, by the CPU
//! and by devices alike, so no Rust reference to its bytes is ever handed out from here.

use core::ptr::NonNull;
use kernel::{page::PAGE_SIZE, prelude::*};

/// Zeroed cells of equal size, each physically contiguous.
///
/// # Invariants
///
/// Every element of `blocks` is the address of `block_len` bytes, in the element of `memory` with
/// the same index.
pub(crate) struct Cells {
    blocks: KVVec<NonNull<u8>>,
    /// Owns the memory; not touched between its allocation and its drop.
    memory: KVVec<KVec<u8>>,
    block_len: usize,
    cell: usize,
    count: usize,
    /// Cells in a block, a power of two, by its exponent.
    per_block_shift: u32,
}

// SAFETY: The blocks are plain memory that belongs to `self`.
unsafe impl Send for Cells {}
// SAFETY: All access goes through raw addresses with the care that their users promise.
unsafe impl Sync for Cells {}

impl Cells {
    /// Allocates `count` cells of `cell` bytes (a power of two). May sleep.
    pub(crate) fn new(count: usize, cell: usize) -> Result<Self> {
        if !cell.is_power_of_two() {
            return Err(EINVAL);
        }
        let mut cells = Self {
            blocks: KVVec::new(),
            memory: KVVec::new(),
            // A power of two, so kmalloc aligns it to its size: no cell crosses a page needlessly.
            block_len: cell.max(PAGE_SIZE),
            cell,
            count,
            per_block_shift: (cell.max(PAGE_SIZE) / cell).trailing_zeros(),
        };
        for _ in 0..count.div_ceil(cells.per_block()) {
            let mut memory = KVec::from_elem(0u8, cells.block_len, GFP_KERNEL | __GFP_NOWARN)?;
            // INVARIANT: The address of the vector that the same index of `memory` gets.
            let block = NonNull::new(memory.as_mut_ptr()).ok_or(ENOMEM)?;
            cells.blocks.push(block, GFP_KERNEL)?;
            cells.memory.push(memory, GFP_KERNEL)?;
        }
        Ok(cells)
    }

    fn per_block(&self) -> usize {
        1 << self.per_block_shift
    }

    /// Number of cells.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Size of one cell in bytes.
    pub(crate) fn cell_len(&self) -> usize {
        self.cell
    }

    /// Size of one block, the unit in which the memory is contiguous, in bytes.
    pub(crate) fn block_len(&self) -> usize {
        self.block_len
    }

    /// The addresses of all blocks.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = NonNull<u8>> + '_ {
        self.blocks.iter().copied()
    }

    /// The block that holds cell `index`, and the cell's offset in it.
    #[inline(always)]
    pub(crate) fn place(&self, index: usize) -> Option<(usize, usize)> {
        (index < self.count).then(|| {
            let block = index.wrapping_shr(self.per_block_shift);
            let in_block = index.wrapping_sub(block.wrapping_shl(self.per_block_shift));
            (block, in_block.wrapping_mul(self.cell))
        })
    }

    /// The address of cell `index`, `None` if there is no such cell.
    pub(crate) fn address(&self, index: usize) -> Option<NonNull<u8>> {
        let (block, offset) = self.place(index)?;
        // SAFETY: `place` stays within the block.
        Some(unsafe { self.blocks.get(block)?.add(offset) })
    }

    /// Copies `bytes` into cell `index` at `offset`; returns whether they fit.
    ///
    /// Two writers of the same cell leave either's bytes or a mixture.
    pub(crate) fn write(&self, index: usize, offset: usize, bytes: &[u8]) -> bool {
        let Some(address) = self.address(index) else {
            return false;
        };
        if offset
            .checked_add(bytes.len())
            .is_none_or(|end| end > self.cell)
        {
            return false;
        }
        // SAFETY: The range is within the cell, which `self` owns; no reference to it exists.
        unsafe {
            core::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                address.as_ptr().add(offset),
                bytes.len(),
            );
        }
        true
    }
}
