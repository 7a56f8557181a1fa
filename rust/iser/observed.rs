// SPDX-License-Identifier: GPL-2.0

//! What is known of a connection for those who look at it from outside: counts, names, and how it
//! failed. Nothing here decides anything.

use kernel::{
    fmt,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        Arc, Mutex, SetOnce,
    }, //
};

use super::{
    log,
    reason::{Cause, Reason},
    show,
    totals, //
};
use crate::{
    addr::SockAddr,
    clock,
    count::{counts, Apart, Shared},
    debugfs::Directory,
    iscsi::{
        connection::{Connection, Ids},
        error_handler::{Handler, Progress, Step}, //
    },
    latency::Histogram,
    rdma::statistics::Statistics,
    text::Text,
    trace::{self, Where, Who},
};

counts! {
    /// What was sent. Written by who transmits, one at a time.
    Sent of Count {
        commands_read,
        commands_write,
        commands_none,
        bytes_read,
        bytes_write,
        immediate_commands,
        immediate_bytes,
        unsolicited_pdus,
        registered_commands,
        control_pdus_sent,
    }
}

counts! {
    /// What was received. Written by the processing of completions.
    Received of Count {
        responses,
        control_pdus_received,
    }
}

counts! {
    /// What happens seldom.
    Handled of Shared {
        fences,
        aborts,
        resets,
        protocol_errors,
    }
}

/// A failure.
#[derive(Clone)]
pub(super) struct Failure {
    /// All that is known.
    pub(super) text: Text<192>,
    at: u64,
}

impl Failure {
    /// Seconds since then.
    pub(super) fn age(&self) -> u64 {
        clock::ms_since(self.at) / 1000
    }
}

/// What a session's connections were like.
#[pin_data]
pub(super) struct Past {
    pub(super) connections: Shared,
    pub(super) failures: Shared,
    #[pin]
    last: Mutex<Option<Failure>>,
}

impl Past {
    /// The last failure of a connection. May sleep.
    pub(super) fn last(&self) -> Option<Failure> {
        self.last.lock().clone()
    }
}

/// What is kept of a session over all its connections, and shown also while it has none.
#[pin_data]
pub(crate) struct History {
    past: Arc<Past>,
    /// From when the session's number is known.
    #[pin]
    directory: Mutex<Option<Directory<Past>>>,
}

impl History {
    /// That of a new session. May sleep.
    pub(super) fn new() -> Result<Arc<Self>> {
        let past = Arc::pin_init(
            pin_init!(Past {
                connections: Shared::new(),
                failures: Shared::new(),
                last <- new_mutex!(None, "iser::Past::last"),
            }),
            GFP_KERNEL,
        )?;
        Arc::pin_init(
            pin_init!(Self {
                past,
                directory <- new_mutex!(None, "iser::History::directory"),
            }),
            GFP_KERNEL,
        )
    }

    /// The session has this number. May sleep.
    fn number(&self, ids: &Ids) {
        let mut directory = self.directory.lock();
        if directory.is_none() {
            // Without memory it is not shown.
            *directory = show::session_directory(&self.past, ids).ok();
        }
    }
}

/// The device, and this side's address.
pub(super) struct DeviceFacts {
    pub(super) name: Text<64>,
    pub(super) port: u32,
    pub(super) source: Option<SockAddr>,
}

/// Number and sizes of the queue pair.
pub(super) struct QueueFacts {
    pub(super) number: u32,
    pub(super) send: usize,
    pub(super) receive: usize,
}

/// The session that the connection is bound to.
struct Bound {
    ids: Ids,
    history: Arc<History>,
}

/// All that is known of a connection.
pub(super) struct Observed {
    /// Of the connection, another one for each since the module was loaded.
    pub(super) number: u32,
    pub(super) portal: SockAddr,
    pub(super) sent: Apart<Sent>,
    pub(super) received: Apart<Received>,
    pub(super) handled: Handled,
    pub(super) queue_pair: Arc<Statistics>,
    pub(super) reads: Histogram,
    pub(super) writes: Histogram,
    pub(super) device: SetOnce<DeviceFacts>,
    pub(super) queue: SetOnce<QueueFacts>,
    /// When the connection was made, in ticks.
    up: SetOnce<u64>,
    /// Target's name, once it is known.
    target: SetOnce<KVec<u8>>,
    bound: SetOnce<Bound>,
    failure: SetOnce<Failure>,
    /// The history has the failure.
    noted: Atomic<bool>,
}

static NUMBER: Atomic<u32> = Atomic::new(0);

impl Observed {
    /// May sleep.
    pub(super) fn new(portal: SockAddr) -> Result<Self> {
        Ok(Self {
            number: NUMBER.fetch_add(1, Relaxed),
            portal,
            sent: Apart::default(),
            received: Apart::default(),
            handled: Handled::default(),
            queue_pair: Arc::new(Statistics::default(), GFP_KERNEL)?,
            reads: Histogram::new()?,
            writes: Histogram::new()?,
            device: SetOnce::new(),
            queue: SetOnce::new(),
            up: SetOnce::new(),
            target: SetOnce::new(),
            bound: SetOnce::new(),
            failure: SetOnce::new(),
            noted: Atomic::new(false),
        })
    }

