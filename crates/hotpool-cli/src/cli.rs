//! The command line: its verbs, and hints for words that are not among them.

use crate::{exit, verbs};
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Error, Parser, Subcommand};

/// Configures, checks, lists, inspects and removes object pools in shared memory
///
/// The pools of hotpool survive kill -9. Start with `hotpool init`, which writes an ini, and `hotpool doctor`,
/// which checks whether this host keeps pools.
#[derive(Parser)]
#[command(
    name = "hotpool",
    version,
    arg_required_else_help = true,
    subcommand_value_name = "COMMAND",
    max_term_width = 100,
    after_help = exit::HELP
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,

    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    Check(verbs::check::Args),
    Compat(verbs::compat::Args),
    Completions(verbs::completions::Args),
    Doctor(verbs::doctor::Args),
    #[cfg(feature = "object-store")]
    Fence(verbs::fence::Args),
    Gen(verbs::generate::Args),
    Init(verbs::init::Args),
    Inspect(verbs::inspect::Args),
    InstallExtras(verbs::install_extras::Args),
    Ls(verbs::ls::Args),
    Man(verbs::man::Args),
    Postmortem(verbs::postmortem::Args),
    #[cfg(feature = "object-store")]
    Pull(verbs::pull::Args),
    #[cfg(feature = "object-store")]
    Push(verbs::push::Args),
    Queues(verbs::queues::Args),
    Restore(verbs::restore::Args),
    Rm(verbs::rm::Args),
    Schema(verbs::schema::Args),
    Snapshot(verbs::snapshot::Args),
    Snapshots(verbs::snapshots::Args),
    Verify(verbs::verify::Args),
}

/// What other commands call a verb, and the verb. Clap itself suggests verbs that are spelled alike.
const OTHER_NAMES: [(&[&str], &str); 11] = [
    (&["status", "list", "show", "ps", "pools", "stat"], "ls"),
    (&["remove", "delete", "destroy", "purge", "clean"], "rm"),
    (&["generate", "render", "config"], "gen"),
    (&["validate", "lint", "test"], "check"),
    (&["describe", "dump", "info", "types", "top"], "inspect"),
    (&["fsck", "audit"], "verify"),
    (&["new", "create", "setup"], "init"),
    (&["diagnose", "health", "host"], "doctor"),
    (&["backup", "save", "export"], "snapshot"),
    (&["recover", "load", "import"], "restore"),
    (&["crash", "notes", "log", "logs"], "postmortem"),
];

/// Parses the command line, or prints what is wrong with it and exits.
pub(crate) fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| hinted(error).exit())
}

/// Adds a hint to the error about an unknown verb, if clap has none.
fn hinted(mut error: Error) -> Error {
    let is_bare =
        error.kind() == ErrorKind::InvalidSubcommand && error.get(ContextKind::SuggestedSubcommand).is_none();
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let known = OTHER_NAMES.iter().find(|(names, _)| names.contains(&word.as_str()));
    if let Some((_, verb)) = known.filter(|_| is_bare) {
        let hint = StyledStr::from(format!("you may be looking for 'hotpool {verb}'"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_other_name_leads_to_a_verb() {
        let command = Cli::command();
        for (names, verb) in OTHER_NAMES {
            assert!(command.find_subcommand(verb).is_some(), "{verb}");
            for name in names {
                assert!(command.find_subcommand(name).is_none(), "{name} is a verb");
                let error = Cli::try_parse_from(["hotpool", name]).err().map(hinted).unwrap().to_string();
                let tips = error.lines().filter(|line| line.trim_start().starts_with("tip:")).count();
                assert_eq!(tips, 1, "{error}");
            }
        }
    }
}
