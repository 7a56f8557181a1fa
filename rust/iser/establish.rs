// SPDX-License-Identifier: GPL-2.0

//! How a connection is made, and what the connection manager tells of it after that.
//!
//! Each step is an event: the address leads to a device, the route is known, the portal answers.
//! All of this may sleep.

use kernel::{
    fmt,
    prelude::*,
    revocable::Revocable,
    sync::{Arc, ArcBorrow}, //
};

use super::{
    connection::{Connection, Phase, State},
    log,
    observed::{DeviceFacts, QueueFacts},
    queue::{self, Queue},
    reason::Cause,
    wire::Capabilities,
};
use crate::{
    iscsi::parameter::ConnectionError,
    rdma::{
        cm::{self, CmId, ConnectParameters, Event, HandlerContext},
        device::ProtectionDomain,
        qp::QueuePair,
    },
    series::{ECONNREFUSED, ENOTCONN, EOPNOTSUPP},
    text::Text,
    trace, //
};

/// How long the connection manager may take for an address, and for a route.
const RESOLVE_TIMEOUT_MS: usize = 1000;

impl Connection {
    /// Starts to connect; what follows are events.
    pub(super) fn start_connecting(self: &Arc<Self>) -> Result {
        let id = CmId::new(self.clone())
            .and_then(|id| Ok(Arc::new(id, GFP_KERNEL)?))
            .inspect_err(log::cannot(self.address(), "connect"))?;
        let mut state = self.state.lock();
        state.id = Some(id.clone());
        self.observed.trace_state("connecting");
        id.resolve_address(self.address(), RESOLVE_TIMEOUT_MS)
            .inspect_err(|error| {
                let why = match *error {
                    ENOMEM => "no memory",
                    _ => "no RDMA device has a route to this address",
                };
                self.connect_failed(&mut state, *error, fmt!("{why} ({error:?})"));
            })
    }

    /// Making the connection has failed.
    fn connect_failed(&self, state: &mut State, error: Error, text: fmt::Arguments<'_>) {
        if let Phase::Connecting(what) = state.phase {
            let reason = Cause::Connecting.into();
            self.observed
                .failed(reason, fmt!("cannot connect, at {what}: {text}"));
            state.phase = Phase::Failed(error);
            self.changed.notify_all();
        }
    }

    fn address_resolved(&self, state: &mut State) -> Result {
        let id = state.id.clone().ok_or(ENOTCONN)?;
        let device = id.device().ok_or(ENODEV)?;
        let (port, source) = id.port();
        self.observed.device.populate(DeviceFacts {
            name: Text::of(device.name()),
            port,
            source,
        });
        if !device.attributes().memory_management {
            self.connect_failed(
                state,
                EOPNOTSUPP,
                fmt!(
                    "device {} cannot register memory as iSER needs it",
                    device.name()
                ),
            );
            return Err(EOPNOTSUPP);
        }
        let pd = ProtectionDomain::new(id.clone())?;
        state.pd = Some(Arc::new(pd, GFP_KERNEL)?);
        state.phase = Phase::Connecting("route");
        id.resolve_route(RESOLVE_TIMEOUT_MS)
    }

    fn route_resolved(self: &Arc<Self>, token: &HandlerContext, state: &mut State) -> Result {
        let (id, pd) = state.id.clone().zip(state.pd.clone()).ok_or(ENOTCONN)?;
        let read_atomic = pd.device().attributes().max_read_atomic;
        let statistics = self.observed.queue_pair.clone();
        let queue_pair =
            QueuePair::new(pd, &queue::CAPACITY, statistics, Queue::new(self.clone()))?;
        let (send, receive) = queue_pair.capacity();
        self.observed.queue.populate(QueueFacts {
            number: queue_pair.number(),
            send,
            receive,
        });
        let queue_pair = KBox::pin_init(Revocable::new(queue_pair), GFP_KERNEL)?;
        self.queue_pair
            .publish_pinned(queue_pair)
            .map_err(|_| EEXIST)?;
        state.phase = Phase::Connecting("answer of the portal");
        id.connect(
            token,
            &ConnectParameters {
                private_data: &Capabilities::OURS.encode(),
                responder_resources: read_atomic.min(u8::MAX.into()) as u8,
            },
        )
    }

    fn established(&self, state: &mut State, private_data: &[u8]) -> Result {
        let peer = Capabilities::decode(private_data);
        self.with_queue_pair(|queue_pair| {
            queue_pair.consumer().set_peer(peer);
            Ok(())
        })?;
        state.phase = Phase::Up;
        self.observed.made();
        self.changed.notify_all();
        Ok(())
    }
}

impl cm::Handler for Connection {
    fn event(this: ArcBorrow<'_, Self>, token: &HandlerContext, event: Event<'_>) {
        let this: Arc<Self> = this.into();
        trace::tell!(cm_event, {
            let (name, portal) = (
                token.name.to_str().unwrap_or("").trim_end(),
                Text::of(this.address()),
            );
            (this.observed.who(), name, token.status, portal)
        });
        let mut state = this.state.lock();
        let connecting = matches!(state.phase, Phase::Connecting(_));
        let result = match event {
            Event::AddressResolved if connecting => this.address_resolved(&mut state),
            Event::RouteResolved if connecting => this.route_resolved(token, &mut state),
            Event::Established(private_data) if connecting => {
                this.established(&mut state, private_data)
            }
            Event::Unreachable(error) => {
                let reason = if error == ENODEV {
                    "no RDMA device leads there"
                } else {
                    "no answer"
                };
                this.connect_failed(&mut state, error, fmt!("{reason} ({error:?})"));
                Ok(())
            }
            Event::Rejected(reason) => {
                this.connect_failed(
                    &mut state,
                    ECONNREFUSED,
                    fmt!("refused, {reason}; is there an iSER portal at this address?"),
                );
                Ok(())
            }
            Event::Disconnected(what) if state.phase == Phase::Up => {
                // Flushes the receives. What has been received comes before that, such as the
                // response that says why a login is refused; so the flush is the failure.
                let flushed = state.id.as_ref().is_some_and(|id| id.disconnect().is_ok());
                if !flushed || this.bound().is_none() {
                    this.fail(ConnectionError::ConnFailed, Cause::Ended, fmt!("{what}"));
                }
                Ok(())
            }
            Event::DeviceRemoval => {
                // Ends in the work item: nothing that is used here may be destroyed here.
                state.device_removed = true;
                this.observed.trace_removal();
                this.connect_failed(&mut state, ENODEV, fmt!("the RDMA device is removed"));
                this.fail(
                    ConnectionError::ConnFailed,
                    Cause::Removed,
                    fmt!("the RDMA device is removed"),
                );
                this.kick();
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = result {
            this.connect_failed(&mut state, error, fmt!("{error:?}"));
        }
        // Dropping what may be the last reference must not happen with the state locked.
        drop(state);
    }
}
