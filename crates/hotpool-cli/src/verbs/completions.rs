//! `hotpool completions`: the completion script of a shell.

use crate::exit::{self, Exit};
use crate::extras;
use crate::output::Output;
use anyhow::Result;
use clap_complete::Shell;
use serde_json::json;

/// Print the completion script for a shell
///
/// `hotpool install-extras` installs the scripts for bash, zsh and fish where these shells find them.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  source <(hotpool completions bash)
  hotpool completions fish > ~/.config/fish/completions/hotpool.fish

{}", exit::HELP))]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Fails only if stdout does.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let script = extras::completions(args.shell)?;
    if out.wants_json() {
        out.document(&json!({ "ok": true, "shell": args.shell.to_string(), "text": script }))?;
    } else {
        out.text(script)?;
    }
    Ok(Exit::Ok)
}
