//! The process at the other end: it does its part of each round that it is asked for.

use super::link::End;
use super::peer::{Place, Waiting};
use super::shared;
use std::io::{BufRead, Write};
use std::process::ExitCode;

/// The first argument of such a process.
pub const WORD: &str = "--answer";

/// Runs the process with the arguments of `Place::arguments`. If it fails, it ends the bench, which
/// would wait for a message for ever.
pub fn answer(arguments: &[String]) -> ExitCode {
    match follow(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hotpool-bench: the other end of {arguments:?}: {error:#}");
            shared::end_parent();
            ExitCode::FAILURE
        }
    }
}

fn follow(arguments: &[String]) -> anyhow::Result<()> {
    let place = Place::parse(arguments)?;
    let mut link = Waiting::None.open(&place, End::There)?;
    say("open")?;
    for line in std::io::stdin().lock().lines() {
        if line? == "connect" {
            link.connect()?;
            say("connected")?;
            continue;
        }
        say("ready")?;
        let nanos = link.follow(place.op, place.size)?;
        say(&nanos.map_or_else(|| "done".to_owned(), |nanos| nanos.to_string()))?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
