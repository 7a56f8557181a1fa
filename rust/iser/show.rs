// SPDX-License-Identifier: GPL-2.0

//! What user space sees of a connection: the files in its directory in debugfs.
//!
//! `Documentation/observability.rst` says what is in them. Whoever reads them changes nothing, and
//! what is read goes on meanwhile, so the figures are not all of the same moment.

use kernel::{
    prelude::*,
    seq_file::{seq_print, SeqFile},
    str::CString,
    sync::Arc, //
};

use super::{
    connection::Connection,
    observed::{Failure, Past}, //
};
use crate::{
    debugfs::{Directory, File, Shown, ROOT},
    iscsi::{self, connection::Ids},
    sg::Direction,
};

/// The directory of a connection. May sleep.
pub(super) fn directory(connection: &Arc<Connection>) -> Result<Directory<Connection>> {
    let name = CString::try_from_fmt(fmt!("connection-{}", connection.observed.number))?;
    Directory::new(Some(ROOT), &name, connection.clone())
}

impl Shown for Connection {
    const FILES: &'static [File<Self>] = &[
        File {
            name: c"info",
            show: Self::show_info,
            set: None,
        },
        File {
            name: c"counters",
            show: Self::show_counters,
            set: None,
        },
        File {
            name: c"slots",
            show: Self::show_slots,
            set: None,
        },
        File {
            name: c"latency",
            show: Self::show_latency,
            set: None,
        },
    ];
}

/// The directory of a session. May sleep.
pub(super) fn session_directory(past: &Arc<Past>, ids: &Ids) -> Result<Directory<Past>> {
    let name = CString::try_from_fmt(fmt!("session-{}", ids.session))?;
    Directory::new(Some(ROOT), &name, past.clone())
}

impl Shown for Past {
    const FILES: &'static [File<Self>] = &[File {
        name: c"info",
        show: Self::show_info,
        set: None,
    }];
}

impl Past {
    fn show_info(&self, m: &SeqFile) {
        show_failure(m, self.last().as_ref());
        self.show_counts(m);
    }

    fn show_counts(&self, m: &SeqFile) {
        seq_print!(m, "failures: {}\n", self.failures.get());
        let before = self.connections.get().saturating_sub(1);
        seq_print!(m, "reconnects: {before}\n");
    }
}

fn show_failure(m: &SeqFile, failure: Option<&Failure>) {
    match failure {
        None => seq_print!(m, "last_error: none\n"),
        Some(failure) => {
            seq_print!(m, "last_error: {}\n", failure.text);
            seq_print!(m, "last_error_age: {}\n", failure.age());
        }
    }
}

fn yes(yes: bool) -> &'static str {
    if yes {
        "yes"
    } else {
        "no"
    }
}

impl Connection {
    fn show_info(&self, m: &SeqFile) {
        let seen = &self.observed;
        seq_print!(m, "target: {}\n", seen.target().unwrap_or("none"));
        seq_print!(m, "portal: {}\n", seen.portal);
        if let Some(device) = seen.device.as_ref() {
            if let Some(source) = device.source {
                seq_print!(m, "source: {}\n", source.ip());
            }
            seq_print!(m, "device: {}\n", device.name);
            seq_print!(m, "port: {}\n", device.port);
        }
        if let Some(queue) = seen.queue.as_ref() {
            seq_print!(m, "qp: {}\n", queue.number);
            seq_print!(m, "send_queue: {}\n", queue.send);
            seq_print!(m, "receive_queue: {}\n", queue.receive);
        }
        seq_print!(m, "state: {}\n", self.phase());
        if let Some(remotely) = self.remote_invalidation() {
            seq_print!(m, "remote_invalidation: {}\n", yes(remotely));
        }
        if let Some((ids, bound)) = seen.ids().zip(self.bound()) {
            show_session(m, ids, bound);
        }
        if let Some(age) = seen.age() {
            seq_print!(m, "since: {age}\n");
        }
        let history = seen.history();
        let last = history.and_then(|history| history.last());
        show_failure(m, seen.failure().or(last.as_ref()));
        if let Some(history) = history {
            history.show_counts(m);
        }
    }

    fn show_counters(&self, m: &SeqFile) {
        let seen = &self.observed;
        let mut show = |name: &str, count: u64| seq_print!(m, "{name} {count}\n");
        seen.sent.tell(&mut show);
        seen.queue_pair.tell(&mut show);
        seen.received.tell(&mut show);
        seen.handled.tell(&mut show);
    }

    fn show_slots(&self, m: &SeqFile) {
        seq_print!(m, "slot itt state direction bytes age_ms\n");
        let Some(session) = self.bound() else {
            return;
        };
        // Without a queue pair there is nothing in flight.
        let _ = self.with_queue_pair(|queue_pair| {
            queue_pair.in_flight(|slot| {
                let direction = match slot.direction {
                    Some(Direction::FromDevice) => "read",
                    Some(Direction::ToDevice) => "write",
                    None => "none",
                };
                seq_print!(
                    m,
                    "{} {:#x} {} {} {} {}\n",
                    slot.index,
                    session.tag(slot.index),
                    slot.state,
                    direction,
                    slot.bytes,
                    slot.age_ms
                );
            });
            Ok(())
        });
    }

    fn show_latency(&self, m: &SeqFile) {
        for (name, histogram) in [
            ("read", &self.observed.reads),
            ("write", &self.observed.writes),
        ] {
            histogram.tell(|from, to, count| seq_print!(m, "{name} {from} {to} {count}\n"));
        }
    }
}

fn show_session(m: &SeqFile, ids: &Ids, bound: &iscsi::connection::Connection) {
    let kind = if bound.is_discovery() {
        "discovery"
    } else {
        "normal"
    };
    seq_print!(m, "type: {kind}\n");
    seq_print!(m, "host: {}\n", ids.host);
    seq_print!(m, "session: {}\n", ids.session);
    seq_print!(m, "connection: {}\n", ids.connection);
    seq_print!(m, "slots: {}\n", bound.tasks());
    let negotiated = bound.negotiated();
    seq_print!(m, "immediate_data: {}\n", yes(negotiated.immediate_data));
    seq_print!(m, "initial_r2t: {}\n", yes(negotiated.initial_r2t));
    seq_print!(m, "first_burst: {}\n", negotiated.first_burst);
    seq_print!(m, "max_data_segment: {}\n", negotiated.max_data_segment);
}
