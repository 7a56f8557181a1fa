// SPDX-License-Identifier: GPL-2.0

//! `--watch`: samples, draws, and listens to keys, until it is told to end.
//!
//! The terminal is given back as it was when this returns, panics, or is ended by a signal.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        Arc,
    },
    time::{Duration, Instant},
};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP},
    flag, low_level,
};

use crate::{
    cli::Cli,
    collect::{snapshot, DEBUGFS},
    health, interval, screen,
    tree::Tree,
};

/// How soon a signal is noticed.
const TICK: Duration = Duration::from_millis(100);

/// Gives the terminal back. On a panic, ratatui's hook has done so before the message.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

enum Key {
    Quit,
    Suspend,
    Redraw,
    Nothing,
}

struct Watch<'a> {
    tree: &'a Tree,
    selected: usize,
    message: Option<String>,
    latency: Option<bool>,
}

pub fn run(tree: &Tree, cli: &Cli) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP, SIGINT, SIGQUIT] {
        flag::register(signal, ended.clone())?;
    }
    let mut terminal = ratatui::try_init()?;
    let _restore = Restore;
    let every = Duration::from_secs_f64(cli.interval.max(0.1));
    let mut watch = Watch {
        tree,
        selected: 0,
        message: None,
        latency: None,
    };
    let mut now = snapshot(tree);
    let mut rates = BTreeMap::new();
    loop {
        watch.latency = now.latency;
        let problems = health::problems(&now, cli.older_than);
        let next = Instant::now() + every;
        let mut redraw = true;
        while Instant::now() < next {
            watch.selected = watch.selected.min(now.sessions.len().saturating_sub(1));
            if redraw {
                let view = screen::View {
                    now: &now,
                    rates: &rates,
                    problems: &problems,
                    selected: watch.selected,
                    interval: every.as_secs_f64(),
                    message: watch.message.as_deref(),
                };
                terminal.draw(|frame| screen::draw(frame, &view))?;
                redraw = false;
            }
            let wait = next.saturating_duration_since(Instant::now()).min(TICK);
            if event::poll(wait)? {
                match event::read()? {
                    Event::Key(key) if key.kind == KeyEventKind::Press => match watch.key(key) {
                        Key::Quit => return Ok(()),
                        Key::Suspend => suspend(&mut terminal)?,
                        Key::Redraw => {}
                        Key::Nothing => continue,
                    },
                    Event::Resize(..) => {}
                    _ => continue,
                }
                redraw = true;
            }
            if ended.load(Relaxed) {
                return Ok(());
            }
        }
        watch.message = None;
        let before = std::mem::replace(&mut now, snapshot(tree));
        rates = interval::rates(&before, &now);
    }
}

/// What Ctrl-Z does elsewhere; in raw mode it is only a key.
fn suspend(terminal: &mut DefaultTerminal) -> io::Result<()> {
    ratatui::restore();
    low_level::emulate_default_handler(SIGTSTP)?;
    *terminal = ratatui::try_init()?;
    terminal.clear()
}

impl Watch<'_> {
    fn key(&mut self, key: KeyEvent) -> Key {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | '\\') if control => return Key::Quit,
            KeyCode::Char('z') if control => return Key::Suspend,
            KeyCode::Char('q') | KeyCode::Esc => return Key::Quit,
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected = self.selected.saturating_add(1),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = usize::MAX,
            KeyCode::Char('l') => self.switch_latency(),
            _ => return Key::Nothing,
        }
        Key::Redraw
    }

    fn switch_latency(&mut self) {
        let Some(on) = self.latency else {
            self.message = Some("there are no latency histograms".into());
            return;
        };
        let to = if on { "0" } else { "1" };
        match self.tree.write(Path::new(DEBUGFS).join("latency"), to) {
            Ok(()) => self.latency = Some(!on),
            Err(error) => self.message = Some(format!("latency histograms: {error}")),
        }
    }
}
