// SPDX-License-Identifier: GPL-2.0

//! A connection to a portal: how it is made, how it fails, and how it ends.
//!
//! The connection manager drives it to [`Phase::Up`] by its events, see [`super::establish`]. From
//! then on its queue pair is used, by whoever can get at it: ending the connection revokes it, which
//! drains it and gives back what is in its slots, and everybody who comes later finds it gone.

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
        Arc, CondVar, CondVarTimeoutResult, Mutex,
    },
    time::{delay::fsleep, msecs_to_jiffies, Delta},
    workqueue::{Work, WorkItem}, //
};

use super::{
    log,
    observed::{History, Observed},
    queue::Queue,
    reason::{Cause, Reason},
    show, //
};
use crate::{
    addr::SockAddr,
    debugfs::Directory,
    iscsi::{
        self,
        forward::{Forward, Guarded},
        parameter::ConnectionError,
    },
    published::{Published, ReadOnce},
    rdma::{
        cm::CmId,
        device::ProtectionDomain,
        qp::QueuePair,
        transmitter::Transmitter, //
    },
    series::ENOTCONN,
    trace, work,
};

/// How long the end of a target's access to memory may take before the connection is ended for
/// it. It takes one round trip to the device.
const FENCE_STEPS: usize = 5000;
const FENCE_STEP: Delta = Delta::from_millis(1);

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is being made; this is what is waited for.
    Connecting(&'static str),
    /// It can be used.
    Up,
    /// It could not be made, or is lost.
    Failed(Error),
    /// It has been ended from this side.
    Closed,
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) id: Option<Arc<CmId>>,
    pub(super) pd: Option<Arc<ProtectionDomain>>,
    /// How many use the protection domain: it stays, and the device with it, as long as they do.
    users: usize,
    pub(super) device_removed: bool,
}

/// A connection to a portal.
#[pin_data]
pub(crate) struct Connection {
    pub(super) observed: Observed,
    /// What shows it to user space; refers to it in turn, until it is ended.
    #[pin]
    directory: Mutex<Option<Directory<Connection>>>,
    #[pin]
    pub(super) state: Mutex<State>,
    #[pin]
    pub(super) changed: CondVar,
    /// Serialises those who end the connection: all of them return when it has ended.
    #[pin]
    teardown: Mutex<()>,
    pub(super) queue_pair: Published<Revocable<QueuePair<Queue>>>,
    bound: Published<iscsi::connection::Connection>,
    transmitter: Published<Guarded<Transmitter>>,
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
    fn new(address: SockAddr) -> Result<Arc<Self>> {
        let observed = Observed::new(address)?;
        let this = Arc::pin_init(
            pin_init!(Self {
                observed,
                directory <- new_mutex!(None, "iser::Connection::directory"),
                state <- new_mutex!(
                    State {
                        phase: Phase::Connecting("address"),
                        id: None,
                        pd: None,
                        users: 0,
                        device_removed: false,
                    },
                    "iser::Connection::state"
                ),
                changed <- new_condvar!("iser::Connection::changed"),
                teardown <- new_mutex!((), "iser::Connection::teardown"),
                queue_pair: Published::new(),
                bound: Published::new(),
                transmitter: Published::new(),
                end_expected: Atomic::new(false),
                broken: Atomic::new(false),
                failure: Atomic::new(0),
                work <- new_work!("iser::Connection::work"),
            }),
            GFP_KERNEL,
        )?;
        *this.directory.lock() = Some(show::directory(&this)?);
        Ok(this)
    }

    /// Starts to connect; unless `non_blocking`, waits for the outcome.
    pub(super) fn connect(address: SockAddr, non_blocking: bool) -> Result<Arc<Self>> {
        let this = Self::new(address).inspect_err(log::cannot(&address, "connect"))?;
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
        &self.observed.portal
    }

    /// Notes that the end of the connection has been asked for, and is no failure.
    pub(super) fn expect_end(&self) {
        self.end_expected.store(true, Relaxed);
    }

