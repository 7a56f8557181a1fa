// SPDX-License-Identifier: GPL-2.0

//! What the supported series of kernels do not have in common.
//!
//! `iser_series_7_2` is set by Kbuild for a kernel of 7.2; without it this is 7.3.

use core::borrow::Borrow;
use kernel::bindings::dma_data_direction;

#[cfg(not(iser_series_7_2))]
pub(crate) use kernel::error::code::{
    EAFNOSUPPORT,
    EALREADY,
    ECONNREFUSED,
    ENOTCONN,
    EOPNOTSUPP,
    EPROTO, //
};

/// Errors that 7.2 has no constants for.
#[cfg(iser_series_7_2)]
mod errors {
    use core::num::NonZeroI32;
    use kernel::{
        bindings,
        error::Error, //
    };

    const fn error(errno: u32) -> Error {
        // No const function makes an `Error`, and 7.2 has no public one besides.
        assert!(0 < errno && errno <= bindings::MAX_ERRNO);
        let Some(value) = NonZeroI32::new(-(errno as i32)) else {
            panic!()
        };
        // SAFETY: `Error` is a struct around a `NonZeroI32`, and its size, which is checked here,
        // says that this is all of it. Its invariant was checked above.
        unsafe { core::mem::transmute::<NonZeroI32, Error>(value) }
    }

    pub(crate) const EAFNOSUPPORT: Error = error(bindings::EAFNOSUPPORT);
    pub(crate) const EALREADY: Error = error(bindings::EALREADY);
    pub(crate) const ECONNREFUSED: Error = error(bindings::ECONNREFUSED);
    pub(crate) const ENOTCONN: Error = error(bindings::ENOTCONN);
    pub(crate) const EOPNOTSUPP: Error = error(bindings::EOPNOTSUPP);
    pub(crate) const EPROTO: Error = error(bindings::EPROTO);
}
#[cfg(iser_series_7_2)]
pub(crate) use errors::*;

/// `DMA_TO_DEVICE`.
#[cfg(not(iser_series_7_2))]
pub(crate) const TO_DEVICE: dma_data_direction = dma_data_direction::DMA_TO_DEVICE;
/// `DMA_FROM_DEVICE`.
#[cfg(not(iser_series_7_2))]
pub(crate) const FROM_DEVICE: dma_data_direction = dma_data_direction::DMA_FROM_DEVICE;
/// `DMA_TO_DEVICE`.
#[cfg(iser_series_7_2)]
pub(crate) const TO_DEVICE: dma_data_direction = kernel::bindings::dma_data_direction_DMA_TO_DEVICE;
/// `DMA_FROM_DEVICE`.
#[cfg(iser_series_7_2)]
pub(crate) const FROM_DEVICE: dma_data_direction =
    kernel::bindings::dma_data_direction_DMA_FROM_DEVICE;

/// The value of a parameter of the module, which 7.2 has by reference.
pub(crate) fn parameter(value: impl Borrow<u32>) -> u32 {
    *value.borrow()
}
