// SPDX-License-Identifier: GPL-2.0

//! SCSI commands.

use core::ptr::NonNull;

use crate::{
    bindings,
    sg::{Direction, RawList}, //
};

/// A command that the midlayer has given to the transport, a `struct scsi_cmnd`.
#[repr(transparent)]
pub(crate) struct Command(bindings::scsi_cmnd);

impl Command {
    /// # Safety
    ///
    /// `ptr` must be a command that is not given back to the midlayer during `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *const bindings::scsi_cmnd) -> &'a Self {
        // SAFETY: `Command` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }

    /// Which way the command's data moves; `None` without data.
    pub(crate) fn direction(&self) -> Option<Direction> {
        let direction = self.0.sc_data_direction;
        [Direction::ToDevice, Direction::FromDevice]
            .into_iter()
            .find(|d| d.as_raw() == direction)
            .filter(|_| self.data_len() > 0)
    }

    /// Bytes of data.
    pub(crate) fn data_len(&self) -> usize {
        self.0.sdb.length as usize
    }

    /// The data's scatter-gather list.
    pub(crate) fn data(&self) -> Option<RawList> {
        let table = &self.0.sdb.table;
        let len = self.data_len();
        (len > 0 && table.nents > 0).then_some(RawList {
            head: NonNull::new(table.sgl)?,
            nents: table.nents,
            len,
        })
    }
}
