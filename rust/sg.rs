// SPDX-License-Identifier: GPL-2.0

//! Scatter-gather lists whose memory somebody else keeps alive.

use core::ptr::NonNull;
use kernel::bindings;

use crate::series;

/// Which way data moves, seen from this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// The peer reads: `DMA_TO_DEVICE`.
    ToDevice,
    /// The peer writes: `DMA_FROM_DEVICE`.
    FromDevice,
}

impl Direction {
    /// The C value.
    pub(crate) fn as_raw(self) -> bindings::dma_data_direction {
        match self {
            Self::ToDevice => series::TO_DEVICE,
            Self::FromDevice => series::FROM_DEVICE,
        }
    }
}

/// A list as C has it.
#[derive(Clone, Copy)]
pub(crate) struct RawList {
    /// First entry.
    pub(crate) head: NonNull<bindings::scatterlist>,
    /// Number of entries.
    pub(crate) nents: u32,
    /// Bytes that they hold together.
    pub(crate) len: usize,
}

/// Something that keeps a scatter-gather list, and the memory in it, alive.
///
/// # Safety
///
/// As long as the value lives, wherever it is moved, [`list`](Self::list) must return the same
/// list, its `nents` entries must be valid, nobody else may map them for DMA, and the memory they
/// name must not be freed or given another use.
pub(crate) unsafe trait ListOwner {
    /// The list, or `None` if there is no data.
    fn list(&self) -> Option<RawList>;
}
