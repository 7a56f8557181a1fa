// SPDX-License-Identifier: GPL-2.0

//! What is known at one moment.

use std::time::Instant;

use crate::{
    histogram::Histogram,
    parse::{Counters, Fields},
};

/// Whose transport `iser` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// ib_iser_rs.
    Ours,
    /// The kernel's own, ib_iser.
    C,
    /// None is loaded.
    None,
}

impl Driver {
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Ours => Some("ib_iser_rs"),
            Self::C => Some("ib_iser"),
            Self::None => None,
        }
    }
}

/// Whether the module's part of debugfs can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debugfs {
    Readable,
    /// We are not allowed to.
    Denied,
    NotMounted,
    /// The kernel has no debugfs.
    NoKernelSupport,
    /// It is mounted, and nothing of the module's is in it.
    Nothing,
}

#[derive(Clone, Debug)]
pub struct Snapshot {
    pub taken: Instant,
    pub driver: Driver,
    pub debugfs: Debugfs,
    /// Whether latencies are counted.
    pub latency: Option<bool>,
    /// The module's counters since it was loaded.
    pub totals: Counters,
    pub sessions: Vec<Session>,
    /// Connections of no session: being made, failed before login, or left over.
    pub others: Vec<Connection>,
}

#[derive(Clone, Debug, Default)]
pub struct Session {
    pub id: u32,
    pub host: Option<u32>,
    /// Nothing as long as there is none, as for discovery.
    pub target: Option<String>,
    pub portal: Option<String>,
    /// As the kernel calls it: LOGGED_IN, FAILED, FREE.
    pub kernel_state: Option<String>,
    pub disks: Vec<Disk>,
    /// The one in use, then older ones that are not gone yet.
    pub connections: Vec<Connection>,
    /// What all its connections were like, those that are gone too.
    pub history: Fields,
}

/// How a session is, in an administrator's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    /// It has no disks yet.
    LoggingIn,
    /// The connection was lost. I/O waits while it is made anew.
    Recovering,
    /// It was not made anew in time: I/O fails.
    Failed,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Up, Self::LoggingIn, Self::Recovering, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::LoggingIn => "login",
            Self::Recovering => "recovering",
            Self::Failed => "failed",
        }
    }
}

impl Session {
    pub fn connection(&self) -> Option<&Connection> {
        self.connections.first()
    }

    /// A number of what all its connections were like.
    pub fn past(&self, name: &str) -> Option<u64> {
        self.history.get(name)?.parse().ok()
    }

    /// It asks for targets, and ends when it has the answer.
    pub fn is_discovery(&self) -> bool {
        let kind = self.connection().and_then(|c| c.field("type"));
        self.target.is_none() || kind == Some("discovery")
    }

    pub fn state(&self) -> State {
        let connected = self.connection().is_none_or(|c| c.state() == Some("up"));
        match self.kernel_state.as_deref() {
            Some("LOGGED_IN") if connected => State::Up,
            // The kernel has not been told yet, or makes it anew.
            Some("LOGGED_IN" | "FAILED") => State::Recovering,
            // Before the first login; or after the time for recovery has run out.
            _ if self.disks.is_empty() => State::LoggingIn,
            _ => State::Failed,
        }
    }

    /// What it is called where there is room for one name.
    pub fn name(&self) -> &str {
        self.target.as_deref().unwrap_or("(discovery)")
    }

    /// A number that is kept of the session, whether it has a connection now or not.
    pub fn kept(&self, field: &str) -> Option<u64> {
        let of_connection = || self.connection().and_then(|c| c.number(field));
        self.past(field).or_else(of_connection)
    }

    /// The last error of its connections, and how many seconds ago it was.
    pub fn last_error(&self) -> Option<(&str, Option<f64>)> {
        let of_connections = self.connections.iter().map(|c| &c.info);
        let errors = of_connections.chain([&self.history]).filter_map(error_of);
        errors.min_by(|a, b| {
            let age = |e: &(_, Option<f64>)| e.1.unwrap_or(f64::INFINITY);
            age(a).total_cmp(&age(b))
        })
    }
}

