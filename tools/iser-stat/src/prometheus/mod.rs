// SPDX-License-Identifier: GPL-2.0

//! The output for Prometheus: its text format, for node_exporter's textfile collector.
//!
//! Names and labels are stable. A session whose connection is made anew counts from zero there, so
//! the connection's number is a label: take rates first, sums then.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::{Connection, Debugfs, Driver, Session, Snapshot, State};

mod format;
mod tables;

pub use format::write_atomically;
use format::{label, Family};
use tables::{COUNTERS, TOTALS};

/// What tells a session's series from those of others.
fn session_labels(s: &Session) -> String {
    let session = s.id.to_string();
    [
        label("target", s.target.as_deref().unwrap_or("")),
        label("portal", s.portal.as_deref().unwrap_or("")),
        label("session", &session),
    ]
    .join(",")
}

fn connection_labels(c: &Connection, s: Option<&Session>) -> String {
    let of_session = match s {
        Some(s) => session_labels(s),
        None => [
            label("target", c.field("target").unwrap_or("")),
            label("portal", c.field("portal").unwrap_or("")),
            label("session", ""),
        ]
        .join(","),
    };
    format!("{of_session},{}", label("connection", &c.id.to_string()))
}

/// All metrics, in Prometheus' text format.
pub fn metrics(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    about_module(snapshot, &mut out);
    about_sessions(&snapshot.sessions, &mut out);
    let of_sessions = snapshot
        .sessions
        .iter()
        .flat_map(|s| s.connections.iter().map(move |c| (c, Some(s))));
    let connections: Vec<(String, &Connection)> = of_sessions
        .chain(snapshot.others.iter().map(|c| (c, None)))
        .map(|(c, s)| (connection_labels(c, s), c))
        .collect();
    for (metric, help, members) in COUNTERS {
        let mut family = Family::new(metric, "counter", help);
        for (labels, c) in &connections {
            for (counter, which) in *members {
                if let Some(value) = c.counters.get(*counter) {
                    family.sample("", &[labels, which], value);
                }
            }
        }
        family.write_to(&mut out);
    }
    about_connections(&connections, &mut out);
    out
}

fn about_module(snapshot: &Snapshot, out: &mut String) {
    let mut gauge = |name, help, value: Option<u64>| {
        let mut family = Family::new(name, "gauge", help);
        if let Some(value) = value {
            family.sample("", &[], value);
        }
        family.write_to(out);
    };
    let loaded = snapshot.driver == Driver::Ours;
    gauge(
        "iser_rs_loaded",
        "Whether the module ib_iser_rs is loaded.",
        Some(loaded.into()),
    );
    let readable = loaded && snapshot.debugfs == Debugfs::Readable;
    gauge(
        "iser_rs_counters_readable",
        "Whether the module's counters could be read.",
        Some(readable.into()),
    );
    gauge(
        "iser_rs_latency_enabled",
        "Whether latencies are counted.",
        snapshot.latency.map(u64::from),
    );
    for (metric, help, counter) in TOTALS {
        let mut family = Family::new(metric, "counter", help);
        if let Some(value) = snapshot.totals.get(*counter) {
            family.sample("", &[], value);
        }
        family.write_to(out);
    }
    let mut family = Family::new(
        "iser_rs_connection_failures_total",
        "counter",
        "Connections lost or not made since the module was loaded, by reason.",
    );
    for (name, value) in &snapshot.totals {
        for (prefix, kind) in [
            ("protocol_errors_", "protocol_error"),
            ("failures_", "other"),
        ] {
            if let Some(reason) = name.strip_prefix(prefix) {
                family.sample("", &[&label("kind", kind), &label("reason", reason)], value);
            }
        }
    }
    family.write_to(out);
}

fn about_sessions(sessions: &[Session], out: &mut String) {
    let mut up = Family::new(
        "iser_rs_session_up",
        "gauge",
        "Whether the session is logged in and connected.",
    );
    let mut state = Family::new(
        "iser_rs_session_state",
        "gauge",
        "1 for the state that the session is in, 0 for others.",
    );
    let mut disks = Family::new(
        "iser_rs_disk_info",
        "gauge",
        "The disks of a session; always 1.",
    );
    let mut lost = Family::new(
        "iser_rs_session_failures_total",
        "counter",
        "Connections that the session has lost.",
    );
    let mut again = Family::new(
        "iser_rs_session_reconnects_total",
        "counter",
        "Connections that were made anew for the session.",
    );
    for s in sessions.iter().filter(|s| !s.is_discovery()) {
        let labels = session_labels(s);
        for (family, field) in [(&mut lost, "failures"), (&mut again, "reconnects")] {
            if let Some(n) = s.kept(field) {
                family.sample("", &[&labels], n);
            }
        }
        up.sample("", &[&labels], u8::from(s.state() == State::Up));
        for one in State::ALL {
            let which = label("state", one.name());
            state.sample("", &[&labels, &which], u8::from(s.state() == one));
        }
        for d in &s.disks {
            if let Some(name) = &d.name {
                let lun = d.lun.map_or(String::new(), |l| l.to_string());
                disks.sample(
                    "",
                    &[&labels, &label("device", name), &label("lun", &lun)],
                    1,
                );
            }
        }
    }
    for family in [up, state, lost, again, disks] {
        family.write_to(out);
    }
}

fn about_connections(connections: &[(String, &Connection)], out: &mut String) {
    let mut info = Family::new(
        "iser_rs_connection_info",
        "gauge",
        "What a connection uses; always 1.",
    );
    let mut slots = Family::new("iser_rs_slots", "gauge", "Commands that can be in flight.");
    let mut flight = Family::new("iser_rs_commands_in_flight", "gauge", "Commands in flight.");
    let mut oldest = Family::new(
        "iser_rs_oldest_command_seconds",
        "gauge",
        "How long the oldest command has been in flight.",
    );
    let mut low = Family::new(
        "iser_rs_receive_queue_low_water",
        "gauge",
        "The fewest receives that were ever posted.",
    );
    let mut error = Family::new(
        "iser_rs_last_error_timestamp_seconds",
        "gauge",
        "When the last error was, in seconds since 1970.",
    );
    let mut latency = Family::new(
        "iser_rs_command_duration_seconds",
        "histogram",
        "From sending a command to its end, counted while histograms are on; the sum is an estimate.",
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64());
    for (labels, c) in connections {
        let field = |name| label(name, c.field(name).unwrap_or(""));
        info.sample(
            "",
            &[
                labels,
                &field("device"),
                &field("port"),
                &field("source"),
                &field("state"),
            ],
            1,
        );
        if let Some(n) = c.number("slots") {
            slots.sample("", &[labels], n);
        }
        flight.sample("", &[labels], c.slots.len());
        oldest.sample(
            "",
            &[labels],
            c.oldest().map_or(0.0, |s| s.age_ms as f64 / 1000.0),
        );
        if let Some(n) = c.counters.get("receive_low_water") {
            low.sample("", &[labels], n);
        }
        if let Some((_, Some(age))) = c.last_error() {
            error.sample("", &[labels], (now - age).round());
        }
        for (direction, h) in [("read", &c.reads), ("write", &c.writes)] {
            if h.count() > 0 {
                latency.histogram(&[labels, &label("direction", direction)], h);
            }
        }
    }
    for family in [info, slots, flight, oldest, low, error, latency] {
        family.write_to(out);
    }
}
