//! `hotpool init`: a template, values and an ini to start from.

use crate::exit::{self, Exit};
use crate::files::{self, Mode, Wanted};
use crate::output::Output;
use crate::render::render;
use crate::text_file::{self, State};
use anyhow::{Context, Result};
use clap::ValueHint;
use std::io::Write;
use std::path::PathBuf;

const TEMPLATE: &str = include_str!("../../starter/memorypool.ini.tmpl");
const VALUES: &str = include_str!("../../starter/deploy.toml");
const ALL_KEYS: &str = include_str!("../../starter/memorypool.full.ini");

/// Write a template, values and the ini made from them to a folder
///
/// Writes memorypool.ini.tmpl, config/deploy.toml, config/memorypool.ini and config/memorypool.full.ini,
/// which explains every ini key. Edit config/deploy.toml, then run `hotpool gen`. If one of these files
/// exists with another text, nothing is written.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool init                                  in this folder
  hotpool init game                             in another one, created if it does not exist
  hotpool init game && cd game && hotpool gen --file config/memorypool.ini

{}", exit::HELP))]
pub(crate) struct Args {
    /// The folder, created if it does not exist
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    dir: PathBuf,

    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// Fails if a file cannot be read or written.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let inis = render(VALUES, TEMPLATE).context("cannot make an ini from the built-in template")?;
    let ini = inis.into_iter().next().context("the built-in values name no zone")?;
    let file = |name: &str, text: &str| Wanted { path: args.dir.join(name), text: text.into() };
    let wanted = vec![
        file("memorypool.ini.tmpl", TEMPLATE),
        file("config/deploy.toml", VALUES),
        file("config/memorypool.ini", &ini.text),
        file("config/memorypool.full.ini", ALL_KEYS),
    ];
    let mut existing = Vec::new();
    for Wanted { path, text } in &wanted {
        if text_file::compare(path, text)? == State::Differs {
            existing.push(path.display().to_string());
        }
    }
    let mut err = std::io::stderr();
    if !existing.is_empty() && !args.force {
        let existing = existing.join(", ");
        let _ = writeln!(
            err,
            "hotpool init: cannot write to {}: already there: {existing}; nothing was written. Replace them with --force, \
             or name another folder.",
            args.dir.display()
        );
        return Ok(Exit::Refused);
    }
    let work = files::write(wanted, Mode::Write)?;
    let exit = files::report(&work, Mode::Write, out)?;
    let _ = writeln!(
        err,
        "Next: edit config/deploy.toml, then run `hotpool gen --file config/memorypool.ini` in {}.",
        args.dir.display()
    );
    Ok(exit)
}
