// SPDX-License-Identifier: GPL-2.0

//! What a connection exchanges messages with: sizes, and what the slots hold.

use kernel::{
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        Arc,
    }, //
};

use super::{
    connection::Connection,
    log,
    observed::History,
    reason::Cause,
    wire::{Capabilities, FFP_PAYLOAD_LEN, HEADERS_LEN, LOGIN_PAYLOAD_LEN},
};
use crate::{
    iscsi::{self, parameter::ConnectionError},
    published::ReadOnce,
    rdma::{
        exchange::{Exchange, FollowUps, Sizes},
        qp::{Capacity, Failure},
    },
    series::EOPNOTSUPP,
};

/// Tasks of a session, at the least what libiscsi can work with, and at the most.
pub(super) const TASKS: core::ops::RangeInclusive<u16> = 16..=2048;

/// The queue pair is made before the session's number of tasks is known. A command takes up to
/// three entries to send; sessions of many more than six hundred tasks wait for entries when all
/// of them are in use.
pub(super) const CAPACITY: Capacity = Capacity {
    send: 2047,
    receive: *TASKS.end() as usize + SPARE_RECEIVES + LOGIN_RECEIVES + 2,
};

/// Receives beyond one for each task: for PDUs that a target sends unasked.
const UNASKED_RECEIVES: usize = 8;
const SPARE_RECEIVES: usize = UNASKED_RECEIVES + 16;

/// There is one login or text request at a time, and a target may send something unasked.
const LOGIN_RECEIVES: usize = 2;

/// The ring of receive buffers for the login phase and for discovery.
pub(super) const LOGIN_RING: usize = 0;
/// The ring of receive buffers for the full feature phase.
pub(super) const FULL_FEATURE_RING: usize = 1;

/// The protocol's part of a connection's queue pair.
pub(super) struct Queue {
    pub(super) connection: Arc<Connection>,
    remote_invalidation: Atomic<bool>,
    /// The last login request has been sent.
    full_feature: Atomic<bool>,
}

impl Queue {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            remote_invalidation: Atomic::new(false),
            full_feature: Atomic::new(false),
        }
    }

    /// Notes what the peer has said of itself.
    pub(super) fn set_peer(&self, peer: Capabilities) {
        self.remote_invalidation
            .store(peer.send_with_invalidate, Relaxed);
    }

    /// Whether the target may invalidate keys.
    pub(super) fn allows_remote_invalidation(&self) -> bool {
        self.remote_invalidation.read_once()
    }

    /// Enters the full feature phase; returns whether that is new.
    pub(super) fn enter_full_feature(&self) -> bool {
        !self.full_feature.xchg(true, Relaxed)
    }

    /// Whether the full feature phase has been entered.
    pub(super) fn is_full_feature(&self) -> bool {
        self.full_feature.read_once()
    }

    /// Fails the connection for what the device reports.
    pub(super) fn fail(&self, failure: Failure) {
        let connection = &self.connection;
        let error = ConnectionError::ConnFailed;
        match failure {
            Failure::Completion(status) if status.is_flush() => {
                let text = fmt!("it was ended by the target or the network");
                connection.fail(error, Cause::Ended, text);
            }
            Failure::Completion(status) => {
                connection.fail(
                    error,
                    Cause::WorkRequest,
                    fmt!("a work request ended with: {}", status.name()),
                );
            }
            Failure::Post => {
                let text = fmt!("a work request could not be posted");
                connection.fail(error, Cause::Post, text);
            }
            Failure::Device => {
                let text = fmt!("the device reports an error");
                connection.fail(error, Cause::Device, text);
            }
        }
    }
}

/// Makes a connection ready for the tasks of a session. May sleep.
pub(super) fn bind(
    connection: &Connection,
    session: iscsi::connection::Connection,
    history: Arc<History>,
) -> Result {
    let tasks = session.tasks();
    let headers = session.headers()?;
    let exchange = connection.with_domain(|pd| {
        let device = pd.device();
        let limits = super::transport::memory_limits(&device.attributes());
        if !limits.suffice_for(&session.host_memory()) {
            connection.is_unsuitable(fmt!(
                "device {} cannot take the commands of the device that the session was made with",
                device.name()
            ));
            return Err(EOPNOTSUPP);
        }
        Exchange::new(
            pd,
            headers,
            &Sizes {
                slots: tasks,
                region_pages: limits.region_pages,
                header_len: HEADERS_LEN,
                payload_len: LOGIN_PAYLOAD_LEN,
                rings: [
                    (LOGIN_RECEIVES, HEADERS_LEN + LOGIN_PAYLOAD_LEN),
                    (tasks + SPARE_RECEIVES, HEADERS_LEN + FFP_PAYLOAD_LEN),
                ],
            },
        )
        .inspect_err(log::cannot(
            connection.address(),
            "make ready for a session",
        ))
    })?;
    connection.set_bound(session, history)?;
    // Whatever is not taken is dropped here, where that may sleep.
    let mut exchange = Some(exchange);
    connection
        .with_queue_pair(|queue_pair| queue_pair.attach(&mut exchange))
        .and_then(|transmitter| connection.set_transmitter(transmitter))
        .and_then(|()| {
            connection.with_queue_pair(|queue_pair| queue_pair.post_receives(LOGIN_RING))
        })
        .inspect_err(log::cannot(
            connection.address(),
            "make ready for a session",
        ))?;
    connection.check_not_failed()
}

/// Makes a connection ready for what has been negotiated. May sleep.
pub(super) fn start(connection: &Connection, session: &iscsi::connection::Connection) -> Result {
    let Some((first_burst, segment)) = session.unsolicited_limits() else {
        return Ok(());
    };
    // Data-Out PDUs that may follow one command.
    let pdus = first_burst.div_ceil(segment.max(1));
    if pdus >= CAPACITY.send / 2 {
        connection.is_unsuitable(fmt!(
            "InitialR2T=No with FirstBurstLength {first_burst} and segments of {segment} is too much at once"
        ));
        return Err(EINVAL);
    }
    let follow_ups = connection.with_domain(|pd| {
        FollowUps::new(pd, pdus * 8, HEADERS_LEN).inspect_err(log::cannot(
            connection.address(),
            "make ready for unsolicited data",
        ))
    })?;
    let mut follow_ups = Some(follow_ups);
    connection.with_queue_pair(|queue_pair| queue_pair.attach_follow_ups(&mut follow_ups))
}
