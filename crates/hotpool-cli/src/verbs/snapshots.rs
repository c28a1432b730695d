//! `hotpool snapshots`: the sets in a folder, and whether each can be read.

use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::sets;
use anyhow::{Result, bail};
use comfy_table::{Cell, CellAlignment, Table, presets};
use hotpool::snapshot::{Chain, Found, SetError, SetInfo, list};
use hotpool::units::plural;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// List the snapshots in a folder: process, age, size, types
///
/// The folder may also be the URL of an object store: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,
/// az://CONTAINER/PREFIX or file:///FOLDER. Reads the manifest of each set, the oldest first. With --verify it reads every set, and those
/// that it builds on, and checks all checksums. Stores nothing. A set that is damaged, or that
/// lacks a set it builds on, is a problem.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool snapshots snapshots             list the sets of a folder
  hotpool snapshots s3://backups/game     list the sets of an object store
  hotpool snapshots snapshots --verify    read all of them and check the checksums

{}", exit::HELP))]
pub(crate) struct Args {
    /// The folder that has the sets, or the URL of a store
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Read the sets and check every checksum
    #[arg(long)]
    verify: bool,
}

/// A set, and what was found wrong with it.
struct Row {
    found: Found,
    problem: Option<SetError>,
}

/// Fails if there is no such folder, or if the system refuses to list it.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    if let Some(url) = sets::url(&args.folder) {
        return run_at(url, args.verify, out);
    }
    if !args.folder.is_dir() {
        bail!("{} is no folder", args.folder.display());
    }
    let rows: Vec<Row> = list(&args.folder)?.into_iter().map(|found| looked_at(found, args.verify)).collect();
    let is_sound = rows.iter().all(|row| problem(row).is_none());
    if out.wants_json() {
        let sets: Vec<Value> = rows.iter().map(|row| json_of(row, args.verify)).collect();
        out.document(&json!({ "ok": is_sound, "snapshots": sets }))?;
    } else if rows.is_empty() {
        out.line(format_args!("{} has no snapshot", args.folder.display()))?;
    } else {
        out.line(table(&rows, args.verify).trim_fmt())?;
        for problem in rows.iter().filter_map(problem) {
            out.line(format_args!("  {}", human::printable(&problem.to_string())))?;
        }
    }
    Ok(if is_sound { Exit::Ok } else { Exit::Problems })
}

#[cfg(not(feature = "object-store"))]
fn run_at(url: &str, _: bool, _: &mut Output) -> Result<Exit> {
    bail!("cannot read {url}: this build has no stores; install hotpool-cli with the feature `object-store`")
}

/// Lists the sets of a store.
#[cfg(feature = "object-store")]
fn run_at(url: &str, verify: bool, out: &mut Output) -> Result<Exit> {
    use hotpool_snapshot_store::Stored;
    if verify {
        bail!("cannot verify the sets of a store in place; bring them with `hotpool pull {url} DIR`");
    }
    crate::stores::with(url, |store| {
        let sets = store.list()?;
        let problem = |set: &Stored| set.contents.as_ref().err().map(SetError::to_string);
        let is_sound = sets.iter().all(|set| set.contents.is_ok());
        if out.wants_json() {
            let json = |set: &Stored| match &set.contents {
                Ok(contents) => json!({
                    "name": set.name, "id": contents.id(), "parent": contents.parent(), "bytes": set.bytes,
                    "process": contents.info().process, "taken_ns": contents.info().taken_ns,
                    "epoch": contents.info().epoch, "layout": contents.info().layout, "state": "unread",
                }),
                Err(_) => {
                    json!({ "name": set.name, "bytes": set.bytes, "state": "unreadable", "problem": problem(set) })
                }
            };
            let sets: Vec<Value> = sets.iter().map(json).collect();
            out.document(&json!({ "ok": is_sound, "url": url, "snapshots": sets }))?;
        } else if sets.is_empty() {
            out.line(format_args!("{url} has no snapshot"))?;
        } else {
            let mut table = header();
            for set in &sets {
                let contents = set.contents.as_ref().ok();
                let parent = contents.and_then(|contents| contents.parent());
                let state = if contents.is_some() { "" } else { "unreadable" };
                table.add_row(line(&set.name, contents.map(|set| set.info()), set.bytes, parent, state));
            }
            out.line(table.trim_fmt())?;
            for problem in sets.iter().filter_map(problem) {
                out.line(format_args!("  {}", human::printable(&problem)))?;
            }
        }
        Ok(if is_sound { Exit::Ok } else { Exit::Problems })
    })
}

