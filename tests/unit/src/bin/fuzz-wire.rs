// SPDX-License-Identifier: GPL-2.0

//! Mutates messages of proper targets and holds what `wire.rs` makes of them against the oracle.
//! Needs neither a nightly compiler nor libFuzzer, and a seed gives the same run everywhere.

use std::{collections::BTreeMap, env, fs, path::Path, process::ExitCode, time::Instant};

use iser_wire_tests::{
    mutate::{mutate, Random},
    oracle, seeds,
};

const USAGE: &str = "usage: fuzz-wire <iterations> <seed>\n       fuzz-wire --corpus <folder>";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--corpus", folder] => match write_corpus(Path::new(folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("fuzz-wire: {folder}: {error}");
                ExitCode::FAILURE
            }
        },
        [iterations, seed] => match (iterations.parse(), seed.parse()) {
            (Ok(iterations), Ok(seed)) => run(iterations, seed),
            _ => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Writes the messages that mutation starts from, for libFuzzer.
fn write_corpus(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for (number, message) in seeds::corpus().iter().enumerate() {
        fs::write(folder.join(format!("{number:02}")), message)?;
    }
    Ok(())
}

fn run(iterations: u64, seed: u64) -> ExitCode {
    let begin = Instant::now();
    let corpus = seeds::corpus();
    let mut random = Random(seed);
    let mut verdicts = BTreeMap::<&str, u64>::new();

    for iteration in 0..iterations {
        let mut message = corpus[random.below(corpus.len())].clone();
        mutate(&mut random, &mut message);
        let private_data: Vec<u8> = (0..random.below(9)).map(|_| random.bits() as u8).collect();

        let checked = std::panic::catch_unwind(|| {
            oracle::check_private_data(&private_data);
            oracle::check_pdu(&message)
        });
        let Ok(verdict) = checked else {
            println!("fuzz-wire: failed at iteration {iteration} of seed {seed}");
            println!("private data: {private_data:02x?}\nmessage: {message:02x?}");
            return ExitCode::FAILURE;
        };
        *verdicts.entry(verdict.unwrap_or("accepted")).or_default() += 1;
    }

    for (verdict, count) in &verdicts {
        println!("{count:>12}  {verdict}");
    }
    println!(
        "fuzz-wire: {iterations} messages and as many private data, seed {seed}, {} verdicts, \
         0 failures, {:.1} s",
        verdicts.len(),
        begin.elapsed().as_secs_f32()
    );

    // Nine rules and acceptance. A run of some length that does not see them all tries too little.
    if iterations >= 100_000 && verdicts.len() != 10 {
        println!("fuzz-wire: not all of the 10 verdicts were reached");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
