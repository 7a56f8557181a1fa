// SPDX-License-Identifier: GPL-2.0

//! A connection to a portal: how it is made, how it fails, and how it ends.
//!
//! The connection manager drives it to [`Phase::Up`] by its events. From then on its queue pair is
//! used, by whoever can get at it: ending the connection revokes it, which drains it and gives
//! back what is in its slots, and everybody who comes later finds it gone.

use kernel::{
    fmt,
    impl_has_work,
    new_condvar,
    new_mutex,
    new_work,
    prelude::*,
    revocable::Revocable,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        Arc, ArcBorrow, CondVar, CondVarTimeoutResult, Mutex, SetOnce,
    },
    time::{delay::fsleep, msecs_to_jiffies, Delta},
    workqueue::{Work, WorkItem}, //
};

use super::{
    queue::{self, Queue},
    wire::Capabilities,
};
use crate::{
    addr::SockAddr,
    iscsi::{self, parameter::ConnectionError},
    rdma::{
        cm::{self, CmId, ConnectParameters, Event, HandlerContext},
        device::ProtectionDomain,
        qp::QueuePair,
    },
    work,
};

/// How long the connection manager may take for an address, and for a route.
const RESOLVE_TIMEOUT_MS: usize = 1000;

/// How long the end of a target's access to memory may take before the connection is ended for
/// it. It takes one round trip to the device.
const FENCE_STEPS: usize = 5000;
const FENCE_STEP: Delta = Delta::from_millis(1);

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is being made; this is what is waited for.
    Connecting(&'static str),
    /// It can be used.
    Up,
    /// It could not be made, or is lost.
    Failed(Error),
    /// It has been ended from this side.
    Closed,
}

struct State {
    phase: Phase,
    id: Option<Arc<CmId>>,
    pd: Option<Arc<ProtectionDomain>>,
    device_removed: bool,
}

/// A connection to a portal.
#[pin_data]
pub(crate) struct Connection {
    address: SockAddr,
    /// Target's name, once it is known.
    target: SetOnce<KVec<u8>>,
    #[pin]
    state: Mutex<State>,
    #[pin]
    changed: CondVar,
    /// Serialises those who end the connection: all of them return when it has ended.
    #[pin]
    teardown: Mutex<()>,
    queue_pair: SetOnce<Pin<KBox<Revocable<QueuePair<Queue>>>>>,
    bound: SetOnce<iscsi::connection::Connection>,
    /// This side has ended the connection, or asked the target to.
    end_expected: Atomic<bool>,
    /// The target has broken the protocol, so nothing is taken from it any more.
    broken: Atomic<bool>,
    /// The first failure, a [`ConnectionError`]; zero as long as there is none.
    failure: Atomic<u32>,
    #[pin]
    work: Work<Connection>,
}

impl_has_work! {
    impl HasWork<Self> for Connection { self.work }
}

impl Connection {
    /// Starts to connect; unless `non_blocking`, waits for the outcome.
    pub(super) fn connect(address: SockAddr, non_blocking: bool) -> Result<Arc<Self>> {
        let this = Arc::pin_init(
            pin_init!(Self {
                address,
                target: SetOnce::new(),
                state <- new_mutex!(
                    State {
                        phase: Phase::Connecting("address"),
                        id: None,
                        pd: None,
                        device_removed: false,
                    },
                    "iser::Connection::state"
                ),
                changed <- new_condvar!("iser::Connection::changed"),
                teardown <- new_mutex!((), "iser::Connection::teardown"),
                queue_pair: SetOnce::new(),
                bound: SetOnce::new(),
                end_expected: Atomic::new(false),
                broken: Atomic::new(false),
                failure: Atomic::new(0),
                work <- new_work!("iser::Connection::work"),
            }),
            GFP_KERNEL,
        )?;
        let result = this.start_connecting().and_then(|()| {
            if non_blocking {
                return Ok(());
            }
            loop {
                if this.poll(i32::MAX)? {
                    return Ok(());
                }
            }
        });
        match result {
            Ok(()) => Ok(this),
            Err(error) => {
                this.disconnect();
                Err(error)
            }
        }
    }