    /// Which connection, for tracepoints.
    #[inline(always)]
    pub(super) fn who(&self) -> Who {
        Who {
            connection: self.number,
            session: self.ids().map_or(-1, |ids| ids.session as i32),
        }
    }

    /// The numbers of session and host, once they are known.
    pub(super) fn ids(&self) -> Option<&Ids> {
        self.bound.as_ref().map(|bound| &bound.ids)
    }

    /// What is kept of the session, once it is known.
    pub(super) fn history(&self) -> Option<&Past> {
        self.bound.as_ref().map(|bound| &*bound.history.past)
    }

    /// The target's name, once it is known.
    pub(super) fn target(&self) -> Option<&str> {
        let name = self.target.as_ref()?;
        core::str::from_utf8(name).ok()
    }

    /// Remembers the target's name. May sleep.
    pub(super) fn set_target(&self, name: &[u8]) {
        let mut copy = KVec::new();
        // Without memory it stays unknown.
        if !name.is_empty() && copy.extend_from_slice(name, GFP_KERNEL).is_ok() {
            self.target.populate(copy);
        }
    }

    /// The connection is made.
    pub(super) fn made(&self) {
        self.up.populate(clock::ticks());
        totals::connections().connections_made.add(1);
        self.trace_state("up");
    }

    /// Seconds since the connection was made.
    pub(super) fn age(&self) -> Option<u64> {
        Some(clock::ms_since(self.up.copy()?) / 1000)
    }

    /// The connection belongs to this session from now on. May sleep.
    pub(super) fn bind(&self, ids: Ids, history: Arc<History>) {
        history.number(&ids);
        let before = history.past.connections.get();
        history.past.connections.add(1);
        if before > 0 {
            totals::connections().reconnects.add(1);
        }
        self.bound.populate(Bound { ids, history });
        self.trace_state("bound");
    }

    /// Tells of another state of the connection.
    pub(super) fn trace_state(&self, state: &'static str) {
        trace::tell!(connection_state, (self.who(), state, self.place()));
    }

    /// Tells that the device goes away.
    pub(super) fn trace_removal(&self) {
        trace::tell!(device_removal, {
            let device = self
                .device
                .as_ref()
                .map_or("", |device| device.name.as_str());
            (self.who(), device, Text::of(self.portal))
        });
    }

    /// To what it leads, for tracepoints.
    fn place(&self) -> Where {
        Where {
            portal: Text::of(self.portal),
            target: Text::of(self.target().unwrap_or("")),
        }
    }

    /// An error handler has got somewhere, with the session that `bound` is of. May sleep.
    pub(super) fn error_handling(&self, step: Step, bound: Option<&Connection>) {
        let handler = match step.handler {
            Handler::Abort => "abort",
            Handler::DeviceReset => "lun_reset",
            Handler::TargetReset => "target_reset",
        };
        let progress = match step.progress {
            Progress::Begun => {
                let count = match step.handler {
                    Handler::Abort => &self.handled.aborts,
                    Handler::DeviceReset | Handler::TargetReset => &self.handled.resets,
                };
                count.add(1);
                "begun"
            }
            Progress::Answered => "answered",
            Progress::GaveUp => {
                self.failed(
                    Cause::GaveUp.into(),
                    fmt!("connection failed, the target did not abort a command, or reset, when it was asked to"),
                );
                // The connection may have ended meanwhile.
                self.note_failure();
                "gave_up"
            }
            Progress::Succeeded => "succeeded",
            Progress::Failed => "failed",
        };
        trace::tell!(error_handler, {
            let itt = step.task.zip(bound).map(|(index, bound)| bound.tag(index));
            (self.who(), itt, handler, progress)
        });
    }

    /// The connection is lost, or could not be made. Any context; only the first failure counts.
    pub(super) fn failed(&self, reason: Reason, text: fmt::Arguments<'_>) {
        let failure = Failure {
            text: Text::of(text),
            at: clock::ticks(),
        };
        if !self.failure.populate(failure) {
            return;
        }
        trace::tell!(connection_failed, {
            let text = self.failure().map_or("", |failure| failure.text.as_str());
            (self.who(), reason.name(), text, self.place())
        });
        totals::failed(reason);
        let connections = totals::connections();
        if self.up.as_ref().is_some() {
            connections.connections_failed.add(1);
        } else {
            connections.connects_failed.add(1);
        }
        log::failure(Name(self), &self.portal, reason, text);
    }

    /// Its failure, if it has failed.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Lets the session's history know of the failure. May sleep.
    pub(super) fn note_failure(&self) {
        if let (Some(failure), Some(history)) = (self.failure(), self.history()) {
            if !self.noted.xchg(true, Relaxed) {
                history.failures.add(1);
                *history.last.lock() = Some(failure.clone());
            }
        }
    }
}

/// How a connection is called in the log.
pub(super) struct Name<'a>(pub(super) &'a Observed);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(target) = self.0.target() {
            write!(f, "{target} at ")?;
        }
        fmt::Display::fmt(&self.0.portal, f)?;
        if let Some(ids) = self.0.ids() {
            write!(f, " (session {})", ids.session)?;
        }
        Ok(())
    }
}
