// SPDX-License-Identifier: GPL-2.0

//! Lines in the kernel's log: one for each event that matters, with names and without addresses,
//! and not without end. Runs in any context.
//!
//! A target that fails for hours would fill the log with what it has said before. So of each kind
//! of reason a portal has `log_limit` lines, a parameter of the module, in [`PERIOD_MS`], and the first
//! of the next period says how many were left out.

use kernel::{
    fmt,
    prelude::*,
    sync::atomic::{ordering::Relaxed, Atomic}, //
};

use super::reason::{Cause, Reason};
use crate::{
    addr::SockAddr,
    clock,
    module_parameters,
    series::{self, ENOTCONN}, //
};

const PERIOD_MS: u64 = 10 * 60 * 1000;

/// What has been said of one kind about one portal.
///
/// Two who write at once may both take a line, or leave one out: no more than that.
struct Entry {
    /// Which kind and portal, zero if free.
    key: Atomic<u64>,
    /// When the period began.
    since: Atomic<u64>,
    lines: Atomic<u64>,
}

const ENTRIES: usize = 64;
/// Entries that are looked at for one key; where all are taken by others, nothing is left out.
const PROBES: usize = 8;

static ENTRY: [Entry; ENTRIES] = [const {
    Entry {
        key: Atomic::new(0),
        since: Atomic::new(0),
        lines: Atomic::new(0),
    }
}; ENTRIES];

/// Whether to write a line, and how many before it were not written.
fn admit(key: u64) -> Option<u64> {
    let limit = u64::from(series::parameter(module_parameters::log_limit.value()));
    if limit == 0 {
        return Some(0);
    }
    for probe in 0..PROBES {
        let Some(entry) = ENTRY.get((key as usize + probe) % ENTRIES) else {
            continue;
        };
        let seen = entry.key.load(Relaxed);
        let expired = clock::ms_since(entry.since.load(Relaxed)) >= PERIOD_MS;
        if seen == key && !expired {
            return (entry.lines.fetch_add(1, Relaxed) < limit).then_some(0);
        }
        if seen == key || seen == 0 || expired {
            let lines = entry.lines.xchg(1, Relaxed);
            entry.since.store(clock::ticks(), Relaxed);
            entry.key.store(key, Relaxed);
            return Some(if seen == key {
                lines.saturating_sub(limit)
            } else {
                0
            });
        }
    }
    Some(0)
}

/// Says that something has failed: of what, about a portal, for a reason, and the whole story.
pub(super) fn failure(
    name: impl fmt::Display,
    portal: &SockAddr,
    reason: Reason,
    text: impl fmt::Display,
) {
    // Never zero.
    let key = portal.hash() << 8 | reason.index() as u64 + 1;
    match admit(key) {
        None => {}
        Some(0) => pr_err!("{name}: {text}\n"),
        Some(more) => pr_err!("{name}: {text} ({more} lines like this were left out)\n"),
    }
}

/// For `inspect_err`: says that `step` could not be done for a portal. That the connection has
/// ended was said when it did.
pub(super) fn cannot<'a>(portal: &'a SockAddr, step: &'a str) -> impl FnOnce(&Error) + 'a {
    move |error| {
        if *error != ENOTCONN {
            failure(
                portal,
                portal,
                Cause::Connecting.into(),
                fmt!("cannot {step} ({error:?})"),
            );
        }
    }
}
