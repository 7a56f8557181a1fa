// SPDX-License-Identifier: GPL-2.0

//! Judges a snapshot: what is wrong with sessions, and what we cannot see and why.

use crate::{
    collect::DEBUGFS,
    model::{Connection, Debugfs, Driver, Session, Slot, Snapshot, State},
    units::age,
};

/// The exit status, as monitoring systems of the Nagios kind take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// That something is wrong weighs more than that something is not known.
    fn weight(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Unknown => 1,
            Self::Warning => 2,
            Self::Critical => 3,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: Status,
    pub text: String,
}

pub fn worst(problems: &[Problem]) -> Status {
    let statuses = problems.iter().map(|p| p.status);
    statuses.max_by_key(|s| s.weight()).unwrap_or(Status::Ok)
}

/// What is wrong. Commands in flight for `older_than` seconds are.
pub fn problems(snapshot: &Snapshot, older_than: f64) -> Vec<Problem> {
    let mut problems = Vec::new();
    if snapshot.driver == Driver::None {
        problems.push(Problem {
            status: Status::Unknown,
            text: "no iSER driver is loaded".into(),
        });
    }
    for session in snapshot.sessions.iter().filter(|s| !s.is_discovery()) {
        problems.extend(state_problem(session));
        let offline: Vec<&str> = session
            .disks
            .iter()
            .filter(|d| d.is_offline())
            .filter_map(|d| d.name.as_deref())
            .collect();
        if !offline.is_empty() {
            problems.push(Problem {
                status: Status::Critical,
                text: format!(
                    "session {} ({}): offline: {}",
                    session.id,
                    session.name(),
                    offline.join(", ")
                ),
            });
        }
    }
    let hung = hung(snapshot, older_than);
    if let Some((_, oldest)) = hung.first() {
        let oldest = age(oldest.age_ms as f64 / 1000.0);
        problems.push(Problem {
            status: Status::Warning,
            text: format!(
                "{} command{} in flight for {older_than} s or longer, the oldest for {oldest}",
                hung.len(),
                if hung.len() == 1 { "" } else { "s" }
            ),
        });
    }
    problems
}

fn state_problem(session: &Session) -> Option<Problem> {
    let (status, what) = match session.state() {
        State::Up => return None,
        State::LoggingIn => (Status::Warning, "logging in"),
        State::Recovering => (Status::Warning, "recovering, its I/O waits"),
        State::Failed => (
            Status::Critical,
            "failed, its I/O fails until the portal answers again",
        ),
    };
    let mut text = format!("session {} ({}): {what}", session.id, session.name());
    if let Some((error, ago)) = session.last_error() {
        text += &format!("; last error: {error}");
        if let Some(ago) = ago {
            text += &format!(", {} ago", age(ago));
        }
    }
    Some(Problem { status, text })
}

/// Commands in flight for at least that many seconds, the oldest first.
pub fn hung(snapshot: &Snapshot, older_than: f64) -> Vec<(&Connection, &Slot)> {
    let all = snapshot
        .sessions
        .iter()
        .flat_map(|s| &s.connections)
        .chain(&snapshot.others);
    let slots = all.flat_map(|c| c.slots.iter().map(move |s| (c, s)));
    let mut hung: Vec<_> = slots
        .filter(|(_, s)| s.age_ms as f64 >= older_than * 1000.0)
        .collect();
    hung.sort_by_key(|(_, s)| std::cmp::Reverse(s.age_ms));
    hung
}

/// What cannot be seen, each with what to do about it.
pub fn missing(snapshot: &Snapshot) -> Vec<String> {
    let mut notes = Vec::new();
    match snapshot.driver {
        Driver::Ours => notes.extend(no_debugfs(snapshot.debugfs)),
        Driver::C => notes.push(
            "the kernel's own ib_iser is loaded: its sessions are shown from sysfs, without counters; \
             for these, log out, modprobe -r ib_iser, modprobe ib_iser_rs"
                .to_string(),
        ),
        Driver::None => notes.push("ib_iser_rs is not loaded: modprobe ib_iser_rs".to_string()),
    }
    if snapshot.driver != Driver::None && snapshot.sessions.is_empty() {
        notes.push(
            "there is no iSER session: iscsiadm -m node -l logs in to the targets that are known"
                .to_string(),
        );
    }
    notes
}

pub fn no_debugfs(debugfs: Debugfs) -> Option<String> {
    let path = format!("/sys/{DEBUGFS}");
    Some(match debugfs {
        Debugfs::Readable => return None,
        Debugfs::Denied => format!("{path} may be read by root only: run this as root for counters, latency and commands in flight"),
        Debugfs::NotMounted => "debugfs is not mounted, so there are no counters: mount -t debugfs none /sys/kernel/debug".into(),
        Debugfs::NoKernelSupport => "this kernel has no debugfs, so there are no counters: boot without debugfs=off".into(),
        Debugfs::Nothing => format!("{path} is not there, so there are no counters: boot without debugfs=off, or install a newer ib_iser_rs"),
    })
}

impl From<Status> for std::process::ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}
