// SPDX-License-Identifier: GPL-2.0

//! The list of sessions, and the list of hung commands, for a person.

use std::collections::BTreeMap;

use crate::{
    health::{self, Problem},
    histogram::Histogram,
    interval::Rates,
    model::{Connection, Session, Slot, Snapshot, State},
    units,
};

/// A table with columns as wide as what is in them; the last one is not filled up.
struct Table<'a> {
    rows: Vec<Vec<String>>,
    /// Which columns are numbers, to be aligned on the right.
    right: &'a [usize],
}

impl<'a> Table<'a> {
    fn new(titles: &[&str], right: &'a [usize]) -> Self {
        Self {
            rows: vec![titles.iter().map(|t| t.to_string()).collect()],
            right,
        }
    }

    fn print(&self) -> String {
        let columns = self.rows[0].len();
        let width = |i: usize| {
            self.rows
                .iter()
                .map(|r| r[i].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (i, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if i > 0 {
                    line += "  ";
                }
                line += &if self.right.contains(&i) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                };
            }
            out += line.trim_end();
            out.push('\n');
        }
        out
    }
}

const NOTHING: &str = "-";

pub fn disks(session: &Session) -> String {
    let names: Vec<&str> = session
        .disks
        .iter()
        .filter_map(|d| d.name.as_deref())
        .collect();
    match names.as_slice() {
        [] => NOTHING.into(),
        names if names.len() <= 4 => names.join(","),
        names => format!("{},… ({})", names[..2].join(","), names.len()),
    }
}

pub fn sessions(snapshot: &Snapshot, rates: &BTreeMap<u32, Rates>, problems: &[Problem]) -> String {
    let mut out = String::new();
    if !snapshot.sessions.is_empty() {
        let measured = snapshot.latency == Some(true) && !rates.is_empty();
        let (titles, right): (&[&str], &[usize]) = if measured {
            (&TITLES_WITH_LATENCY, &[0, 4, 5, 6, 7, 8, 9, 10])
        } else {
            (&TITLES, &[0, 4, 5, 6, 7, 8])
        };
        let mut table = Table::new(titles, right);
        for s in &snapshot.sessions {
            table.rows.push(row(s, rates.get(&s.id), titles));
        }
        out += &table.print();
    }
    for c in &snapshot.others {
        out += &other(c);
    }
    for p in problems {
        out += &format!("{}: {}\n", p.status.name(), p.text);
    }
    for s in &snapshot.sessions {
        out += &was_lost(s).unwrap_or_default();
    }
    out
}

/// How long it is told of a session that is up again why it was not.
const REMEMBERED: f64 = 86400.0;

fn was_lost(s: &Session) -> Option<String> {
    let (error, Some(ago)) = s.last_error()? else {
        return None;
    };
    (s.state() == State::Up && ago < REMEMBERED).then(|| {
        let (id, name, ago) = (s.id, s.name(), units::age(ago));
        format!("session {id} ({name}): up again; last error: {error}, {ago} ago\n")
    })
}

const TITLES: [&str; 11] = [
    "SESSION",
    "STATE",
    "DEVICE",
    "DISKS",
    "READ/s",
    "READ B/s",
    "WRITE/s",
    "WRITE B/s",
    "IN FLIGHT",
    "PORTAL",
    "TARGET",
];

/// The same while latencies are counted.
const TITLES_WITH_LATENCY: [&str; 13] = [
    "SESSION",
    "STATE",
    "DEVICE",
    "DISKS",
    "READ/s",
    "READ B/s",
    "READ p99",
    "WRITE/s",
    "WRITE B/s",
    "WRITE p99",
    "IN FLIGHT",
    "PORTAL",
    "TARGET",
];

fn row(s: &Session, rates: Option<&Rates>, titles: &[&str]) -> Vec<String> {
    let cell = |title: &&str| match *title {
        "SESSION" => Some(s.id.to_string()),
        "STATE" => Some(s.state().name().into()),
        "DEVICE" => s.connection().and_then(Connection::device),
        "DISKS" => Some(disks(s)),
        "READ/s" => rates.map(|r| units::count(r.reads)),
        "READ B/s" => rates.map(|r| units::bytes(r.read_bytes)),
        "READ p99" => rates.and_then(|r| p99(&r.read_latency)),
        "WRITE/s" => rates.map(|r| units::count(r.writes)),
        "WRITE B/s" => rates.map(|r| units::bytes(r.write_bytes)),
        "WRITE p99" => rates.and_then(|r| p99(&r.write_latency)),
        "IN FLIGHT" => in_flight(s).map(|n| n.to_string()),
        "PORTAL" => s.portal.clone(),
        _ => Some(s.name().into()),
    };
    titles
        .iter()
        .map(|t| cell(t).unwrap_or(NOTHING.into()))
        .collect()
}

fn p99(h: &Histogram) -> Option<String> {
    h.quantile(0.99).map(units::latency)
}

/// By the connection's slots, else by its disks.
pub fn in_flight(s: &Session) -> Option<u64> {
    match s.connection() {
        Some(c) => Some(c.slots.len() as u64),
        None if s.disks.iter().any(|d| d.io.is_some()) => Some(
            s.disks
                .iter()
                .filter_map(|d| d.io)
                .map(|io| io.in_flight)
                .sum(),
        ),
        None => None,
    }
}

/// A line for a connection that belongs to no session.
pub fn other(c: &Connection) -> String {
    let mut line = format!(
        "connection {} to {}: {}, of no session",
        c.id,
        c.field("portal").unwrap_or("an unknown portal"),
        c.state().unwrap_or("in an unknown state"),
    );
    if let Some((error, ago)) = c.last_error() {
        line += &format!("; last error: {error}");
        if let Some(ago) = ago {
            line += &format!(", {} ago", units::age(ago));
        }
    }
    line + "\n"
}

pub fn hung(commands: &[(&Connection, &Slot)], older_than: f64) -> String {
    if commands.is_empty() {
        return format!("no command is in flight for {older_than} s or longer\n");
    }
    let titles = [
        "AGE",
        "SESSION",
        "SLOT",
        "ITT",
        "DIRECTION",
        "BYTES",
        "STATE",
        "TARGET",
    ];
    let mut table = Table::new(&titles, &[0, 1, 2, 5]);
    for (c, slot) in commands {
        table.rows.push(vec![
            units::age(slot.age_ms as f64 / 1000.0),
            c.session().map_or(NOTHING.into(), |s| s.to_string()),
            slot.slot.to_string(),
            slot.itt.clone(),
            slot.direction.clone(),
            slot.bytes.to_string(),
            slot.state.clone(),
            c.field("target").unwrap_or(NOTHING).into(),
        ]);
    }
    table.print()
}

/// What cannot be seen, for standard error.
pub fn notes(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    for note in health::missing(snapshot) {
        out += &format!(
            "iser-stat: {note}
"
        );
    }
    out
}
