// SPDX-License-Identifier: GPL-2.0

//! Prometheus' text format.

use std::{
    fmt::{Display, Write as _},
    fs::Permissions,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::histogram::Histogram;

/// Bounds of the latency histogram, in powers of two of nanoseconds: 8 µs to 34 s.
const POWERS: std::ops::RangeInclusive<u32> = 13..=35;

/// One metric: written when something is known of it.
pub struct Family {
    head: String,
    name: &'static str,
    samples: String,
}

impl Family {
    pub fn new(name: &'static str, kind: &str, help: &str) -> Self {
        Self {
            head: format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
            name,
            samples: String::new(),
        }
    }

    pub fn sample(&mut self, suffix: &str, labels: &[&str], value: impl Display) {
        let labels: Vec<&str> = labels.iter().copied().filter(|l| !l.is_empty()).collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            some => format!("{{{}}}", some.join(",")),
        };
        let _ = writeln!(self.samples, "{}{suffix}{labels} {value}", self.name);
    }

    pub fn histogram(&mut self, labels: &[&str], h: &Histogram) {
        for power in POWERS {
            let bound = 1u64 << power;
            let le = format!("le=\"{}\"", bound as f64 / 1e9);
            self.sample("_bucket", &[labels, &[&le]].concat(), h.count_up_to(bound));
        }
        self.sample("_bucket", &[labels, &["le=\"+Inf\""]].concat(), h.count());
        self.sample("_sum", labels, h.estimated_sum() / 1e9);
        self.sample("_count", labels, h.count());
    }

    pub fn write_to(self, out: &mut String) {
        if !self.samples.is_empty() {
            out.push_str(&self.head);
            out.push_str(&self.samples);
        }
    }
}

/// `name="value"`, escaped.
pub fn label(name: &str, value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

/// Writes a file so that whoever reads it sees it as it was or as it is, never half of it.
pub fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(p) if p != Path::new("") => p,
        _ => Path::new("."),
    };
    // Not named *.prom, or the collector would take it for one of its files.
    let mut file = tempfile::Builder::new()
        .prefix(".iser-stat-")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}
