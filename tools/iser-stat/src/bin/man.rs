// SPDX-License-Identifier: GPL-2.0

//! Writes the manual page iser-stat(8): from the command line's definition, and from
//! `man/sections.roff` what that does not say.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_mangen::Man;
use iser_stat::cli::Cli;

const SECTIONS: &str = include_str!("../../man/sections.roff");

fn main() -> io::Result<()> {
    let command = Cli::command();
    let man = Man::new(command.clone())
        .section("8")
        .manual("System Administration")
        .source(format!("iser-stat {}", env!("CARGO_PKG_VERSION")));
    let mut out = io::stdout().lock();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    out.write_all(SECTIONS.as_bytes())
}
