//! `hotpool postmortem`: what was the process doing when it died?

use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::problems;
use crate::target::{Missing, Target, Which};
use anyhow::Result;
use comfy_table::{Cell, CellAlignment, Table, presets};
use hotpool::pool::{BeingWritten, Note, PostMortem, Start};
use serde_json::{Value, json};

/// Show what a process was doing when it died, or is doing now
///
/// Prints the last operation on a slot, the objects being written, the last notes of the black box and the
/// starts of the pool. Attaches the base segment read-only for a moment. Changes nothing, and a live server
/// does not notice.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool postmortem --conf config/memorypool.ini --process zone
  hotpool postmortem --key 0x48500100 --notes 200
  hotpool postmortem --key 0xc8500100    read a pool that a crash loop has moved aside
  hotpool postmortem --key 0x48500100 --json | jq '.pools[0].starts[-1]'

{}", exit::HELP))]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,

    /// Show this many of the last notes
    #[arg(long, value_name = "N", default_value_t = 20)]
    notes: usize,
}

/// A pool and its post-mortem.
struct Row {
    target: Target,
    read: Result<PostMortem, Missing>,
}

/// Fails only if stdout does.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let targets = match args.which.targets() {
        Ok(targets) => targets,
        Err(error) => return problems::instead_of_pools(&error, out),
    };
    let read = |target: Target| Row { read: target.read(PostMortem::read), target };
    let rows: Vec<Row> = targets.into_iter().map(read).collect();
    let exit = Exit::worst(rows.iter().map(|row| row.read.as_ref().map_or_else(Missing::exit, |_| Exit::Ok)));
    if out.wants_json() {
        let pools: Vec<Value> = rows.iter().map(|row| row.json(args.notes)).collect();
        out.document(&json!({ "ok": exit == Exit::Ok, "pools": pools, "problems": [] }))?;
    } else {
        for (number, row) in rows.iter().enumerate() {
            out.text(if number == 0 { "" } else { "\n" })?;
            match &row.read {
                Ok(found) => print(found, args.notes, out)?,
                Err(missing) => {
                    out.line(format_args!("{}: {}: {}", row.target.name(), missing.word(), missing.why()))?
                }
            }
        }
    }
    Ok(exit)
}

impl Row {
    fn json(&self, notes: usize) -> Value {
        match &self.read {
            Ok(found) => pool_json(found, notes),
            Err(missing) => json!({ "key": self.target.key.to_string(), "process": self.target.process,
                "outcome": missing.word(), "reason": missing.why() }),
        }
    }
}

/// Returns the moment from which ages are counted back: the end of the last owner, or now.
fn reference(found: &PostMortem) -> u64 {
    let last_note = found.notes.last().map_or(0, |note| note.wall);
    match (&found.owner, found.ended) {
        (Some(_), _) => found.read_at,
        // The kernel counts in seconds, so a note may seem to be later than the end.
        (None, ended) => ended.unwrap_or(0).max(last_note),
    }
}

fn print(found: &PostMortem, notes: usize, out: &mut Output) -> Result<()> {
    let ago = |nanos: Option<u64>| {
        nanos.map_or("at an unknown time".into(), |at| {
            format!("{} ago", span(found.read_at.saturating_sub(at)))
        })
    };
    let name = if found.process.is_empty() { "a pool" } else { &found.process };
    let state = match (&found.owner, found.closed) {
        (Some(owner), _) => format!("running: {owner}{}", if found.ready { "" } else { ", not ready yet" }),
        (None, true) => format!("closed by pid {} {}", found.pid, ago(found.ended)),
        (None, false) => {
            let when = if found.ready { "while serving" } else { "before ready()" };
            let how = match found.starts.last().map(|start| start.end) {
                Some(hotpool::pool::StartEnd::Dropped) => "exited without close()",
                _ => "died",
            };
            format!("pid {} {how} {when}, {}", found.pid, ago(found.ended))
        }
    };
    out.line(format_args!("{name} {}: {state}", found.key))?;
    let operation = found.operation.as_ref().map_or("none since it attached".into(), |last| {
        let what = if last.alloc { "alloc" } else { "free" };
        format!("{what} of {}, slot {}", type_name(last.type_id, &last.type_name), last.slot)
    });
    out.line(format_args!("last operation   {operation}"))?;
    for mark in &found.being_written {
        out.line(format_args!("being written    {}", mark_text(mark)))?;
    }
    if found.being_written.is_empty() {
        out.line("being written    nothing")?;
    }
    for object in &found.quarantined {
        out.line(format_args!("in quarantine    {object}"))?;
    }

    let end = if found.owner.is_some() { "now" } else { "the end" };
    out.line(format_args!("\nlast notes, by time before {end}:"))?;
    let shown = found.notes.len().saturating_sub(notes);
    let at = reference(found);
    for note in &found.notes[shown..] {
        out.line(format_args!("  {:>9}  {note}", age(note, at)))?;
    }
    out.line("\nstarts:")?;
    Ok(out.line(table(found).trim_fmt())?)
}