    fn start_connecting(self: &Arc<Self>) -> Result {
        let id = Arc::new(CmId::new(self.clone())?, GFP_KERNEL)?;
        let mut state = self.state.lock();
        state.id = Some(id.clone());
        id.resolve_address(&self.address, RESOLVE_TIMEOUT_MS)
            .inspect_err(|error| {
                pr_err!(
                    "{}: no RDMA device has a route to this address ({:?})\n",
                    self.address,
                    error
                );
                state.phase = Phase::Failed(*error);
            })
    }

    /// Waits for the outcome of connecting, `timeout_ms` at most. Returns whether there is one.
    pub(super) fn poll(&self, timeout_ms: i32) -> Result<bool> {
        let mut left = msecs_to_jiffies(timeout_ms.max(0) as u32);
        let mut state = self.state.lock();
        loop {
            match state.phase {
                Phase::Up => return Ok(true),
                Phase::Failed(error) => return Err(error),
                Phase::Closed => return Err(ENOTCONN),
                Phase::Connecting(_) => {}
            }
            left = match self.changed.wait_interruptible_timeout(&mut state, left) {
                CondVarTimeoutResult::Woken { jiffies } => jiffies,
                CondVarTimeoutResult::Timeout => {
                    return match state.phase {
                        Phase::Connecting(_) => Ok(false),
                        Phase::Up => Ok(true),
                        Phase::Failed(error) => Err(error),
                        Phase::Closed => Err(ENOTCONN),
                    }
                }
                CondVarTimeoutResult::Signal { .. } => return Err(EINTR),
            };
        }
    }

    /// The portal.
    pub(super) fn address(&self) -> &SockAddr {
        &self.address
    }

    /// Remembers the target's name for the log.
    pub(super) fn set_target(&self, name: KVec<u8>) {
        if !name.is_empty() {
            self.target.populate(name);
        }
    }

    /// Notes that the end of the connection has been asked for, and is no failure.
    pub(super) fn expect_end(&self) {
        self.end_expected.store(true, Relaxed);
    }

    /// Runs `f` with the protection domain of a connection that is up, and keeps its device from
    /// going away meanwhile. May sleep.
    pub(super) fn with_domain<R>(
        &self,
        f: impl FnOnce(&Arc<ProtectionDomain>) -> Result<R>,
    ) -> Result<R> {
        let state = self.state.lock();
        match (&state.pd, state.phase) {
            (Some(pd), Phase::Up) => f(pd),
            _ => Err(ENOTCONN),
        }
    }

    /// Runs `f` with the queue pair, if it still is there. `f` must not sleep.
    pub(super) fn with_queue_pair<R>(
        &self,
        f: impl FnOnce(&QueuePair<Queue>) -> Result<R>,
    ) -> Result<R> {
        let revocable = self.queue_pair.as_ref().ok_or(ENOTCONN)?;
        revocable.try_access_with(f).ok_or(ENOTCONN)?
    }

    /// Binds the session's connection, once.
    pub(super) fn set_bound(&self, connection: iscsi::connection::Connection) -> Result {
        if self.bound.populate(connection) {
            Ok(())
        } else {
            Err(EBUSY)
        }
    }

    /// The session's connection.
    pub(super) fn bound(&self) -> Option<&iscsi::connection::Connection> {
        self.bound.as_ref()
    }

