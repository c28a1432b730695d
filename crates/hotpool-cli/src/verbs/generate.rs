//! `hotpool gen`: the inis of a deployment, from a template and its values.

use crate::exit::{self, Exit};
use crate::ini_file::{self, State};
use crate::output::Output;
use crate::problems;
use crate::render::{RenderError, ZoneIni, render};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Make the inis of a deployment from a template and its values
///
/// Prints the ini of one zone, or writes it to a file, or writes those of all zones to a
/// folder. Keys come from the key plan. Everything is checked before anything is written, and
/// a file is replaced as a whole or not at all.
#[derive(clap::Args)]
#[command(name = "gen", after_help = format!("\
Examples:
  hotpool gen                                      print the ini of the first zone
  hotpool gen --world 81 --zone 2                  print that of another
  hotpool gen --file config/memorypool.ini         write it
  hotpool gen --out /etc/game                      write memorypool.w80z0.ini and so on, one a zone
  hotpool gen --out /etc/game --check              exit with 1 if a file there is not as it would be

{}", exit::HELP))]
pub(crate) struct Args {
    /// The values of the deployment
    #[arg(long, value_name = "FILE", default_value = "config/deploy.toml")]
    config: PathBuf,

    /// The template of an ini
    #[arg(long, value_name = "FILE", default_value = "memorypool.ini.tmpl")]
    template: PathBuf,

    /// Only this world
    #[arg(long, value_name = "N")]
    world: Option<u32>,

    /// Only this zone of each world
    #[arg(long, value_name = "N")]
    zone: Option<u32>,

    /// Write the ini of one zone, the first if there are several, to this file
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    file: Option<PathBuf>,

    /// Write the inis of all zones to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write nothing, say which files are not as they would be
    #[arg(long)]
    check: bool,
}

/// Fails if a file cannot be read or written.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    if args.check && args.file.is_none() && args.out.is_none() {
        complain("--check compares files: say which by --file FILE or --out DIR");
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
        complain(format_args!("{} has no such world and zone", args.config.display()));
        return Ok(Exit::Usage);
    };

    let work = match (&args.file, &args.out) {
        (Some(file), _) => files(vec![(file.clone(), first)], args.check)?,
        (None, Some(folder)) => {
            let paths = selected.iter().map(|ini| (folder.join(ini.file_name()), *ini));
            let mut work = files(paths.collect(), args.check)?;
            let known: HashSet<String> = inis.iter().map(ZoneIni::file_name).collect();
            work.extend(left_over(folder, &known)?);
            work
        }
        (None, None) => return print_ini(first, out),
    };
    report(&work, args.check, out)
}

fn read(path: &Path, option: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| {
        format!("cannot read {}; go to the folder that has it or name it by {option}", path.display())
    })
}

/// Says on stderr what is wrong with the command line.
fn complain(message: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "hotpool gen: {message}");
}

/// Says why there are no inis.
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

/// What was done to a file, or would be.
struct Done {
    path: PathBuf,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Written,
    Unchanged,
    Differs,
    Missing,
    LeftOver,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            What::Written => "written",
            What::Unchanged => "unchanged",
            What::Differs => "differs",
            What::Missing => "missing",
            What::LeftOver => "left over",
        }
    }
}

/// Writes files that are not as they should be, or says which are not.
fn files(inis: Vec<(PathBuf, &ZoneIni)>, check: bool) -> Result<Vec<Done>> {
    let done = inis.into_iter().map(|(path, ini)| {
        let what = match ini_file::compare(&path, &ini.text)? {
            // Left alone, so that its time still says when it last changed.
            State::Same => What::Unchanged,
            State::Differs if check => What::Differs,
            State::Missing if check => What::Missing,
            _ => {
                ini_file::replace(&path, &ini.text)?;
                What::Written
            }
        };
        Ok(Done { path, what })
    });
    done.collect()
}

/// Inis in the folder of zones that the deployment no longer has. They are named and left alone:
/// a server may still run by them.
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

/// Whether a file is called like the ini of some zone.
fn is_zone_ini(name: &str) -> bool {
    let numbers = name.strip_prefix("memorypool.w").and_then(|rest| rest.strip_suffix(".ini"));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.and_then(|numbers| numbers.split_once('z')).is_some_and(|(w, z)| number(w) && number(z))
}

fn report(work: &[Done], check: bool, out: &mut Output) -> Result<Exit> {
    let sound = !check || work.iter().all(|done| done.what == What::Unchanged);
    if out.wants_json() {
        let file =
            |done: &Done| json!({ "file": done.path.display().to_string(), "state": done.what.word() });
        let files: Vec<Value> = work.iter().map(file).collect();
        out.document(&json!({ "ok": sound, "files": files }))?;
    } else {
        for done in work {
            out.line(format_args!("{:9} {}", done.what.word(), done.path.display()))?;
        }
    }
    Ok(if sound { Exit::Ok } else { Exit::Problems })
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
