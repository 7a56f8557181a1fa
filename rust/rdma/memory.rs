// SPDX-License-Identifier: GPL-2.0

//! Memory mapped for a device for as long as a connection lasts.

use kernel::{prelude::*, sync::Arc};

use super::device::ProtectionDomain;
use crate::{bindings, cells::Cells, sg::Direction};

/// [`Cells`], mapped for the device of a protection domain.
///
/// # Invariants
///
/// `addresses[i]` is the DMA address of block `i` of `cells`; all of them are mapped.
pub(crate) struct MappedCells {
    cells: Arc<Cells>,
    addresses: KVVec<u64>,
    direction: Direction,
    /// The device takes memory by the CPU's addresses: there is nothing to be synchronised.
    by_address: bool,
    pd: Arc<ProtectionDomain>,
}

impl MappedCells {
    /// Maps all of `cells`. May sleep.
    pub(crate) fn new(
        pd: Arc<ProtectionDomain>,
        cells: Arc<Cells>,
        direction: Direction,
    ) -> Result<Self> {
        let mut mapped = Self {
            addresses: KVVec::with_capacity(cells.blocks().count(), GFP_KERNEL)?,
            cells: cells.clone(),
            direction,
            // SAFETY: The device is live.
            by_address: unsafe { bindings::iser_rs_uses_virt_dma(pd.device().as_raw()) },
            pd,
        };
        for block in cells.blocks() {
            let device = mapped.pd.device().as_raw();
            // SAFETY: The block is memory of this length, which `cells` keeps.
            let address = unsafe {
                bindings::iser_rs_dma_map_single(
                    device,
                    block.as_ptr().cast(),
                    cells.block_len(),
                    direction.as_raw(),
                )
            };
            // SAFETY: The address was returned for this device.
            if unsafe { bindings::iser_rs_dma_mapping_error(device, address) } {
                return Err(ENOMEM);
            }
            // INVARIANT: Block after block.
            mapped.addresses.push(address, GFP_KERNEL)?;
        }
        Ok(mapped)
    }

    /// Whether the memory is mapped for the device of `pd`.
    pub(super) fn is_of(&self, pd: &Arc<ProtectionDomain>) -> bool {
        Arc::ptr_eq(&self.pd, pd)
    }

    /// The cells.
    pub(crate) fn cells(&self) -> &Cells {
        &self.cells
    }

    /// The DMA address of cell `index`.
    #[inline(always)]
    pub(super) fn address(&self, index: usize) -> Option<u64> {
        let (block, offset) = self.cells.place(index)?;
        Some(self.addresses.get(block)? + offset as u64)
    }

    /// A scatter-gather entry for the first `len` bytes of cell `index`.
    #[inline(always)]
    pub(super) fn entry(&self, index: usize, len: usize) -> Option<bindings::ib_sge> {
        Some(bindings::ib_sge {
            addr: self.address(index)?,
            length: len.min(self.cells.cell_len()) as u32,
            lkey: self.pd.local_key(),
        })
    }

    /// Lets the device see what the CPU wrote to `entry`, which is one of `self`.
    #[inline(always)]
    pub(super) fn sync_for_device(&self, entry: &bindings::ib_sge) {
        if self.by_address {
            return;
        }
        // SAFETY: Addresses of entries are within mapped blocks.
        unsafe {
            bindings::iser_rs_dma_sync_for_device(
                self.pd.device().as_raw(),
                entry.addr,
                entry.length as usize,
                self.direction.as_raw(),
            );
        }
    }

    /// Lets the CPU see what the device wrote to the first `len` bytes of `entry`, which is one of
    /// `self`.
    #[inline(always)]
    pub(super) fn sync_for_cpu(&self, entry: &bindings::ib_sge, len: u32) {
        if self.by_address {
            return;
        }
        // SAFETY: Addresses of entries are within mapped blocks.
        unsafe {
            bindings::iser_rs_dma_sync_for_cpu(
                self.pd.device().as_raw(),
                entry.addr,
                len.min(entry.length) as usize,
                self.direction.as_raw(),
            );
        }
    }
}

impl Drop for MappedCells {
    fn drop(&mut self) {
        for address in &self.addresses {
            // SAFETY: By the type invariant.
            unsafe {
                bindings::iser_rs_dma_unmap_single(
                    self.pd.device().as_raw(),
                    *address,
                    self.cells.block_len(),
                    self.direction.as_raw(),
                );
            }
        }
    }
}
