// SPDX-License-Identifier: GPL-2.0

//! What `--watch` draws, in terminals of every size, and that it gives the terminal back.

use std::{collections::BTreeMap, time::Duration};

use crate::fixture::Fixture;
use iser_stat::{
    collect::snapshot,
    health, interval,
    model::Snapshot,
    screen::{draw, View},
    tree::Tree,
};
use ratatui::{backend::TestBackend, Terminal};

/// What is known, and rates as if all connections were made a second ago.
fn known(f: &Fixture) -> (Snapshot, BTreeMap<u32, interval::Rates>) {
    let mut before = snapshot(&Tree::new(f.root()));
    let mut now = before.clone();
    now.taken = before.taken + Duration::from_secs(1);
    for session in &mut before.sessions {
        session.connections.clear();
    }
    let rates = interval::rates(&before, &now);
    (now, rates)
}

fn drawn(f: &Fixture, width: u16, height: u16, selected: usize) -> String {
    let (now, rates) = known(f);
    screen(&now, &rates, width, height, selected)
}

fn screen(
    now: &Snapshot,
    rates: &BTreeMap<u32, interval::Rates>,
    width: u16,
    height: u16,
    selected: usize,
) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let problems = health::problems(now, 30.0);
    let view = View {
        now,
        rates,
        problems: &problems,
        selected,
        interval: 1.0,
        message: None,
    };
    terminal.draw(|frame| draw(frame, &view)).unwrap();
    let buffer = terminal.backend().buffer();
    let cells: Vec<&str> = buffer.content().iter().map(|c| c.symbol()).collect();
    let lines = cells
        .chunks(width.max(1).into())
        .map(|line| line.concat().trim_end().to_string());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn no_terminal_is_too_small() {
    for name in ["two-sessions", "malformed", "c-driver"] {
        let (now, rates) = known(&Fixture::of(name));
        for width in (1..30).chain([40, 60, 80, 132, 250]) {
            for height in [1, 2, 3, 4, 5, 8, 10, 24, 60] {
                screen(&now, &rates, width, height, 1);
            }
        }
    }
}

#[test]
fn what_matters_most_is_there_in_80_columns() {
    let text = drawn(&Fixture::of("two-sessions"), 80, 24, 0);
    for part in [
        "1 up, 1 recovering",
        "latency on",
        "SID",
        "STATE",
        "TARGET",
        "READ/s",
        "WRITE B/s",
        "FLY",
        "recovering",
        "example:fast",
        "p50",
        "registrations",
        "by us",
        "receives at the least",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn the_selected_session_is_shown_in_detail() {
    let text = drawn(&Fixture::of("two-sessions"), 120, 30, 1);
    for part in [
        "target      iqn.2003-01.org.example:flapping",
        "connection  failed, to [fd00::2]:3260, from fd00::1, by rxe_eth0/1, queue pair 18, for 2 min",
        "last error  the target has ended the connection (12 s ago)",
        "sdc (blocked)",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn a_wide_terminal_has_all_columns() {
    let text = drawn(&Fixture::of("two-sessions"), 200, 20, 0);
    for part in [
        "PORTAL",
        "DEVICE",
        "DISKS",
        "p50",
        "p99",
        "p99.9",
        "OLDEST",
        "10.0.0.1:3260",
        "sda,sdb",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn a_small_one_has_the_sessions() {
    let text = drawn(&Fixture::of("two-sessions"), 40, 5, 0);
    assert!(
        text.contains("…fast") || text.contains("example:fast"),
        "{text}"
    );
    assert!(text.contains("recovering"), "{text}");
}

#[test]
fn without_sessions_it_says_what_to_do() {
    let f = Fixture::empty();
    assert!(drawn(&f, 80, 24, 0).contains("modprobe ib_iser_rs"));
    f.put("module/ib_iser_rs/initstate", "live");
    f.put("kernel/debug/ib_iser_rs/latency", "0");
    let text = drawn(&f, 80, 24, 0);
    assert!(
        text.contains("iscsiadm") && text.contains("q quit"),
        "{text}"
    );
}