fn looked_at(found: Found, verify: bool) -> Row {
    let read = || Chain::open(&found.path)?.verify(|_| ());
    let problem = if verify && found.info.is_ok() { read().err() } else { None };
    Row { found, problem }
}

fn problem(row: &Row) -> Option<&SetError> {
    row.found.info.as_ref().err().or(row.problem.as_ref())
}

fn state(row: &Row, verify: bool) -> &'static str {
    match (problem(row), verify) {
        (Some(_), _) => "unreadable",
        (None, true) => "sound",
        (None, false) => "",
    }
}

fn table(rows: &[Row], verify: bool) -> Table {
    let mut table = header();
    for row in rows {
        let (info, parent) = (row.found.info.as_ref().ok(), row.found.parent.as_deref());
        table.add_row(line(&name(row), info, row.found.bytes, parent, state(row, verify)));
    }
    table
}

fn header() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["snapshot", "process", "age", "bytes", "image", "layout", "types", "builds on", ""]);
    table
}

fn line(name: &str, info: Option<&SetInfo>, bytes: u64, parent: Option<&str>, state: &str) -> [Cell; 9] {
    let text = |of: &dyn Fn(&SetInfo) -> String| info.map_or(String::new(), of);
    let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    [
        Cell::new(human::printable(name)),
        Cell::new(text(&|info| human::printable(&info.process))),
        number(text(&|info| human::age(age(info)))),
        number(human::size(bytes)),
        number(text(&|info| human::size(image(info)))),
        number(text(&|info| info.layout.to_string())),
        Cell::new(text(&types)),
        Cell::new(parent.map(short).unwrap_or_default()),
        Cell::new(state),
    ]
}

fn name(row: &Row) -> String {
    row.found.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The types with their objects, as in `Hero (7 objects)`.
fn types(info: &SetInfo) -> String {
    let one =
        |(name, objects): (&str, u64)| format!("{} ({})", human::printable(name), plural(objects, "object"));
    let all: Vec<String> = info.types.iter().map(|t| one((&t.name, t.objects))).collect();
    all.join(", ")
}

/// The digits of an identity that are in the name of its folder.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// Seconds since the moment of the image.
fn age(info: &SetInfo) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_nanos(info.taken_ns)).as_secs()
}

/// Bytes of the segments that the set is an image of.
fn image(info: &SetInfo) -> u64 {
    let all = (0..info.segments()).map(|segment| info.segment_bytes(segment));
    all.fold(0, u64::saturating_add)
}

fn json_of(row: &Row, verify: bool) -> Value {
    let path = row.found.path.display().to_string();
    let problem = problem(row).map(SetError::to_string);
    let Ok(info) = &row.found.info else {
        return json!({ "path": path, "bytes": row.found.bytes, "state": "unreadable", "problem": problem });
    };
    let types = info
        .types
        .iter()
        .map(|t| json!({ "id": t.id, "name": t.name, "objects": t.objects, "schema": t.schema }));
    json!({
        "path": path,
        "id": row.found.id,
        "parent": row.found.parent,
        "process": info.process,
        "backend": info.backend.name(),
        "layout": info.layout,
        "base_key": info.base.0.to_string(),
        "base_bytes": info.base.1.0,
        "block_keys": info.blocks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "block_bytes": info.block_size.0,
        "taken_ns": info.taken_ns,
        "epoch": info.epoch,
        "boot": info.boot,
        "bytes": row.found.bytes,
        "state": match state(row, verify) { "" => "unread", state => state },
        "problem": problem,
        "types": types.collect::<Vec<_>>(),
    })
}