/// What is known there of the last error, and how many seconds ago it was.
fn error_of(fields: &Fields) -> Option<(&str, Option<f64>)> {
    let error = fields.get("last_error").map(String::as_str);
    let age = fields.get("last_error_age").and_then(|a| a.parse().ok());
    Some((error.filter(|e| !NOTHING.contains(e))?, age))
}

/// Values that say nothing.
const NOTHING: [&str; 3] = ["", "none", "-"];

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disk {
    pub lun: Option<u64>,
    /// Of the block device, such as `sda`; nothing for what is no disk, or is not attached yet.
    pub name: Option<String>,
    /// As the kernel calls it: running, blocked, transport-offline, offline.
    pub state: Option<String>,
    pub io: Option<DiskIo>,
}

impl Disk {
    pub fn is_offline(&self) -> bool {
        self.state.as_deref().is_some_and(|s| s.contains("offline"))
    }
}

/// What the block layer counted: for when the connection's counters cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskIo {
    pub reads: u64,
    pub read_bytes: u64,
    pub writes: u64,
    pub write_bytes: u64,
    pub in_flight: u64,
}

/// One `connection-<N>` of debugfs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connection {
    /// N: given once, never again.
    pub id: u32,
    pub info: Fields,
    pub counters: Counters,
    pub slots: Vec<Slot>,
    pub reads: Histogram,
    pub writes: Histogram,
}

impl Connection {
    pub fn field(&self, name: &str) -> Option<&str> {
        let value = self.info.get(name)?.as_str();
        (!NOTHING.contains(&value)).then_some(value)
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    pub fn state(&self) -> Option<&str> {
        self.field("state")
    }

    /// The number of its session.
    pub fn session(&self) -> Option<u32> {
        crate::tree::number_at_end(self.field("session")?)
    }

    /// The RDMA device and its port, as in `mlx5_0/1`.
    pub fn device(&self) -> Option<String> {
        let device = self.field("device")?;
        Some(match self.field("port") {
            Some(port) => format!("{device}/{port}"),
            None => device.to_string(),
        })
    }

    pub fn last_error(&self) -> Option<(&str, Option<f64>)> {
        error_of(&self.info)
    }

    pub fn oldest(&self) -> Option<&Slot> {
        self.slots.iter().max_by_key(|s| s.age_ms)
    }
}

/// A command in flight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slot {
    pub slot: u32,
    pub itt: String,
    pub state: String,
    pub direction: String,
    pub bytes: u64,
    pub age_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(kernel: &str, connection: Option<&str>, disks: usize) -> State {
        let of = |state: &str| Connection {
            info: [("state".to_string(), state.to_string())].into(),
            ..Connection::default()
        };
        Session {
            kernel_state: Some(kernel.into()),
            disks: vec![Disk::default(); disks],
            connections: connection.map(of).into_iter().collect(),
            ..Session::default()
        }
        .state()
    }

    #[test]
    fn states() {
        assert_eq!(session("LOGGED_IN", Some("up"), 0), State::Up);
        assert_eq!(session("LOGGED_IN", None, 1), State::Up);
        assert_eq!(session("LOGGED_IN", Some("failed"), 1), State::Recovering);
        assert_eq!(session("FAILED", Some("connecting"), 1), State::Recovering);
        assert_eq!(session("FREE", Some("up"), 0), State::LoggingIn);
        assert_eq!(session("FREE", None, 1), State::Failed);
        assert_eq!(session("what?", None, 1), State::Failed);
    }

    #[test]
    fn the_last_error_is_the_youngest() {
        let of = |text: &str, age: &str| Connection {
            info: [
                ("last_error".into(), text.into()),
                ("last_error_age".into(), age.into()),
            ]
            .into(),
            ..Connection::default()
        };
        let s = Session {
            connections: vec![
                of("none", "0"),
                of("old", "90"),
                of("new", "2.5"),
                of("odd", "x"),
            ],
            ..Session::default()
        };
        assert_eq!(s.last_error(), Some(("new", Some(2.5))));
        assert_eq!(Session::default().last_error(), None);
    }
}