    /// Runs `f` with the protection domain of a connection that is up, and keeps its device from
    /// going away meanwhile. May sleep. `f` must not end the connection.
    ///
    /// Without a lock: `f` makes SCSI hosts, whose sysfs must not wait for what the iSCSI transport
    /// holds while it binds a connection.
    pub(super) fn with_domain<R>(
        &self,
        f: impl FnOnce(&Arc<ProtectionDomain>) -> Result<R>,
    ) -> Result<R> {
        let pd = {
            let mut state = self.state.lock();
            let (Some(pd), Phase::Up) = (&state.pd, state.phase) else {
                return Err(ENOTCONN);
            };
            let pd = pd.clone();
            state.users += 1;
            pd
        };
        let result = f(&pd);
        drop(pd);
        self.state.lock().users -= 1;
        self.changed.notify_all();
        result
    }

    /// Runs `f` with the queue pair, if it still is there. `f` must not sleep.
    #[inline(always)]
    pub(super) fn with_queue_pair<R>(
        &self,
        f: impl FnOnce(&QueuePair<Queue>) -> Result<R>,
    ) -> Result<R> {
        let revocable = self.queue_pair.get().ok_or(ENOTCONN)?;
        revocable.try_access_with(f).ok_or(ENOTCONN)?
    }

    /// As [`Self::with_queue_pair`], for who transmits, unless the connection has failed.
    #[inline(always)]
    pub(super) fn transmitting(
        &self,
        forward: &mut Forward<'_>,
        f: impl FnOnce(&QueuePair<Queue>, &mut Transmitter) -> Result,
    ) -> Result {
        self.with_queue_pair(|queue_pair| {
            if self.has_failed() {
                return Err(ENOTCONN);
            }
            f(
                queue_pair,
                self.transmitter.get().ok_or(ENOTCONN)?.get(forward)?,
            )
        })
    }

    /// Binds the session's connection, once.
    pub(super) fn set_bound(
        &self,
        connection: iscsi::connection::Connection,
        history: Arc<History>,
    ) -> Result {
        let ids = connection.ids();
        let connection = KBox::new(connection, GFP_KERNEL)
            .map_err(Error::from)
            .inspect_err(log::cannot(self.address(), "make ready for a session"))?;
        self.bound.publish(connection).map_err(|_| EBUSY)?;
        self.observed.bind(ids, history);
        Ok(())
    }

    /// Leaves the right to transmit to the session's forward lock. May sleep.
    pub(super) fn set_transmitter(&self, transmitter: Transmitter) -> Result {
        let bound = self.bound().ok_or(ENOTCONN)?;
        let transmitter = KBox::new(Guarded::new(bound, transmitter), GFP_KERNEL)?;
        self.transmitter.publish(transmitter).map_err(|_| EBUSY)
    }

    /// To be called when the session's connection is bound: `ENOTCONN` if the connection had failed
    /// before, when there was nobody to tell. One that fails from now on tells the session.
    pub(super) fn check_not_failed(&self) -> Result {
        // The work item holds this while it looks for whom to tell.
        let _state = self.state.lock();
        if self.has_failed() {
            return Err(ENOTCONN);
        }
        Ok(())
    }

    /// The session's connection.
    pub(super) fn bound(&self) -> Option<&iscsi::connection::Connection> {
        self.bound.get()
    }

