// SPDX-License-Identifier: GPL-2.0

//! RDMA for upper layer protocols: connections, queue pairs, registered memory.
//!
//! What a consumer of the verbs in the kernel needs to talk to one peer: a [`cm::CmId`] makes the
//! connection, a [`qp::QueuePair`] carries messages and, in its slots ([`slot`]), transfers whose
//! memory the peer may access until it is fenced off.
//!
//! C headers: [`include/rdma/ib_verbs.h`](srctree/include/rdma/ib_verbs.h),
//! [`include/rdma/rdma_cm.h`](srctree/include/rdma/rdma_cm.h)

pub(crate) mod cm;
pub(crate) mod completion;
pub(crate) mod context;
pub(crate) mod credits;
pub(crate) mod device;
pub(crate) mod exchange;
pub(crate) mod fence;
pub(crate) mod gather;
pub(crate) mod memory;
pub(crate) mod post;
pub(crate) mod qp;
pub(crate) mod receive;
pub(crate) mod region;
mod requests;
pub(crate) mod slot;
pub(crate) mod statistics;
pub(crate) mod transmitter;
pub(crate) mod watch;
