// SPDX-License-Identifier: GPL-2.0

//! The output for scripts. What is here is the schema: a field keeps its name and meaning as long
//! as `schema` is the same, new ones may come. What is not known is null.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    health::{self, Problem},
    histogram::Histogram,
    interval::{Rates, Source},
    model::{Connection, Disk, Session, Slot, Snapshot},
};

pub const SCHEMA: u32 = 1;

/// Fields of a connection's `info` that are numbers.
const NUMBERS: &[&str] = &[
    "port",
    "qp",
    "host",
    "session",
    "connection",
    "slots",
    "send_queue",
    "receive_queue",
    "first_burst",
    "max_data_segment",
    "since",
    "last_error_age",
    "failures",
    "reconnects",
];

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    driver: Option<&'static str>,
    status: &'static str,
    problems: Vec<&'a str>,
    notes: Vec<String>,
    latency_enabled: Option<bool>,
    totals: &'a BTreeMap<String, u64>,
    sessions: Vec<SessionReport<'a>>,
    other_connections: Vec<ConnectionReport<'a>>,
}

#[derive(Serialize)]
struct SessionReport<'a> {
    session: u32,
    host: Option<u32>,
    target: Option<&'a str>,
    portal: Option<&'a str>,
    state: &'static str,
    kernel_state: Option<&'a str>,
    last_error: Option<&'a str>,
    last_error_age_seconds: Option<f64>,
    failures: Option<u64>,
    reconnects: Option<u64>,
    disks: Vec<DiskReport<'a>>,
    rates: Option<RatesReport<'a>>,
    connections: Vec<ConnectionReport<'a>>,
}

#[derive(Serialize)]
struct DiskReport<'a> {
    name: Option<&'a str>,
    lun: Option<u64>,
    state: Option<&'a str>,
}

/// Per second, over `seconds`; latencies are of the commands that ended in that time.
#[derive(Serialize)]
struct RatesReport<'a> {
    source: &'static str,
    seconds: f64,
    reads: f64,
    read_bytes: f64,
    writes: f64,
    write_bytes: f64,
    read_latency: Option<LatencyReport>,
    write_latency: Option<LatencyReport>,
    /// By how much the connection's counters grew.
    grown: &'a BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct ConnectionReport<'a> {
    id: u32,
    info: BTreeMap<&'a str, Value>,
    counters: &'a BTreeMap<String, u64>,
    in_flight: Vec<CommandReport<'a>>,
    /// Since histograms were turned on.
    read_latency: Option<LatencyReport>,
    write_latency: Option<LatencyReport>,
}

#[derive(Serialize)]
struct LatencyReport {
    count: u64,
    p50_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    /// From, to below, how many.
    buckets_ns: Vec<(u64, u64, u64)>,
}

#[derive(Serialize)]
struct CommandReport<'a> {
    slot: u32,
    itt: &'a str,
    state: &'a str,
    direction: &'a str,
    bytes: u64,
    age_ms: u64,
}

#[derive(Serialize)]
struct HungReport<'a> {
    schema: u32,
    notes: Vec<String>,
    older_than_seconds: f64,
    /// Null where they cannot be seen.
    commands: Option<Vec<HungCommand<'a>>>,
}

#[derive(Serialize)]
struct HungCommand<'a> {
    session: Option<u32>,
    connection: u32,
    target: Option<&'a str>,
    #[serde(flatten)]
    command: CommandReport<'a>,
}

pub fn report(snapshot: &Snapshot, rates: &BTreeMap<u32, Rates>, problems: &[Problem]) -> String {
    print(&Report {
        schema: SCHEMA,
        driver: snapshot.driver.name(),
        status: health::worst(problems).name(),
        problems: problems.iter().map(|p| p.text.as_str()).collect(),
        notes: health::missing(snapshot),
        latency_enabled: snapshot.latency,
        totals: &snapshot.totals,
        sessions: snapshot
            .sessions
            .iter()
            .map(|s| session(s, rates.get(&s.id)))
            .collect(),
        other_connections: snapshot.others.iter().map(connection).collect(),
    })
}

pub fn hung<'a>(snapshot: &'a Snapshot, seen: bool, older_than: f64) -> String {
    let of = |(c, slot): (&'a Connection, &'a Slot)| HungCommand {
        session: c.session(),
        connection: c.id,
        target: c.field("target"),
        command: command(slot),
    };
    let commands = || health::hung(snapshot, older_than).into_iter().map(of);
    print(&HungReport {
        schema: SCHEMA,
        notes: health::missing(snapshot),
        older_than_seconds: older_than,
        commands: seen.then(|| commands().collect()),
    })
}

fn print(report: &impl Serialize) -> String {
    serde_json::to_string_pretty(report).expect("maps with text for keys are JSON") + "\n"
}

fn session<'a>(s: &'a Session, rates: Option<&'a Rates>) -> SessionReport<'a> {
    let error = s.last_error();
    SessionReport {
        session: s.id,
        host: s.host,
        target: s.target.as_deref(),
        portal: s.portal.as_deref(),
        state: s.state().name(),
        kernel_state: s.kernel_state.as_deref(),
        last_error: error.map(|e| e.0),
        last_error_age_seconds: error.and_then(|e| e.1),
        failures: s.kept("failures"),
        reconnects: s.kept("reconnects"),
        disks: s.disks.iter().map(disk).collect(),
        rates: rates.map(rates_report),
        connections: s.connections.iter().map(connection).collect(),
    }
}

fn disk(d: &Disk) -> DiskReport<'_> {
    DiskReport {
        name: d.name.as_deref(),
        lun: d.lun,
        state: d.state.as_deref(),
    }
}

fn rates_report(r: &Rates) -> RatesReport<'_> {
    RatesReport {
        source: match r.source {
            Source::Connection => "connection",
            Source::Disks => "disks",
        },
        seconds: r.seconds,
        reads: r.reads,
        read_bytes: r.read_bytes,
        writes: r.writes,
        write_bytes: r.write_bytes,
        read_latency: latency(&r.read_latency),
        write_latency: latency(&r.write_latency),
        grown: &r.grown,
    }
}

fn connection(c: &Connection) -> ConnectionReport<'_> {
    ConnectionReport {
        id: c.id,
        info: c
            .info
            .keys()
            .map(|name| (name.as_str(), value(c, name)))
            .collect(),
        counters: &c.counters,
        in_flight: c.slots.iter().map(command).collect(),
        read_latency: latency(&c.reads),
        write_latency: latency(&c.writes),
    }
}

fn value(c: &Connection, name: &str) -> Value {
    match c.field(name) {
        None => Value::Null,
        Some(text) if NUMBERS.contains(&name) => serde_json::from_str(text)
            .ok()
            .filter(Value::is_number)
            .unwrap_or_else(|| text.into()),
        Some(text @ ("yes" | "no")) => (text == "yes").into(),
        Some(text) => text.into(),
    }
}

fn latency(h: &Histogram) -> Option<LatencyReport> {
    (h.count() > 0).then(|| LatencyReport {
        count: h.count(),
        p50_ns: h.quantile(0.5),
        p99_ns: h.quantile(0.99),
        p999_ns: h.quantile(0.999),
        buckets_ns: h
            .buckets()
            .iter()
            .map(|b| (b.lower, b.upper, b.count))
            .collect(),
    })
}

fn command(s: &Slot) -> CommandReport<'_> {
    CommandReport {
        slot: s.slot,
        itt: &s.itt,
        state: &s.state,
        direction: &s.direction,
        bytes: s.bytes,
        age_ms: s.age_ms,
    }
}
