// SPDX-License-Identifier: GPL-2.0

//! Socket addresses as C passes them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use kernel::{fmt, prelude::*};

use crate::{bindings, series::EAFNOSUPPORT};

/// A `struct sockaddr_storage` that holds an IPv4 or IPv6 address.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct SockAddr([u8; core::mem::size_of::<Storage>()]);

type Storage = bindings::__kernel_sockaddr_storage;

impl SockAddr {
    const AF_INET: u16 = 2;
    const AF_INET6: u16 = 10;

    /// Copies the address that `addr` points to.
    ///
    /// # Errors
    ///
    /// `EAFNOSUPPORT` if it is neither IPv4 nor IPv6.
    ///
    /// # Safety
    ///
    /// `addr` must be valid for reads of the length that its family says.
    pub(crate) unsafe fn from_raw(addr: *const kernel::ffi::c_void) -> Result<Self> {
        // SAFETY: Every `struct sockaddr` begins with its family.
        let family = unsafe { addr.cast::<u16>().read_unaligned() };
        let len = match family {
            Self::AF_INET => 16,
            Self::AF_INET6 => 28,
            _ => return Err(EAFNOSUPPORT),
        };
        let mut storage = Self([0; core::mem::size_of::<Storage>()]);
        // SAFETY: The caller promises `len` bytes; the storage is larger than any address.
        unsafe {
            core::ptr::copy_nonoverlapping(addr.cast::<u8>(), storage.0.as_mut_ptr(), len);
        }
        Ok(storage)
    }

    /// The address in the form that C takes; valid as long as `self`.
    pub(crate) fn as_ptr(&self) -> *const Storage {
        self.0.as_ptr().cast()
    }

    /// The address without the port.
    pub(crate) fn ip(&self) -> impl fmt::Display {
        Ip(self.to_std().ip())
    }

    /// A number that is the same for equal addresses, and hardly for others; less than 2^32.
    pub(crate) fn hash(&self) -> u64 {
        // FNV-1a.
        let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        self.0.iter().fold(0x811c_9dc5, step).into()
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let field = self.0.get(at..).and_then(|rest| rest.first_chunk());
        field.copied().unwrap_or([0; N])
    }

    fn to_std(self) -> SocketAddr {
        let family = u16::from_ne_bytes(self.bytes(0));
        let port = u16::from_be_bytes(self.bytes(2));
        if family == Self::AF_INET6 {
            // The zone is that of a link-local address.
            let zone = u32::from_ne_bytes(self.bytes(24));
            SocketAddrV6::new(Ipv6Addr::from(self.bytes::<16>(8)), port, 0, zone).into()
        } else {
            SocketAddrV4::new(Ipv4Addr::from(self.bytes::<4>(4)), port).into()
        }
    }
}

struct Ip(IpAddr);

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for SockAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(&self.to_std(), f)
    }
}
