//! `hotpool gen`: the inis of a fleet, from a template and values.

use crate::exit::{self, Exit};
use crate::files::{self, Done, Mode, Wanted, What};
use crate::output::Output;
use crate::problems;
use crate::render::{RenderError, ZoneIni, render};
use crate::text_file;
use anyhow::{Context, Result};
use serde_json::json;
use std::collections::HashSet;
use std::fs;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Generate the inis of a fleet from a template and values
///
/// Prints the ini of one zone, writes it to a file, or writes the inis of all zones to a folder.
/// Segment keys come from the key plan. All inis are checked before the first one is written, and a
/// file is replaced as a whole or not at all.
#[derive(clap::Args)]
#[command(name = "gen", after_help = format!("\
Examples:
  hotpool gen                                 print the ini of the first zone
  hotpool gen --world 81 --zone 2             print the ini of another zone
  hotpool gen --file config/memorypool.ini    write the ini of the first zone
  hotpool gen --out /etc/game                 write one ini for each zone: memorypool.w80z0.ini, ...
  hotpool gen --out /etc/game --check         exit with 1 if a file there is not up to date

{}", exit::HELP))]
pub(crate) struct Args {
    /// Read the values from this file
    #[arg(long, value_name = "FILE", default_value = "config/deploy.toml")]
    config: PathBuf,

    /// Read the template from this file
    #[arg(long, value_name = "FILE", default_value = "memorypool.ini.tmpl")]
    template: PathBuf,

    /// Only the world with this number
    #[arg(long, value_name = "N")]
    world: Option<u32>,

    /// Only the zone with this number in each world
    #[arg(long, value_name = "N")]
    zone: Option<u32>,

    /// Write the ini of one zone (the first, unless --world and --zone select another) to this file
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    file: Option<PathBuf>,

    /// Write the inis of all zones to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Report files that are not up to date, and write nothing
    #[arg(long)]
    check: bool,
}

/// Fails if a file cannot be read or written.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    if args.check && args.file.is_none() && args.out.is_none() {
        complain("--check needs files to compare: add --file FILE or --out DIR");
        return Ok(Exit::Usage);
    }
    let values = read(&args.config, "--config")?;
    let template = read(&args.template, "--template")?;
    let inis = match render(&values, &template) {
        Ok(inis) => inis,
        Err(error) => return explain(&error, &args, out),
    };
    let wanted = |ini: &&ZoneIni| {
        args.world.is_none_or(|world| world == ini.world) && args.zone.is_none_or(|zone| zone == ini.zone)
    };
    let selected: Vec<&ZoneIni> = inis.iter().filter(wanted).collect();
    let Some(first) = selected.first() else {
        complain(format_args!("{} defines no such world and zone", args.config.display()));
        return Ok(Exit::Usage);
    };

    let mode = if args.check { Mode::Check } else { Mode::Write };
    let file = |path: PathBuf, ini: &ZoneIni| Wanted { path, text: ini.text.clone() };
    let work = match (&args.file, &args.out) {
        (Some(path), _) => files::write(vec![file(path.clone(), first)], mode)?,
        (None, Some(folder)) => {
            let wanted = selected.iter().map(|ini| file(folder.join(ini.file_name()), ini));
            let mut work = files::write(wanted.collect(), mode)?;
            let known: HashSet<String> = inis.iter().map(ZoneIni::file_name).collect();
            work.extend(left_over(folder, &known)?);
            work
        }
        (None, None) => return print_ini(first, out),
    };
    files::report(&work, mode, out)
}

fn read(path: &Path, option: &str) -> Result<String> {
    let text = text_file::read(path).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
    });
    text.with_context(|| {
        format!(
            "cannot read {}; change to its folder, name another file with {option}, or create one with `hotpool init`",
            path.display()
        )
    })
}

/// Prints on stderr what is wrong with the command line.
fn complain(message: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "hotpool gen: {message}");
}

/// Prints why the inis could not be made.
fn explain(error: &RenderError, args: &Args, out: &mut Output) -> Result<Exit> {
    let source = match error {
        RenderError::Template(_) => args.template.display(),
        _ => args.config.display(),
    };
    let message = format!("{source}: {error}");
    match error {
        _ if out.wants_json() => {
            let problems = match error {
                RenderError::Unsound(error) => problems::json(error),
                _ => json!([]),
            };
            out.document(&json!({ "ok": false, "files": [], "message": message, "problems": problems }))?;
        }
        RenderError::Unsound(error) => {
            out.line(message)?;
            problems::print(error, out)?;
        }
        _ => out.line(message)?,
    }
    Ok(Exit::Problems)
}

fn print_ini(ini: &ZoneIni, out: &mut Output) -> Result<Exit> {
    if out.wants_json() {
        let file = json!({ "file": null, "world": ini.world, "zone": ini.zone, "text": ini.text });
        out.document(&json!({ "ok": true, "files": [file] }))?;
    } else {
        out.text(&ini.text)?;
    }
    Ok(Exit::Ok)
}

/// Finds inis of zones that the values no longer define. They are reported and left alone: a server may
/// still use them.
fn left_over(folder: &Path, known: &HashSet<String>) -> Result<Vec<Done>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_zone_ini(&name) && !known.contains(&name) {
            found.push(Done { path: folder.join(name), what: What::LeftOver });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Whether a file has the name of a zone's ini.
fn is_zone_ini(name: &str) -> bool {
    let numbers = name.strip_prefix("memorypool.w").and_then(|rest| rest.strip_suffix(".ini"));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.and_then(|numbers| numbers.split_once('z')).is_some_and(|(w, z)| number(w) && number(z))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_zones_are_zone_inis() {
        assert!(is_zone_ini("memorypool.w80z0.ini"));
        for name in ["memorypool.ini", "memorypool.w80.ini", "memorypool.wz.ini", "memorypool.w8z0.ini.bak"] {
            assert!(!is_zone_ini(name), "{name}");
        }
    }
}
