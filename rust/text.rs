// SPDX-License-Identifier: GPL-2.0

//! Short texts that need no allocation.

use kernel::{fmt, prelude::*};

/// A text of up to `N` bytes; what does not fit is cut off.
#[derive(Clone, Copy)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// What `what` says.
    pub(crate) fn of(what: impl fmt::Display) -> Self {
        let mut text = Self::new();
        // What does not fit is cut off.
        let _ = fmt::Write::write_fmt(&mut text, fmt!("{what}"));
        text
    }

    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or(&[]);
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            // The end was cut off within a character.
            Err(error) => bytes
                .get(..error.valid_up_to())
                .and_then(|valid| core::str::from_utf8(valid).ok())
                .unwrap_or(""),
        }
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..).unwrap_or(&mut []);
        let taken = room.len().min(more.len());
        if let (Some(to), Some(from)) = (room.get_mut(..taken), more.as_bytes().get(..taken)) {
            to.copy_from_slice(from);
        }
        self.len += taken;
        Ok(())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
