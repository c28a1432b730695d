//! `hotpool man`: the man pages, as files.

use crate::exit::{self, Exit};
use crate::extras;
use crate::files::{self, Mode, Wanted};
use crate::output::Output;
use anyhow::Result;
use clap::ValueHint;
use std::path::PathBuf;

/// Write the man pages to a folder: hotpool.1 and one for each verb
///
/// `hotpool install-extras` installs the pages where man finds them.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool man target/man && man -l target/man/hotpool.1

{}", exit::HELP))]
pub(crate) struct Args {
    /// The folder, created if it does not exist
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
}

/// Fails if a page cannot be written.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let pages = extras::man_pages()?.into_iter();
    let wanted = pages.map(|(name, text)| Wanted { path: args.dir.join(name), text });
    let work = files::write(wanted.collect(), Mode::Write)?;
    files::report(&work, Mode::Write, out)
}
