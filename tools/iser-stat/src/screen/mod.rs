// SPDX-License-Identifier: GPL-2.0

//! What `--watch` draws: a function of what is known and of the size of the terminal.

use std::collections::BTreeMap;

use ratatui::{
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Row, Table, TableState, Wrap},
    Frame,
};

use crate::{
    health::{self, Problem, Status},
    interval::Rates,
    model::{Snapshot, State},
    text, units,
};

mod columns;
mod details;

use columns::{columns_for, Column, TARGET};
use details::details;

pub struct View<'a> {
    pub now: &'a Snapshot,
    pub rates: &'a BTreeMap<u32, Rates>,
    pub problems: &'a [Problem],
    /// Which session, counted from the first in the list.
    pub selected: usize,
    pub interval: f64,
    /// Something to say once, such as that a key did not work.
    pub message: Option<&'a str>,
}

pub fn draw(frame: &mut Frame, view: &View) {
    let area = frame.area();
    let details = details(view);
    let sessions = view.now.sessions.len() as u16;
    // In a small terminal the list of sessions is worth more than the rest.
    let head_height = if area.height < 8 { 1 } else { 2 };
    let foot_height = if area.height < 4 { 0 } else { 1 };
    let used = head_height + foot_height + 1 + sessions.clamp(1, 8);
    let room = area.height.saturating_sub(used);
    // Lines that are too long go on below: what is cut off may be what somebody looks for.
    let width = usize::from(area.width.max(1));
    let lines = details.iter().map(|l| l.width().div_ceil(width).max(1));
    let details_height = match lines.sum::<usize>() as u16 + 1 {
        _ if room < 3 => 0,
        wanted => wanted.min(room),
    };
    let [head, list, more, foot] = Layout::vertical([
        Constraint::Length(head_height),
        Constraint::Min(1),
        Constraint::Length(details_height),
        Constraint::Length(foot_height),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(header(view)), head);
    draw_sessions(frame, list, view);
    let title = Line::from(" selected session ").style(Style::new().add_modifier(Modifier::DIM));
    let block = Block::new()
        .borders(Borders::TOP)
        .title(title)
        .border_style(Style::new().add_modifier(Modifier::DIM));
    let details = Paragraph::new(details).block(block);
    frame.render_widget(details.wrap(Wrap { trim: false }), more);
    frame.render_widget(Paragraph::new(footer(view)), foot);
}

fn bold(text: impl Into<String>) -> Span<'static> {
    Span::styled(text.into(), Style::new().add_modifier(Modifier::BOLD))
}

fn colour(status: Status) -> Style {
    match status {
        Status::Ok => Style::new(),
        Status::Unknown | Status::Warning => Style::new().fg(Color::Yellow),
        Status::Critical => Style::new().fg(Color::Red),
    }
}

fn header(view: &View) -> Vec<Line<'static>> {
    let now = view.now;
    let mut first = vec![
        bold("iser-stat"),
        format!("  {}  ", now.driver.name().unwrap_or("no driver")).into(),
    ];
    let count = |state| now.sessions.iter().filter(|s| s.state() == state).count();
    let states: Vec<String> = State::ALL
        .iter()
        .filter(|s| count(**s) > 0)
        .map(|s| format!("{} {}", count(*s), s.name()))
        .collect();
    let states = if states.is_empty() {
        "no session".into()
    } else {
        states.join(", ")
    };
    first.push(Span::styled(states, colour(health::worst(view.problems))));
    if let Some(on) = now.latency {
        first.push(format!("  latency {}", if on { "on" } else { "off" }).into());
    }
    first.push(format!("  every {} s", view.interval).into());
    let sum = |of: fn(&Rates) -> f64| view.rates.values().map(of).sum::<f64>();
    let flight: u64 = now.sessions.iter().filter_map(text::in_flight).sum();
    let second = if view.rates.is_empty() {
        Line::from("counting …")
    } else {
        Line::from(vec![
            "read ".into(),
            bold(format!(
                "{}/s {}/s",
                units::count(sum(|r| r.reads)),
                units::bytes(sum(|r| r.read_bytes))
            )),
            "  write ".into(),
            bold(format!(
                "{}/s {}/s",
                units::count(sum(|r| r.writes)),
                units::bytes(sum(|r| r.write_bytes))
            )),
            "  in flight ".into(),
            bold(flight.to_string()),
        ])
    };
    let second = if now.sessions.is_empty() {
        Line::default()
    } else {
        second
    };
    vec![Line::from(first), second]
}

fn draw_sessions(frame: &mut Frame, area: Rect, view: &View) {
    if view.now.sessions.is_empty() {
        let notes = health::missing(view.now)
            .into_iter()
            .map(Line::from)
            .collect::<Vec<_>>();
        let notes = Paragraph::new(notes).wrap(Wrap { trim: true });
        frame.render_widget(notes, area);
        return;
    }
    let columns = columns_for(area.width);
    let others: u16 = columns
        .iter()
        .filter(|c| c.title != TARGET)
        .map(|c| c.width + 1)
        .sum();
    let longest = view
        .now
        .sessions
        .iter()
        .map(|s| s.name().chars().count())
        .max()
        .unwrap_or(0) as u16;
    let target = longest.clamp(6, area.width.saturating_sub(others).max(6));
    let width = |c: &Column| if c.title == TARGET { target } else { c.width };
    let rows = view.now.sessions.iter().map(|s| {
        let cells = columns
            .iter()
            .map(|c| aligned(&(c.cell)(s, view.rates.get(&s.id)), width(c), c.right));
        let status = match s.state() {
            State::Up if s.disks.iter().any(|d| d.is_offline()) => Status::Critical,
            State::Up => Status::Ok,
            State::Failed => Status::Critical,
            State::LoggingIn | State::Recovering => Status::Warning,
        };
        Row::new(cells.collect::<Vec<_>>()).style(colour(status))
    });
    let titles = columns
        .iter()
        .map(|c| aligned(c.title, width(c), c.right))
        .collect::<Vec<_>>();
    let table = Table::new(rows, columns.iter().map(|c| Constraint::Length(width(c))))
        .header(Row::new(titles).style(Style::new().add_modifier(Modifier::UNDERLINED)))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(Some(view.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

fn aligned(text: &str, width: u16, right: bool) -> String {
    let width = usize::from(width);
    let text = units::shortened(text, width);
    if right {
        format!("{text:>width$}")
    } else {
        text
    }
}

fn footer(view: &View) -> Line<'static> {
    if let Some(message) = view.message {
        return Line::styled(message.to_string(), colour(Status::Critical));
    }
    if view.now.sessions.is_empty() {
        return Line::from("q quit");
    }
    if let Some(problem) = view.problems.first() {
        return Line::styled(problem.text.clone(), colour(problem.status));
    }
    match health::missing(view.now).into_iter().next() {
        Some(note) => Line::styled(note, colour(Status::Unknown)),
        None => Line::from("q quit  ↑↓ select  l latency on/off"),
    }
}
