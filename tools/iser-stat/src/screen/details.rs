// SPDX-License-Identifier: GPL-2.0

//! The lower part of the screen: one session in detail.

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::View;
use crate::{
    histogram::Histogram,
    interval::Rates,
    model::{Connection, Disk, Session},
    units,
};

/// What there is to say about the selected session.
pub fn details(view: &View) -> Vec<Line<'static>> {
    let Some(s) = view.now.sessions.get(view.selected) else {
        return Vec::new();
    };
    let rates = view.rates.get(&s.id);
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| {
        lines.push(Line::from(vec![
            Span::styled(
                format!("{name:<12}"),
                Style::new().add_modifier(Modifier::DIM),
            ),
            text.into(),
        ]));
    };
    line("target", s.name().into());
    if let Some(c) = s.connection() {
        line("connection", connection_line(s, c));
    }
    if let Some((error, ago)) = s.last_error() {
        let ago = ago.map_or(String::new(), |a| format!(" ({} ago)", units::age(a)));
        line("last error", format!("{error}{ago}"));
    }
    line(
        "disks",
        s.disks.iter().map(disk).collect::<Vec<_>>().join(", "),
    );
    if view.now.latency == Some(true) {
        line("read", quantiles(rates.map(|r| &r.read_latency)));
        line("write", quantiles(rates.map(|r| &r.write_latency)));
    } else if view.now.latency == Some(false) {
        line("latency", "not counted, l turns it on".into());
    }
    if let Some(rates) = rates {
        line("per command", per_command(rates));
    }
    if let Some(c) = s.connection() {
        line("since login", events(c));
        if let Some(oldest) = c.oldest() {
            let age = units::age(oldest.age_ms as f64 / 1000.0);
            let text = format!(
                "{age}, {} of {} ({}), ITT {}",
                oldest.direction,
                units::bytes(oldest.bytes as f64),
                oldest.state,
                oldest.itt
            );
            line("oldest", text);
        }
    }
    lines
}

fn disk(d: &Disk) -> String {
    let name = d.name.as_deref().unwrap_or("no disk");
    match d.state.as_deref() {
        None | Some("running") => name.into(),
        Some(state) => format!("{name} ({state})"),
    }
}

fn connection_line(s: &Session, c: &Connection) -> String {
    let mut parts = vec![c.state().unwrap_or("?").to_string()];
    let mut add = |text: Option<String>| parts.extend(text);
    add(s.portal.as_ref().map(|p| format!("to {p}")));
    add(c.field("source").map(|a| format!("from {a}")));
    add(c.device().map(|d| format!("by {d}")));
    add(c.field("qp").map(|q| format!("queue pair {q}")));
    add(c
        .field("since")
        .and_then(|s| s.parse().ok())
        .map(|s: f64| format!("for {}", units::age(s))));
    parts.join(", ")
}

fn quantiles(h: Option<&Histogram>) -> String {
    let Some(h) = h.filter(|h| h.count() > 0) else {
        return "none".into();
    };
    let q = |share| h.quantile(share).map_or(String::new(), units::latency);
    format!(
        "p50 {}  p99 {}  p99.9 {}  ({} commands)",
        q(0.5),
        q(0.99),
        q(0.999),
        h.count()
    )
}

fn per_command(rates: &Rates) -> String {
    let shown = [
        ("wr_reg", "registrations"),
        ("immediate_commands", "with immediate data"),
        ("remote_invalidations", "invalidated by the target"),
        ("local_invalidations", "by us"),
        ("doorbells_send", "send doorbells"),
        ("completions_send", "send completions"),
    ];
    let parts = shown
        .iter()
        .filter_map(|(counter, name)| Some(format!("{:.2} {name}", rates.per_command(counter)?)));
    let text = parts.collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        "-".into()
    } else {
        text
    }
}

fn events(c: &Connection) -> String {
    let shown = [
        ("aborts", "aborts"),
        ("resets", "resets"),
        ("fences", "fences"),
        ("send_queue_stalls", "send queue stalls"),
        ("protocol_errors", "protocol errors"),
        ("receive_low_water", "receives at the least"),
    ];
    let parts = shown
        .iter()
        .filter_map(|(name, what)| Some(format!("{} {what}", c.counters.get(*name)?)));
    parts.collect::<Vec<_>>().join(", ")
}
