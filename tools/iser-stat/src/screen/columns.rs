// SPDX-License-Identifier: GPL-2.0

//! The columns of the list of sessions, and which of them fit.

use crate::{
    histogram::Histogram,
    interval::Rates,
    model::{Connection, Session},
    text, units,
};

/// A column: its title, how wide, whether numbers are in it, how early it gets room, what is in it.
pub struct Column {
    pub title: &'static str,
    pub width: u16,
    pub right: bool,
    pub rank: u8,
    pub cell: fn(&Session, Option<&Rates>) -> String,
}

const fn column(
    title: &'static str,
    width: u16,
    right: bool,
    rank: u8,
    cell: fn(&Session, Option<&Rates>) -> String,
) -> Column {
    Column {
        title,
        width,
        right,
        rank,
        cell,
    }
}

pub const TARGET: &str = "TARGET";

/// The least that the target's name gets, or as much as it needs.
const TARGET_WIDTH: u16 = 16;

const COLUMNS: &[Column] = &[
    column("SID", 4, true, 0, |s, _| s.id.to_string()),
    column("STATE", 10, false, 0, |s, _| s.state().name().into()),
    column(TARGET, TARGET_WIDTH, false, 0, |s, _| s.name().into()),
    column("PORTAL", 21, false, 7, |s, _| {
        s.portal.clone().unwrap_or_default()
    }),
    column("DEVICE", 11, false, 8, |s, _| {
        s.connection()
            .and_then(Connection::device)
            .unwrap_or_default()
    }),
    column("DISKS", 10, false, 6, |s, _| text::disks(s)),
    column("READ/s", 6, true, 1, |_, r| {
        of(r, |r| units::count(r.reads))
    }),
    column("READ B/s", 8, true, 2, |_, r| {
        of(r, |r| units::bytes(r.read_bytes))
    }),
    column("p50", 6, true, 9, |_, r| {
        quantile(r, |r| &r.read_latency, 0.5)
    }),
    column("p99", 6, true, 4, |_, r| {
        quantile(r, |r| &r.read_latency, 0.99)
    }),
    column("p99.9", 6, true, 10, |_, r| {
        quantile(r, |r| &r.read_latency, 0.999)
    }),
    column("WRITE/s", 7, true, 1, |_, r| {
        of(r, |r| units::count(r.writes))
    }),
    column("WRITE B/s", 9, true, 2, |_, r| {
        of(r, |r| units::bytes(r.write_bytes))
    }),
    column("p50", 6, true, 9, |_, r| {
        quantile(r, |r| &r.write_latency, 0.5)
    }),
    column("p99", 6, true, 4, |_, r| {
        quantile(r, |r| &r.write_latency, 0.99)
    }),
    column("p99.9", 6, true, 10, |_, r| {
        quantile(r, |r| &r.write_latency, 0.999)
    }),
    column("FLY", 4, true, 3, |s, _| {
        text::in_flight(s).map_or(String::new(), |n| n.to_string())
    }),
    column("OLDEST", 7, true, 5, |s, _| {
        let oldest = s
            .connections
            .iter()
            .filter_map(Connection::oldest)
            .map(|c| c.age_ms)
            .max();
        oldest.map_or(String::new(), |ms| units::age(ms as f64 / 1000.0))
    }),
];

fn of(rates: Option<&Rates>, show: fn(&Rates) -> String) -> String {
    rates.map_or("-".into(), show)
}

fn quantile(rates: Option<&Rates>, which: fn(&Rates) -> &Histogram, share: f64) -> String {
    rates
        .and_then(|r| which(r).quantile(share))
        .map_or("-".into(), units::latency)
}

/// The columns for which there is room, as they are from left to right.
pub fn columns_for(width: u16) -> Vec<&'static Column> {
    let mut ranks: Vec<u8> = COLUMNS.iter().map(|c| c.rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let mut last = 0;
    for rank in ranks {
        let total: u16 = COLUMNS
            .iter()
            .filter(|c| c.rank <= rank)
            .map(|c| c.width + 1)
            .sum();
        if total > width + 1 {
            break;
        }
        last = rank;
    }
    COLUMNS.iter().filter(|c| c.rank <= last).collect()
}