fn age(note: &Note, at: u64) -> String {
    if note.wall == 0 { "?".into() } else { span(at.saturating_sub(note.wall)) }
}

fn type_name(id: u16, name: &str) -> String {
    if name.is_empty() { format!("type {id}") } else { name.into() }
}

fn mark_text(mark: &BeingWritten) -> String {
    let name = type_name(mark.type_id, &mark.type_name);
    let what = match mark.object {
        Some(object) => format!("{name} {object}"),
        None => format!("any {name}"),
    };
    if mark.earlier { format!("{what} (left by a panic, or by an owner before this one)") } else { what }
}

fn table(found: &PostMortem) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["start", "pid", "began", "ready", "ended", "how"]);
    for start in &found.starts {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let ago = |nanos: u64| format!("{} ago", span(found.read_at.saturating_sub(nanos)));
        let after = |nanos: Option<u64>| {
            nanos.map_or("-".into(), |at| format!("after {}", span(at.saturating_sub(start.started))))
        };
        table.add_row([
            right(start.epoch.to_string()),
            right(start.pid.to_string()),
            right(ago(start.started)),
            right(after(start.ready)),
            right(after(start.ended)),
            Cell::new(how(found, start)),
        ]);
    }
    table
}

/// Returns how a start ended. For the last one that depends on whether the pool has an owner.
fn how(found: &PostMortem, start: &Start) -> String {
    match (start.end, &found.owner) {
        (hotpool::pool::StartEnd::Open, Some(_)) => "running".into(),
        (hotpool::pool::StartEnd::Open, None) => "died".into(),
        (hotpool::pool::StartEnd::Signal(signal), _) => format!("signal {signal}"),
        (end, _) => end.name().into(),
    }
}

/// Formats a span of time in the unit that fits.
fn span(nanos: u64) -> String {
    match nanos {
        0..10_000_000_000 => format!("{} ms", nanos / 1_000_000),
        _ => human::age(nanos / 1_000_000_000),
    }
}

fn pool_json(found: &PostMortem, notes: usize) -> Value {
    let at = reference(found);
    let shown = found.notes.len().saturating_sub(notes);
    let note = |note: &Note| {
        let event = hotpool::pool::Event::of(note.tag).map(|event| event.name());
        let age = (note.wall != 0).then(|| at.saturating_sub(note.wall) / 1_000_000);
        json!({ "number": note.number, "tag": note.tag, "event": event, "a": note.a, "b": note.b,
            "wall_ns": Some(note.wall).filter(|wall| *wall != 0), "ms_before_end": age })
    };
    let start = |start: &Start| {
        json!({ "epoch": start.epoch, "pid": start.pid, "started_ns": start.started, "ready_ns": start.ready,
            "ended_ns": start.ended, "end": how(found, start) })
    };
    let mark = |mark: &BeingWritten| {
        json!({ "object": mark.object.map(|object| object.to_string()), "type_id": mark.type_id,
            "type": mark.type_name, "earlier": mark.earlier })
    };
    let operation = found.operation.as_ref().map(|last| {
        json!({ "operation": if last.alloc { "alloc" } else { "free" }, "type_id": last.type_id,
            "type": last.type_name, "slot": last.slot })
    });
    json!({
        "key": found.key.to_string(),
        "process": found.process,
        "owner_pid": found.owner.as_ref().map(|owner| owner.pid),
        "last_pid": found.pid,
        "closed": found.closed,
        "ready": found.ready,
        "ended_ns": found.ended,
        "last_operation": operation,
        "being_written": found.being_written.iter().map(mark).collect::<Vec<_>>(),
        "quarantined": found.quarantined.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notes": found.notes[shown..].iter().map(note).collect::<Vec<_>>(),
        "starts": found.starts.iter().map(start).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_the_unit_that_fits() {
        let said = [0, 9_999_000_000, 10_000_000_000, 600_000_000_000, 172_800_000_000_000].map(span);
        assert_eq!(said, ["0 ms", "9999 ms", "10 s", "10 min", "2 d"]);
    }
}
