// SPDX-License-Identifier: GPL-2.0

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, IsTerminal, Write},
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::{error::ErrorKind as Usage, Parser};
use iser_stat::{
    cli::{Cli, Command, Switch},
    collect::{self, snapshot, DEBUGFS},
    health::{self, Status},
    interval, json,
    model::{Debugfs, Driver},
    prometheus, text,
    tree::Tree,
    watch,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let asked_for = matches!(error.kind(), Usage::DisplayHelp | Usage::DisplayVersion);
            return if asked_for {
                Status::Ok
            } else {
                Status::Unknown
            }
            .into();
        }
    };
    match run(&cli) {
        Ok(status) => status.into(),
        // Whoever read our output has seen enough.
        Err(Error::Io(error)) if error.kind() == ErrorKind::BrokenPipe => Status::Ok.into(),
        Err(error) => {
            eprintln!("iser-stat: {error}");
            Status::Unknown.into()
        }
    }
}

enum Error {
    Io(io::Error),
    Said(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Said(text) => f.write_str(text),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn run(cli: &Cli) -> Result<Status, Error> {
    let tree = Tree::new(&cli.sysfs);
    match &cli.command {
        Some(Command::Hung) => hung(&tree, cli),
        Some(Command::Latency { switch }) => latency(&tree, *switch),
        None if cli.show.watch => {
            if !io::stdout().is_terminal() {
                return Err(Error::Said(
                    "--watch needs a terminal; scripts want --json".into(),
                ));
            }
            watch::run(&tree, cli)?;
            Ok(Status::Ok)
        }
        None => match &cli.show.textfile {
            Some(path) => textfile(&tree, path),
            None => list(&tree, cli),
        },
    }
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

fn list(tree: &Tree, cli: &Cli) -> Result<Status, Error> {
    let mut now = snapshot(tree);
    let mut rates = BTreeMap::new();
    if cli.interval > 0.0 && !now.sessions.is_empty() {
        thread::sleep(Duration::from_secs_f64(cli.interval));
        let before = std::mem::replace(&mut now, collect::snapshot(tree));
        rates = interval::rates(&before, &now);
    }
    let problems = health::problems(&now, cli.older_than);
    if cli.json {
        print(&json::report(&now, &rates, &problems))?;
    } else {
        print(&text::sessions(&now, &rates, &problems))?;
        eprint!("{}", text::notes(&now));
    }
    Ok(health::worst(&problems))
}

fn hung(tree: &Tree, cli: &Cli) -> Result<Status, Error> {
    let now = snapshot(tree);
    let seen = now.driver == Driver::Ours && now.debugfs == Debugfs::Readable;
    if cli.json {
        print(&json::hung(&now, seen, cli.older_than))?;
    }
    if !seen {
        let why = health::missing(&now).into_iter().next().unwrap_or_default();
        return Err(Error::Said(format!(
            "commands in flight cannot be seen: {why}"
        )));
    }
    let commands = health::hung(&now, cli.older_than);
    if !cli.json {
        print(&text::hung(&commands, cli.older_than))?;
    }
    Ok(if commands.is_empty() {
        Status::Ok
    } else {
        Status::Warning
    })
}

fn latency(tree: &Tree, switch: Option<Switch>) -> Result<Status, Error> {
    let now = snapshot(tree);
    if now.latency.is_none() {
        let why = health::missing(&now).into_iter().next().unwrap_or_default();
        return Err(Error::Said(format!(
            "there are no latency histograms: {why}"
        )));
    }
    match switch {
        None => print(if now.latency == Some(true) {
            "on\n"
        } else {
            "off\n"
        })?,
        Some(switch) => {
            let text = if switch == Switch::On { "1" } else { "0" };
            tree.write(Path::new(DEBUGFS).join("latency"), text)
                .map_err(|e| {
                    Error::Said(
                        format!("cannot turn latency histograms {switch:?}: {e}").to_lowercase(),
                    )
                })?;
        }
    }
    Ok(Status::Ok)
}

fn textfile(tree: &Tree, path: &Path) -> Result<Status, Error> {
    let metrics = prometheus::metrics(&snapshot(tree));
    if path == Path::new("-") {
        print(&metrics)?;
    } else {
        prometheus::write_atomically(path, &metrics)
            .map_err(|e| Error::Said(format!("cannot write {}: {e}", path.display())))?;
    }
    Ok(Status::Ok)
}
