// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Show what iSER sessions are doing
///
/// Lists the sessions of the iSER initiator ib_iser_rs with their state, device, disks and
/// rates. As root it reads the module's counters; else, and with the kernel's own ib_iser, it
/// shows what sysfs says.
#[derive(Parser, Debug)]
#[command(
    name = "iser-stat",
    version,
    max_term_width = 90,
    args_conflicts_with_subcommands = false
)]
#[command(after_help = "Exit status: 0 ok, 1 warning, 2 critical, 3 unknown; see iser-stat(8).")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub show: Show,

    /// Print JSON
    #[arg(short, long, global = true)]
    pub json: bool,

    /// Time between two samples; 0 takes one, without rates
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    pub interval: f64,

    /// A command in flight for so long is hung
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds, global = true)]
    pub older_than: f64,

    /// Where sysfs is
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "/sys",
        hide = true,
        global = true
    )]
    pub sysfs: PathBuf,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct Show {
    /// Refresh on the screen until q is pressed
    #[arg(short, long, conflicts_with = "json")]
    pub watch: bool,

    /// Write metrics for node_exporter's textfile collector, to standard output without FILE
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", conflicts_with = "json")]
    pub textfile: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List commands that are in flight for long
    Hung,
    /// Turn latency histograms on or off, or say which they are
    Latency { switch: Option<Switch> },
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.0..=1e6).contains(&s) => Ok(s),
        _ => Err("not a number of seconds from 0 to 1000000".into()),
    }
}

/// What can be waited for: nothing, or long enough to count something in.
fn interval(text: &str) -> Result<f64, String> {
    match seconds(text)? {
        s if s == 0.0 || s >= 0.1 => Ok(s),
        _ => Err("less than 0.1 seconds".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn it_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_documented_is_taken() {
        assert_eq!(
            parse("iser-stat hung --older-than 2.5").unwrap().older_than,
            2.5
        );
        assert!(parse("iser-stat hung --json").unwrap().json);
        assert_eq!(
            parse("iser-stat -t").unwrap().show.textfile,
            Some("-".into())
        );
        assert_eq!(
            parse("iser-stat --textfile /a").unwrap().show.textfile,
            Some("/a".into())
        );
        assert!(matches!(
            parse("iser-stat latency on").unwrap().command,
            Some(Command::Latency {
                switch: Some(Switch::On)
            })
        ));
        assert_eq!(parse("iser-stat -wi 0.5").unwrap().interval, 0.5);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "-i 0.01",
            "-i -1",
            "-i NaN",
            "--older-than x",
            "-w -t",
            "-w -j",
            "-t -j",
            "x",
            "latency maybe",
        ] {
            assert!(parse(&format!("iser-stat {line}")).is_err(), "{line}");
        }
    }
}