    /// Whether the connection is of no use any more.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.load(Relaxed) != 0
    }

    /// Whether the target has broken the protocol.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Fails the connection for something that the target has done.
    pub(super) fn break_off(self: &Arc<Self>, error: ConnectionError, reason: fmt::Arguments<'_>) {
        self.broken.store(true, Relaxed);
        self.fail(error, fmt!("protocol error, {reason}"));
    }

    /// Fails the connection, in any context. Only the first reason is logged.
    pub(super) fn fail(self: &Arc<Self>, error: ConnectionError, reason: fmt::Arguments<'_>) {
        if self.failure.cmpxchg(0, error as u32, Relaxed).is_ok() {
            if !self.end_expected.load(Relaxed) {
                pr_err!("{}: connection failed, {}\n", Name(self), reason);
            }
            self.kick();
        }
    }

    fn kick(self: &Arc<Self>) {
        // If it is queued already it will see what it is queued for.
        if let Some(queue) = work::queue() {
            let _ = queue.enqueue(self.clone());
        }
    }

    /// Ends the connection. All of its tasks are given back on return. May sleep.
    pub(super) fn disconnect(&self) {
        self.shut_down();
        work::flush(self);
    }

    fn shut_down(&self) {
        let _teardown = self.teardown.lock();
        self.expect_end();
        let (id, pd) = {
            let mut state = self.state.lock();
            state.phase = Phase::Closed;
            self.changed.notify_all();
            (state.id.take(), state.pd.take())
        };
        if let Some(id) = &id {
            // There may be no connection to end yet.
            let _ = id.disconnect();
        }
        if let Some(queue_pair) = self.queue_pair.as_ref() {
            queue_pair.revoke();
        }
        // The last references: the device is free to go after this.
        drop(pd);
        drop(id);
    }

    /// Ends the target's access to the data of all tasks that `abandoned` names. May sleep.
    pub(super) fn fence(self: &Arc<Self>, abandoned: impl Fn(usize) -> bool) {
        for _ in 0..FENCE_STEPS {
            match self.with_queue_pair(|queue_pair| Ok(queue_pair.fence(&abandoned))) {
                Ok(0) => return,
                Ok(_) => fsleep(FENCE_STEP),
                // It ends, or has ended; wait until it has.
                Err(_) => return self.shut_down(),
            }
        }
        self.give_up(fmt!(
            "the target's access to aborted commands could not be ended"
        ));
    }

    /// Fails the connection, and ends it without being asked to. May sleep.
    pub(super) fn give_up(&self, reason: fmt::Arguments<'_>) {
        {
            // With the state locked, so that it still is this connection that the session has.
            let state = self.state.lock();
            if let (Phase::Up, Some(bound)) = (state.phase, self.bound()) {
                pr_err!("{}: connection failed, {}\n", Name(self), reason);
                bound.fail(ConnectionError::ConnFailed);
            }
        }
        self.shut_down();
    }

    /// Making the connection has failed.
    fn connect_failed(&self, state: &mut State, error: Error, reason: fmt::Arguments<'_>) {
        if let Phase::Connecting(what) = state.phase {
            pr_err!(
                "{}: cannot connect, at {}: {}\n",
                self.address,
                what,
                reason
            );
            state.phase = Phase::Failed(error);
            self.changed.notify_all();
        }
    }

    fn address_resolved(&self, state: &mut State) -> Result {
        let id = state.id.clone().ok_or(ENOTCONN)?;
        let device = id.device().ok_or(ENODEV)?;
        if !device.attributes().memory_management {
            pr_err!(
                "{}: device {} cannot register memory as iSER needs it\n",
                self.address,
                device.name()
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
        let queue_pair = QueuePair::new(pd, &queue::CAPACITY, Queue::new(self.clone()))?;
        let queue_pair = KBox::pin_init(Revocable::new(queue_pair), GFP_KERNEL)?;
        if !self.queue_pair.populate(queue_pair) {
            return Err(EEXIST);
        }
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
        self.changed.notify_all();
        Ok(())
    }
}

impl cm::Handler for Connection {
    fn event(this: ArcBorrow<'_, Self>, token: &HandlerContext, event: Event<'_>) {
        let this: Arc<Self> = this.into();
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
                    this.fail(ConnectionError::ConnFailed, fmt!("{what}"));
                }
                Ok(())
            }
            Event::DeviceRemoval => {
                // Ends in the work item: nothing that is used here may be destroyed here.
                state.device_removed = true;
                this.connect_failed(&mut state, ENODEV, fmt!("the RDMA device is removed"));
                this.fail(
                    ConnectionError::ConnFailed,
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

impl WorkItem for Connection {
    type Pointer = Arc<Self>;

    /// Does what cannot be done where the failure is seen.
    fn run(this: Arc<Self>) {
        let device_removed = {
            let state = this.state.lock();
            // A connection that was closed belongs to the session no more.
            if state.phase == Phase::Up {
                if let Some(bound) = this.bound() {
                    bound.fail(ConnectionError::from_raw(this.failure.load(Relaxed)));
                }
            }
            state.device_removed
        };
        if device_removed {
            this.shut_down();
        }
    }
}

/// How a connection is called in the log.
struct Name<'a>(&'a Connection);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.0.target.as_ref();
        if let Some(Ok(name)) = target.map(|name| core::str::from_utf8(name)) {
            write!(f, "{name} at ")?;
        }
        fmt::Display::fmt(&self.0.address, f)
    }
}
