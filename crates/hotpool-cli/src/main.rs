//! The `hotpool` command: one verb a file under `verbs`.

mod agreement;
mod deploy;
mod exit;
mod human;
mod ini_file;
mod output;
mod pool_state;
mod probe;
mod problems;
mod render;
mod target;
mod verbs;

use clap::{Parser, Subcommand};
use exit::Exit;
use output::Output;
use std::io::Write;
use std::process::ExitCode;

/// Object pools in shared memory that survive kill -9: configure, check, list and remove them.
#[derive(Parser)]
#[command(name = "hotpool", version, arg_required_else_help = true, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,

    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Verb {
    Check(verbs::check::Args),
    Doctor(verbs::doctor::Args),
    Gen(verbs::generate::Args),
    Inspect(verbs::inspect::Args),
    Ls(verbs::ls::Args),
    Postmortem(verbs::postmortem::Args),
    Rm(verbs::rm::Args),
    Verify(verbs::verify::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = Output::stdout(cli.json);
    let result = match cli.verb {
        Verb::Check(args) => verbs::check::run(args, &mut out),
        Verb::Doctor(args) => verbs::doctor::run(args, &mut out),
        Verb::Gen(args) => verbs::generate::run(args, &mut out),
        Verb::Inspect(args) => verbs::inspect::run(args, &mut out),
        Verb::Ls(args) => verbs::ls::run(args, &mut out),
        Verb::Postmortem(args) => verbs::postmortem::run(args, &mut out),
        Verb::Rm(args) => verbs::rm::run(args, &mut out),
        Verb::Verify(args) => verbs::verify::run(args, &mut out),
    };
    let exit = result.unwrap_or_else(|error| {
        // Whoever closed stderr does not want to know.
        let _ = writeln!(std::io::stderr(), "hotpool: {error:#}");
        Exit::Environment
    });
    exit.into()
}
