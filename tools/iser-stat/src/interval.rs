// SPDX-License-Identifier: GPL-2.0

//! What happened between two snapshots.

use std::collections::BTreeMap;

use crate::{
    histogram::Histogram,
    model::{Connection, DiskIo, Session, Snapshot},
};

/// Where the rates of a session come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The counters of its connection.
    Connection,
    /// Its disks: what the block layer did, in place of that.
    Disks,
}

/// Of one session, per second.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    pub source: Source,
    pub seconds: f64,
    pub reads: f64,
    pub read_bytes: f64,
    pub writes: f64,
    pub write_bytes: f64,
    /// What each counter of the connection grew by.
    pub grown: BTreeMap<String, u64>,
    /// Latencies of the commands that ended in this time.
    pub read_latency: Histogram,
    pub write_latency: Histogram,
}

impl Rates {
    /// How much a counter grew for each command, as in: registrations for each command.
    pub fn per_command(&self, counter: &str) -> Option<f64> {
        let get = |name: &str| self.grown.get(name).copied();
        let commands = ["commands_read", "commands_write", "commands_none"];
        let commands: u64 = commands.iter().filter_map(|name| get(name)).sum();
        (commands > 0).then_some(get(counter)? as f64 / commands as f64)
    }
}

/// Rates of the sessions of `after`, by their number, as far as they can be told.
pub fn rates(before: &Snapshot, after: &Snapshot) -> BTreeMap<u32, Rates> {
    let seconds = after.taken.duration_since(before.taken).as_secs_f64();
    if seconds <= 0.0 {
        return BTreeMap::new();
    }
    let of = |session: &Session| {
        let rates = by_connection(before, session, seconds)
            .or_else(|| by_disks(before, session, seconds))?;
        Some((session.id, rates))
    };
    after.sessions.iter().filter_map(of).collect()
}

fn by_connection(before: &Snapshot, session: &Session, seconds: f64) -> Option<Rates> {
    let now = session.connection().filter(|c| !c.counters.is_empty())?;
    // Numbers are given once: one that was not there has been made since, and began at zero.
    let nothing = Connection::default();
    let all = before
        .sessions
        .iter()
        .flat_map(|s| &s.connections)
        .chain(&before.others);
    let then = { all }.find(|c| c.id == now.id).unwrap_or(&nothing);
    let mut grown = BTreeMap::new();
    for (name, &value) in &now.counters {
        let earlier = then.counters.get(name).copied().unwrap_or(0);
        // What shrinks is no count of events, such as a low-water mark.
        if let Some(by) = value.checked_sub(earlier) {
            grown.insert(name.clone(), by);
        }
    }
    let rate = |name: &str| grown.get(name).map_or(0.0, |&n| n as f64 / seconds);
    Some(Rates {
        source: Source::Connection,
        seconds,
        reads: rate("commands_read"),
        read_bytes: rate("bytes_read"),
        writes: rate("commands_write"),
        write_bytes: rate("bytes_write"),
        read_latency: now.reads.since(&then.reads),
        write_latency: now.writes.since(&then.writes),
        grown,
    })
}

fn by_disks(before: &Snapshot, session: &Session, seconds: f64) -> Option<Rates> {
    let earlier = before.sessions.iter().find(|s| s.id == session.id)?;
    let mut sum = DiskIo::default();
    let mut any = false;
    for disk in &session.disks {
        let same = earlier
            .disks
            .iter()
            .find(|d| d.name.is_some() && d.name == disk.name);
        if let (Some(then), Some(now)) = (same.and_then(|d| d.io), disk.io) {
            sum.reads += now.reads.saturating_sub(then.reads);
            sum.read_bytes += now.read_bytes.saturating_sub(then.read_bytes);
            sum.writes += now.writes.saturating_sub(then.writes);
            sum.write_bytes += now.write_bytes.saturating_sub(then.write_bytes);
            any = true;
        }
    }
    any.then(|| Rates {
        source: Source::Disks,
        seconds,
        reads: sum.reads as f64 / seconds,
        read_bytes: sum.read_bytes as f64 / seconds,
        writes: sum.writes as f64 / seconds,
        write_bytes: sum.write_bytes as f64 / seconds,
        grown: BTreeMap::new(),
        read_latency: Histogram::default(),
        write_latency: Histogram::default(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::{Debugfs, Disk, Driver};

    fn snapshot(at: Instant, session: Session) -> Snapshot {
        Snapshot {
            taken: at,
            driver: Driver::Ours,
            debugfs: Debugfs::Readable,
            latency: None,
            totals: Default::default(),
            sessions: vec![session],
            others: vec![],
        }
    }

    fn with_counters(id: u32, counters: &[(&str, u64)]) -> Session {
        Session {
            id: 1,
            connections: vec![Connection {
                id,
                counters: counters.iter().map(|(n, v)| (n.to_string(), *v)).collect(),
                ..Connection::default()
            }],
            ..Session::default()
        }
    }

    fn two_seconds(a: Session, b: Session) -> Option<Rates> {
        let now = Instant::now();
        rates(
            &snapshot(now, a),
            &snapshot(now + Duration::from_secs(2), b),
        )
        .remove(&1)
    }

    #[test]
    fn of_a_connection() {
        let low = "receive_low_water";
        let a = with_counters(
            4,
            &[
                ("commands_read", 10),
                ("bytes_read", 0),
                ("wr_reg", 1),
                (low, 9),
            ],
        );
        let b = with_counters(
            4,
            &[
                ("commands_read", 30),
                ("bytes_read", 8192),
                ("wr_reg", 6),
                (low, 3),
            ],
        );
        let r = two_seconds(a, b).unwrap();
        assert_eq!(
            (r.source, r.reads, r.read_bytes, r.writes),
            (Source::Connection, 10.0, 4096.0, 0.0)
        );
        assert_eq!(r.per_command("wr_reg"), Some(0.25));
        assert_eq!(r.per_command(low), None);
        assert_eq!(r.per_command("none such"), None);
    }

    #[test]
    fn of_a_connection_that_is_new() {
        let a = with_counters(4, &[("commands_read", 1000)]);
        let b = with_counters(5, &[("commands_read", 30)]);
        assert_eq!(two_seconds(a, b).unwrap().reads, 15.0);
    }

    #[test]
    fn of_disks_without_counters() {
        let disk = |name: &str, reads| Disk {
            name: Some(name.into()),
            io: Some(DiskIo {
                reads,
                read_bytes: reads * 512,
                ..DiskIo::default()
            }),
            ..Disk::default()
        };
        let of = |disks| Session {
            id: 1,
            disks,
            ..Session::default()
        };
        let r = two_seconds(
            of(vec![disk("sda", 5)]),
            of(vec![disk("sda", 9), disk("sdb", 70)]),
        )
        .unwrap();
        assert_eq!(
            (r.source, r.reads, r.read_bytes),
            (Source::Disks, 2.0, 1024.0)
        );
        assert_eq!(two_seconds(of(vec![]), of(vec![disk("sdb", 70)])), None);
    }

    #[test]
    fn no_time_no_rates() {
        let s = snapshot(Instant::now(), with_counters(1, &[("commands_read", 1)]));
        assert!(rates(&s, &s).is_empty());
    }
}
