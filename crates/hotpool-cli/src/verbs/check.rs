//! `hotpool check`: is each ini sound, alone and together with the other inis of the host?

use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::problems;
use comfy_table::{Cell, CellAlignment, Table, presets};
use hotpool::ConfMgr;
use hotpool::conf::{ConfError, OnDead, ProcessConf, QueueConf};
use hotpool::queue::segment_bytes;
use hotpool::units::{Bytes, Key};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Check inis: each one alone, then all of them for segment keys used twice
///
/// Prints what the files declare, or every problem in them. Reads only the files and no segment, so it
/// is safe to run next to a live server.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool check config/memorypool.ini
  hotpool check /etc/game/*.ini && systemctl restart zone
  hotpool check --json /etc/game/*.ini | jq -r '.problems[].message'

{}", exit::HELP))]
pub(crate) struct Args {
    /// The inis of one host
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Fails only if stdout does.
pub(crate) fn run(args: Args, out: &mut Output) -> anyhow::Result<Exit> {
    match ConfMgr::load_fleet(&args.files) {
        Ok(confs) => print_sound(&confs, out).map(|()| Exit::Ok),
        Err(error) => print_problems(&error, out).map(|()| problems::exit(&error)),
    }
}

fn print_problems(error: &ConfError, out: &mut Output) -> anyhow::Result<()> {
    if out.wants_json() {
        return Ok(out.document(&json!({ "ok": false, "files": [], "problems": problems::json(error) }))?);
    }
    problems::print(error, out)
}

fn print_sound(confs: &[ConfMgr], out: &mut Output) -> anyhow::Result<()> {
    if out.wants_json() {
        let files: Vec<Value> = confs.iter().map(file_json).collect();
        return Ok(out.document(&json!({ "ok": true, "files": files, "problems": [] }))?);
    }
    for (i, conf) in confs.iter().enumerate() {
        let gap = if i == 0 { "" } else { "\n" };
        let total = Bytes(conf.processes().iter().map(|process| total(process).0).sum());
        out.line(format_args!("{gap}{}: sound, {total} in blocks", conf.file().display()))?;
        out.line(table(conf).trim_fmt())?;
        if !conf.queues().is_empty() {
            out.line(queue_table(conf).trim_fmt())?;
        }
    }
    Ok(())
}

/// Returns the total size of the blocks of a process.
fn total(process: &ProcessConf) -> Bytes {
    Bytes(process.block_size.0 * process.shm_keys.len() as u64)
}

fn table(conf: &ConfMgr) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["process", "backend", "base key", "block keys", "blocks", "each", "total", "types"]);
    for process in conf.processes() {
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(&process.name),
            Cell::new(process.backend.name()),
            Cell::new(process.base_key),
            Cell::new(runs(&process.shm_keys)),
            number(process.shm_keys.len().to_string()),
            number(process.block_size.to_string()),
            number(total(process).to_string()),
            number(process.types.len().to_string()),
        ]);
    }
    table
}

/// Returns the queues of an ini, in a table of their own.
fn queue_table(conf: &ConfMgr) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["queue", "kind", "key", "messages", "each", "total", "writers", "readers"]);
    for queue in conf.queues() {
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(&queue.name),
            Cell::new(queue.kind.name()),
            Cell::new(queue.key),
            number(queue.capacity.to_string()),
            number(queue.message_bytes.to_string()),
            number(human::size(segment_bytes(queue).0)),
            Cell::new(queue.writers.join(", ")),
            Cell::new(queue.readers.join(", ")),
        ]);
    }
    table
}

/// Formats keys, and runs of consecutive keys as `first-last`.
fn runs(keys: &[Key]) -> String {
    let mut runs: Vec<(Key, Key)> = Vec::new();
    for key in keys {
        match runs.last_mut() {
            Some((_, last)) if last.0.checked_add(1) == Some(key.0) => *last = *key,
            _ => runs.push((*key, *key)),
        }
    }
    let words = runs.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn file_json(conf: &ConfMgr) -> Value {
    let processes: Vec<Value> = conf.processes().iter().map(process_json).collect();
    let queues: Vec<Value> = conf.queues().iter().map(queue_json).collect();
    json!({ "file": conf.file().display().to_string(), "processes": processes, "queues": queues })
}

fn queue_json(queue: &QueueConf) -> Value {
    json!({
        "name": queue.name,
        "key": queue.key.to_string(),
        "kind": queue.kind.name(),
        "capacity": queue.capacity,
        "message_bytes": queue.message_bytes.0,
        "total_bytes": segment_bytes(queue).0,
        "writers": queue.writers,
        "readers": queue.readers,
        "on_dead": on_dead(queue.on_dead),
        "on_slow": queue.on_slow.name(),
        "mode": format!("{:04o}", queue.mode),
        "wait_ms": queue.wait_ms,
    })
}

/// Formats a policy as the ini has it.
fn on_dead(policy: OnDead) -> String {
    match policy {
        OnDead::Hold => "hold".into(),
        OnDead::Evict => "evict".into(),
        OnDead::HoldFor(time) => format!("hold_for {}s", time.as_secs()),
    }
}

fn process_json(process: &ProcessConf) -> Value {
    let types = process.types.iter();
    let types: Vec<Value> = types
        .map(|t| json!({ "name": t.name, "capacity": t.capacity, "object_bytes": t.object_bytes }))
        .collect();
    let renames = process.renames.iter();
    let renames: Vec<Value> =
        renames.map(|one| json!({ "type": one.type_name, "field": one.field, "was": one.was })).collect();
    json!({
        "name": process.name,
        "backend": process.backend.name(),
        "dir": Some(process.dir.display().to_string()).filter(|dir| !dir.is_empty()),
        "base_key": process.base_key.to_string(),
        "shm_keys": process.shm_keys.iter().map(Key::to_string).collect::<Vec<_>>(),
        "block_bytes": process.block_size.0,
        "total_bytes": total(process).0,
        "mode": format!("{:04o}", process.mode),
        "owner_wait_ms": process.owner_wait_ms,
        "core_dump": process.core_dump.name(),
        "huge_pages": process.memory.huge_pages.name(),
        "prefault": process.memory.prefault,
        "lock_memory": process.memory.lock_memory,
        "max_crash_resumes": process.resume.max_crash_resumes,
        "crash_window_sec": process.resume.crash_window_sec,
        "on_crash_loop": process.resume.on_crash_loop.name(),
        "on_torn": process.resume.on_torn.name(),
        "on_missing": process.snapshots.on_missing.name(),
        "must_be_hot": process.resume.must_be_hot,
        "snapshot_dir": Some(process.snapshots.dir.display().to_string()).filter(|dir| !dir.is_empty()),
        "snapshot_every_sec": process.snapshots.every_sec,
        "snapshot_keep": process.snapshots.keep,
        "snapshot_on_close": process.snapshots.on_close,
        "types": types,
        "renames": renames,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_as_runs() {
        let keys = |keys: &[u32]| runs(&keys.iter().copied().map(Key).collect::<Vec<_>>());
        assert_eq!(keys(&[1]), "0x00000001");
        assert_eq!(keys(&[1, 2, 3, 7]), "0x00000001-0x00000003, 0x00000007");
        assert_eq!(keys(&[2, 1]), "0x00000002, 0x00000001");
        assert_eq!(keys(&[u32::MAX, 1]), "0xffffffff, 0x00000001");
    }
}
