//! The `hotpool` command: one verb a file under `verbs`.

mod agreement;
mod cli;
mod declared;
mod deploy;
mod exit;
mod extras;
mod files;
mod human;
mod one_pool;
mod output;
mod pool_state;
mod probe;
mod problems;
mod progress;
mod queue_health;
mod remains;
mod render;
mod sets;
#[cfg(feature = "object-store")]
mod stores;
mod target;
mod text_file;
mod verbs;

use cli::Verb;
use exit::Exit;
use output::Output;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::parse();
    let mut out = Output::stdout(cli.json);
    let result = match cli.verb {
        Verb::Check(args) => verbs::check::run(args, &mut out),
        Verb::Compat(args) => verbs::compat::run(args, &mut out),
        Verb::Completions(args) => verbs::completions::run(args, &mut out),
        Verb::Doctor(args) => verbs::doctor::run(args, &mut out),
        #[cfg(feature = "object-store")]
        Verb::Fence(args) => verbs::fence::run(args, &mut out),
        Verb::Gen(args) => verbs::generate::run(args, &mut out),
        Verb::Init(args) => verbs::init::run(args, &mut out),
        Verb::Inspect(args) => verbs::inspect::run(args, &mut out),
        Verb::InstallExtras(args) => verbs::install_extras::run(args, &mut out),
        Verb::Ls(args) => verbs::ls::run(args, &mut out),
        Verb::Man(args) => verbs::man::run(args, &mut out),
        Verb::Postmortem(args) => verbs::postmortem::run(args, &mut out),
        #[cfg(feature = "object-store")]
        Verb::Pull(args) => verbs::pull::run(args, &mut out),
        #[cfg(feature = "object-store")]
        Verb::Push(args) => verbs::push::run(args, &mut out),
        Verb::Queues(args) => verbs::queues::run(args, &mut out),
        Verb::Restore(args) => verbs::restore::run(args, &mut out),
        Verb::Rm(args) => verbs::rm::run(args, &mut out),
        Verb::Schema(args) => verbs::schema::run(args, &mut out),
        Verb::Snapshot(args) => verbs::snapshot::run(args, &mut out),
        Verb::Snapshots(args) => verbs::snapshots::run(args, &mut out),
        Verb::Verify(args) => verbs::verify::run(args, &mut out),
    };
    let exit = result.unwrap_or_else(|error| {
        // An error of stderr itself cannot be reported anywhere.
        let _ = writeln!(std::io::stderr(), "hotpool: {error:#}");
        Exit::Environment
    });
    exit.into()
}