    /// Whether the connection is of no use any more.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.read_once() != 0
    }

    /// Whether the target has broken the protocol.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.read_once()
    }

    /// Fails the connection for something that the target has done.
    pub(super) fn break_off(
        self: &Arc<Self>,
        error: ConnectionError,
        reason: impl Into<Reason>,
        text: fmt::Arguments<'_>,
    ) {
        self.broken.store(true, Relaxed);
        self.observed.handled.protocol_errors.add(1);
        self.fail(error, reason, fmt!("protocol error, {text}"));
    }

    /// Fails the connection, in any context. Only the first reason is told.
    pub(super) fn fail(
        self: &Arc<Self>,
        error: ConnectionError,
        reason: impl Into<Reason>,
        text: fmt::Arguments<'_>,
    ) {
        if self.set_failure(error, reason.into(), text) {
            self.kick();
        }
    }

    /// Returns whether it is the first failure.
    fn set_failure(
        &self,
        error: ConnectionError,
        reason: Reason,
        text: fmt::Arguments<'_>,
    ) -> bool {
        let first = self.failure.cmpxchg(0, error as u32, Relaxed).is_ok();
        if first && !self.end_expected.load(Relaxed) {
            self.observed
                .failed(reason, fmt!("connection failed, {text}"));
        }
        first
    }

    pub(super) fn kick(self: &Arc<Self>) {
        // If it is queued already it will see what it is queued for.
        if let Some(queue) = work::queue() {
            let _ = queue.enqueue(self.clone());
        }
    }

    /// Ends the connection. All of its tasks are given back on return. May sleep.
    pub(super) fn disconnect(&self) {
        self.shut_down();
        work::flush(self);
        // Waits for those who look, who may wait for the state.
        let directory = self.directory.lock().take();
        drop(directory);
    }

    fn shut_down(&self) {
        let _teardown = self.teardown.lock();
        self.expect_end();
        let (id, pd) = {
            let mut state = self.state.lock();
            if state.phase != Phase::Closed {
                self.observed.trace_state("closed");
            }
            state.phase = Phase::Closed;
            self.changed.notify_all();
            while state.users > 0 {
                self.changed.wait(&mut state);
            }
            (state.id.take(), state.pd.take())
        };
        self.observed.note_failure();
        if let Some(id) = &id {
            // There may be no connection to end yet.
            let _ = id.disconnect();
        }
        if let Some(queue_pair) = self.queue_pair.get() {
            queue_pair.revoke();
        }
        // The last references: the device is free to go after this.
        drop(pd);
        drop(id);
    }

    /// Ends the target's access to the data of all tasks that `abandoned` names. May sleep.
    pub(super) fn fence(self: &Arc<Self>, abandoned: impl Fn(usize) -> bool) {
        self.observed.handled.fences.add(1);
        trace::tell!(fence_begin, self.observed.who());
        let ended = (0..FENCE_STEPS).any(|_| {
            match self.with_queue_pair(|queue_pair| Ok(queue_pair.fence(&abandoned))) {
                Ok(0) => return true,
                Ok(_) => fsleep(FENCE_STEP),
                Err(_) => {
                    // It ends, or has ended; wait until it has.
                    self.shut_down();
                    return true;
                }
            }
            false
        });
        if !ended {
            self.give_up(
                Cause::Fence,
                fmt!("the target's access to aborted commands could not be ended"),
            );
        }
        trace::tell!(fence_done, (self.observed.who(), ended));
    }

    /// Fails the connection, and ends it without being asked to. May sleep.
    pub(super) fn give_up(&self, cause: Cause, text: fmt::Arguments<'_>) {
        {
            // With the state locked, so that it still is this connection that the session has.
            let state = self.state.lock();
            if let (Phase::Up, Some(bound)) = (state.phase, self.bound()) {
                let error = ConnectionError::ConnFailed;
                self.set_failure(error, cause.into(), text);
                bound.fail(error);
            }
        }
        self.shut_down();
    }

    /// Says why the connection cannot be used for its session.
    pub(super) fn is_unsuitable(&self, text: fmt::Arguments<'_>) {
        self.observed.failed(Cause::Unsuitable.into(), text);
    }

    /// Whether the target may invalidate keys, as long as there is a queue pair.
    pub(super) fn remote_invalidation(&self) -> Option<bool> {
        let allowed =
            |queue_pair: &QueuePair<Queue>| Ok(queue_pair.consumer().allows_remote_invalidation());
        self.with_queue_pair(allowed).ok()
    }

    /// How far it is, for those who look.
    pub(super) fn phase(&self) -> &'static str {
        match self.state.lock().phase {
            Phase::Connecting(_) => "connecting",
            Phase::Up if self.has_failed() => "failed",
            Phase::Up => "up",
            Phase::Failed(_) => "failed",
            Phase::Closed => "closed",
        }
    }
}

impl WorkItem for Connection {
    type Pointer = Arc<Self>;

    /// Does what cannot be done where the failure is seen.
    fn run(this: Arc<Self>) {
        this.observed.note_failure();
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
