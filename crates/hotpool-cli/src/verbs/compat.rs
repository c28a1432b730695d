//! `hotpool compat`: what a build will do with the objects of a pool, told before it is deployed.

use crate::exit::Exit;
use crate::human;
use crate::one_pool::OnePool;
use crate::output::Output;
use crate::text_file;
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use hotpool::inspect::{Compat, NANOS_PER_BYTE, TypeCompat, Verdict, compat_pool};
use hotpool::object::Schemas;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tell what a new build will do with the objects of a pool
///
/// Compares the schemas of a build with those of the pool: per type whether it is the same, new, will be
/// migrated or is refused, what happens to each field, the memory it needs and the time it takes. Reads only the
/// base of the pool, and a live server does not notice.
///
/// The build prints its schemas with `hotpool::object::Schemas::new().with::<Player>().to_json()`. With --conf,
/// the renames, capacities and keys of that ini count as at a start.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  ./zone_server --schemas > new.json
  hotpool compat new.json zone && systemctl restart zone
  hotpool compat new.json zone --conf config/memorypool.ini
  hotpool compat new.json --key 0x48500100 --json | jq '.types[] | select(.verdict == \"refused\")'

Exit codes:
  0  the build can start: every type is the same, new, or will be migrated
  1  a type is refused, or the ini has problems
  2  invalid command line
  3  a file or a system call failed, or the file is not what a build prints
  6  the pool is damaged
  7  the pool does not exist")]
pub(crate) struct Args {
    /// What the new build prints
    #[arg(value_name = "PROGRAM_SCHEMA.json")]
    file: PathBuf,

    #[command(flatten)]
    pool: OnePool,
}

/// Fails only if stdout does, or if the pools of the host cannot be listed.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let build = match read(&args.file) {
        Ok(build) => build,
        Err(why) => {
            if out.wants_json() {
                out.document(&json!({ "ok": false, "reason": why, "types": [] }))?;
            }
            // An error of stderr itself cannot be reported anywhere.
            let _ = writeln!(std::io::stderr(), "hotpool compat: {why}");
            return Ok(Exit::Environment);
        }
    };
    let target = match args.pool.target("compat", out)? {
        Ok(target) => target,
        Err(exit) => return Ok(exit),
    };
    let compat = match target.read(|key, home| compat_pool(key, home, &build, target.conf.as_deref())) {
        Ok(compat) => compat,
        Err(missing) => {
            if out.wants_json() {
                let (name, word, why) = (target.name(), missing.word(), missing.why());
                out.document(
                    &json!({ "ok": false, "pool": name, "state": word, "reason": why, "types": [] }),
                )?;
            } else {
                out.line(format_args!("{}: {}: {}", target.name(), missing.word(), missing.why()))?;
            }
            return Ok(missing.exit());
        }
    };
    let is_fine = compat.types.iter().all(|of| of.verdict != Verdict::Refused);
    if out.wants_json() {
        out.document(&as_json(&target.name(), &compat, is_fine))?;
    } else {
        print(&target.name(), &compat, out)?;
    }
    Ok(if is_fine { Exit::Ok } else { Exit::Problems })
}

/// Reads the schemas of a build; the error names file, line and column.
fn read(file: &Path) -> Result<Schemas, String> {
    let name = file.display();
    let bytes = text_file::read(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{name}: it is not UTF-8"))?;
    Schemas::from_json(&text).map_err(|error| match error.line {
        0 => format!("{name}: {}", error.what),
        line => format!("{name}:{line}:{}: {}", error.column, error.what),
    })
}

fn print(name: &str, compat: &Compat, out: &mut Output) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["id", "type", "verdict", "objects", "needs", "expected"]);
    for (at, column) in table.column_iter_mut().enumerate() {
        if matches!(at, 0 | 3 | 4 | 5) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for of in &compat.types {
        table.add_row([
            of.id.to_string(),
            human::printable(&of.name),
            of.verdict.to_string(),
            of.objects.to_string(),
            human::size(of.needs.0),
            span(of.time),
        ]);
    }
    let free = human::size(compat.free.0);
    out.line(format_args!("{name}: {free} free; times at {NANOS_PER_BYTE} ns for each byte of a new form"))?;
    for line in table.trim_fmt().lines() {
        out.line(line.trim_end())?;
    }
    for of in compat.types.iter().filter(|of| !of.fields.is_empty() || !of.notes.is_empty()) {
        out.line(format_args!("\n{} ({}):", human::printable(&of.name), of.verdict))?;
        for line in of.fields.iter().chain(&of.notes) {
            out.line(format_args!("  {}", human::printable(line)))?;
        }
    }
    Ok(())
}

/// Formats the time that a migration takes.
fn span(time: Duration) -> String {
    match (time.as_secs(), time.as_millis()) {
        (0, 0) if time.is_zero() => "-".into(),
        (0, 0) => "< 1 ms".into(),
        (0, ms) => format!("{ms} ms"),
        (seconds, _) => human::age(seconds),
    }
}

fn as_json(name: &str, compat: &Compat, is_fine: bool) -> Value {
    let one = |of: &TypeCompat| {
        json!({
            "id": of.id,
            "name": of.name,
            "verdict": of.verdict.word(),
            "objects": of.objects,
            "fields": of.fields,
            "notes": of.notes,
            "needs_bytes": of.needs.0,
            "expected_ms": of.time.as_secs_f64() * 1e3,
        })
    };
    json!({
        "ok": is_fine,
        "pool": name,
        "free_bytes": compat.free.0,
        "nanos_per_byte": NANOS_PER_BYTE,
        "types": compat.types.iter().map(one).collect::<Vec<_>>(),
    })
}
