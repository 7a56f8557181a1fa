// SPDX-License-Identifier: GPL-2.0

//! What has happened since the module was loaded, over all connections.

use kernel::seq_file::{seq_print, SeqFile};

use super::reason::Reason;
use crate::{
    count::{counts, Shared},
    debugfs::{File, Shown},
    latency,
};

counts! {
    /// Connections.
    Connections of Shared {
        /// Made.
        connections_made,
        /// Made again for a session that had one before.
        reconnects,
        /// Lost, for any of the reasons.
        connections_failed,
        /// Not made.
        connects_failed,
    }
}

static CONNECTIONS: Connections = Connections {
    connections_made: Shared::new(),
    reconnects: Shared::new(),
    connections_failed: Shared::new(),
    connects_failed: Shared::new(),
};

static REASONS: [Shared; Reason::COUNT] = [const { Shared::new() }; Reason::COUNT];

pub(super) fn connections() -> &'static Connections {
    &CONNECTIONS
}

/// Counts a reason.
pub(super) fn failed(reason: Reason) {
    if let Some(count) = REASONS.get(reason.index()) {
        count.add(1);
    }
}

/// What is in the directory of the module.
pub(crate) struct Totals;

impl Totals {
    fn show(&self, m: &SeqFile) {
        CONNECTIONS.tell(&mut |name, count| seq_print!(m, "{name} {count}\n"));
        for reason in Reason::all() {
            let kind = if reason.is_protocol_error() {
                "protocol_errors"
            } else {
                "failures"
            };
            let count = REASONS.get(reason.index()).map_or(0, Shared::get);
            seq_print!(m, "{kind}_{} {count}\n", reason.name());
        }
    }

    fn show_latency(&self, m: &SeqFile) {
        seq_print!(m, "{}\n", u8::from(latency::is_on()));
    }

    fn set_latency(&self, on: bool) {
        latency::set(on);
    }
}

impl Shown for Totals {
    const FILES: &'static [File<Self>] = &[
        File {
            name: c"totals",
            show: Self::show,
            set: None,
        },
        File {
            name: c"latency",
            show: Self::show_latency,
            set: Some(Self::set_latency),
        },
    ];
}
