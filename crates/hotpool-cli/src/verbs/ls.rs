//! `hotpool ls`: the pools of the host or of inis, their owners and their states.

use crate::agreement;
use crate::declared::{self, DeclaredQueue};
use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::pool_state::PoolState;
use crate::problems;
use anyhow::{Result, anyhow};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use hotpool::ConfMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::Disagreement;
use hotpool::share::{
    Ended, Facts, Home, LockFacts, LooseBlock, MemoryTable, PoolFacts, Reading, SegmentFacts, Verdict, Want,
    explain_listing, explain_look, list_pools, observe_process,
};
use hotpool::units::Key;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Wide enough for everything except long names, which wrap.
const COLUMNS: u16 = 100;
const NANOS: u64 = 1_000_000_000;

/// List pools with their state, owner and age
///
/// Lists the pools of the inis, including those that do not exist yet, and their queues. Without --conf, lists every pool on
/// the host in System V memory and /dev/shm. A live server does not notice: the base segment is attached
/// read-only for a moment, and blocks are not attached at all.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool ls                                 list every pool on this host
  hotpool ls --conf config/memorypool.ini    list every pool of an ini, including absent ones
  hotpool ls --json | jq -r '.pools[] | select(.state == \"crashed\") | .key'

{}", exit::HELP))]
pub(crate) struct Args {
    /// List the pools of this ini; may be repeated
    #[arg(long, value_name = "INI")]
    conf: Vec<PathBuf>,

    /// Add a row for each block
    #[arg(long)]
    all: bool,
}

/// Fails if the system does not list its segments.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let (rows, queues) = if args.conf.is_empty() {
        (host_rows()?, Vec::new())
    } else {
        let both = ConfMgr::load_fleet(&args.conf)
            .and_then(|confs| Ok((conf_rows(&confs), declared::queues(&args.conf, &[])?)));
        match both {
            Ok(both) => both,
            Err(error) if out.wants_json() => {
                out.document(&json!({ "ok": false, "pools": [], "problems": problems::json(&error) }))?;
                return Ok(problems::exit(&error));
            }
            Err(error) => {
                problems::print(&error, out)?;
                return Ok(problems::exit(&error));
            }
        }
    };
    let is_sound = queues.iter().all(|queue| queue.exit() == Exit::Ok)
        && !rows.iter().any(|row| row.state.is_problem() || agreement::is_refused(&row.said));
    if out.wants_json() {
        let pools: Vec<Value> = rows.iter().map(Row::json).collect();
        let queues: Vec<Value> = queues.iter().map(DeclaredQueue::json).collect();
        out.document(&json!({ "ok": is_sound, "pools": pools, "queues": queues, "problems": [] }))?;
    } else {
        print(&rows, args.all, out)?;
        for line in queues.iter().flat_map(DeclaredQueue::lines) {
            out.line(line)?;
        }
    }
    Ok(if is_sound { Exit::Ok } else { Exit::Problems })
}

/// A row of the table.
struct Row {
    /// The section of the ini, if one names the pool.
    process: Option<ProcessConf>,
    /// The pool. For a stray block, the block is its base.
    pool: PoolFacts,
    state: PoolState,
    /// What was found and what to do, if the pool needs attention.
    remark: Option<String>,
    memory: MemoryTable,
    /// The disagreements between the ini and the pool.
    said: Vec<Disagreement>,
}

impl Row {
    fn of_pool(pool: PoolFacts, memory: &MemoryTable, process: Option<&ProcessConf>) -> Row {
        let state = PoolState::of(&pool);
        let remark = state.remark(&pool);
        let said = process.map(agreement::of).unwrap_or_default();
        Row { process: process.cloned(), pool, state, remark, memory: memory.clone(), said }
    }

    fn of_block(block: LooseBlock, memory: &MemoryTable, process: Option<&ProcessConf>) -> Row {
        let state = PoolState::of_block(&block);
        let remark = state.remark_of_block(&block);
        let pool = PoolFacts { base: block.facts, blocks: Vec::new(), rivals: None };
        Row { process: process.cloned(), pool, state, remark, memory: memory.clone(), said: Vec::new() }
    }

    /// Makes the row of a pool that could not be read.
    fn unknown(process: &ProcessConf, memory: &MemoryTable, error: &std::io::Error) -> Row {
        let base = Facts {
            key: process.base_key,
            backend: process.backend,
            want: Want::default(),
            segment: None,
            user: None,
            lock: LockFacts::None,
            reading: Reading::Refused { why: explain_look(process.base_key, &Home::of(process), error) },
            strangers: 0,
            seen: 0,
        };
        Row::of_pool(PoolFacts { base, blocks: Vec::new(), rivals: None }, memory, Some(process))
    }

    fn facts(&self) -> &Facts {
        &self.pool.base
    }

    /// Returns the process name that the segment stores, or else that of the ini.
    fn process(&self) -> &str {
        let said = self.facts().head().map(|head| head.process.as_str()).filter(|name| !name.is_empty());
        said.or(self.process.as_ref().map(|process| process.name.as_str())).unwrap_or("")
    }

    /// Returns RAM and swap of all segments, as far as the system reports them.
    fn memory(&self) -> (u64, u64) {
        let found = self.pool.segments().filter_map(|segment| self.memory.of(segment));
        found.fold((0, 0), |(ram, swap), of| (ram + of.resident.0, swap + of.swapped.0))
    }

    /// Returns the seconds since the last owner attached.
    fn started_ago(&self) -> Option<u64> {
        let started = self.facts().head().map(|head| head.started).filter(|nanos| *nanos != 0)?;
        Some(self.facts().seen.saturating_sub(started / NANOS))
    }

    fn is_block(&self) -> bool {
        self.facts().head().is_some_and(|head| head.kind == hotpool::__internal::layout::BLOCK_KIND)
    }
}

fn host_rows() -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for backend in [BackendKind::Sysv, BackendKind::Posix] {
        let home = Home { backend, ..Home::sysv() };
        let listing = list_pools(&home).map_err(|error| anyhow!(explain_listing(&home, &error)))?;
        let memory = MemoryTable::read(&home).unwrap_or_default();
        // A pool in /dev/shm has System V semaphores, which look there like semaphores without a segment.
        rows.retain(|row| {
            let is_same = |pool: &PoolFacts| pool.base.key == row.facts().key;
            row.state != PoolState::Semaphores || !listing.pools.iter().any(is_same)
        });
        rows.extend(listing.pools.into_iter().map(|pool| Row::of_pool(pool, &memory, None)));
        rows.extend(listing.strays.into_iter().map(|block| Row::of_block(block, &memory, None)));
    }
    rows.sort_by_key(|row| row.facts().key);
    Ok(rows)
}

/// Makes the rows of inis. A pool that cannot be read has a row with the reason.
fn conf_rows(confs: &[ConfMgr]) -> Vec<Row> {
    let mut rows = Vec::new();
    for process in confs.iter().flat_map(ConfMgr::processes) {
        let memory = MemoryTable::read(&Home::of(process)).unwrap_or_default();
        match observe_process(process) {
            Err(error) => rows.push(Row::unknown(process, &memory, &error)),
            Ok((pool, blocks)) => {
                rows.push(Row::of_pool(pool, &memory, Some(process)));
                rows.extend(blocks.into_iter().map(|block| Row::of_block(block, &memory, Some(process))));
            }
        }
    }
    rows
}

fn print(rows: &[Row], with_blocks: bool, out: &mut Output) -> Result<()> {
    if rows.is_empty() {
        return Ok(out.line("no pools")?);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(COLUMNS);
    table.set_header([
        "key", "process", "backend", "blocks", "size", "in RAM", "owner", "state", "started", "ended",
    ]);
    for row in rows {
        table.add_row(cells(row));
        if with_blocks {
            row.pool.blocks.iter().for_each(|block| {
                let segment = block.segment.as_ref();
                let state = match block.vacant {
                    true => "given up",
                    false if block.is_missing() => "missing",
                    false => "",
                };
                table.add_row(block_cells(row, block.key, segment, state));
            });
        }
    }
    for line in table.trim_fmt().lines() {
        out.line(line.trim_end())?;
    }
    for remark in rows.iter().filter_map(|row| row.remark.as_ref()) {
        out.line(remark)?;
    }
    for one in rows.iter().flat_map(|row| &row.said) {
        out.line(agreement::line(one))?;
    }
    for key in twice(rows) {
        out.line(format_args!(
            "{key} exists in System V memory and in /dev/shm: `hotpool rm --key {key}` removes the first, `hotpool rm \
             --conf` with an ini that has Backend = posix the second"
        ))?;
    }
    Ok(())
}

/// Returns the base keys that exist in more than one backend.
fn twice(rows: &[Row]) -> Vec<Key> {
    let there = |row: &&Row| row.facts().segment.is_some();
    let keys: Vec<Key> = rows.iter().filter(there).map(|row| row.facts().key).collect();
    keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn cells(row: &Row) -> Vec<Cell> {
    let owner = match &row.facts().lock {
        LockFacts::Held { holder, .. } if holder.pid == 0 => "hidden".into(),
        LockFacts::Held { holder, .. } => holder.pid.to_string(),
        _ if matches!(row.facts().verdict(), Verdict::WrongOwner { .. }) => "?".into(),
        _ => "-".into(),
    };
    let ago = |seconds: Option<u64>| seconds.map_or(String::new(), |s| format!("{} ago", human::age(s)));
    let since = |then: u64| Some(row.facts().seen.saturating_sub(then));
    let ended = match row.pool.ended() {
        Some(Ended::At(then)) => ago(since(then)),
        Some(Ended::Before(then)) => format!("> {}", ago(since(then))),
        None => String::new(),
    };
    let is_there = row.pool.segments().next().is_some();
    let if_there = |text: String| right(if is_there { text } else { String::new() });
    vec![
        Cell::new(row.facts().key),
        Cell::new(row.process()),
        Cell::new(row.facts().backend.name()),
        right(blocks(row)),
        if_there(human::size(row.pool.bytes().0)),
        if_there(human::size(row.memory().0)),
        right(owner),
        Cell::new(row.state.word()),
        right(ago(row.started_ago())),
        right(ended),
    ]
}

/// Formats number and size of the blocks: `4 x 64M`.
fn blocks(row: &Row) -> String {
    if row.is_block() {
        return "block".into();
    }
    let there: Vec<u64> = row.pool.blocks.iter().filter_map(|b| Some(b.segment.as_ref()?.bytes.0)).collect();
    match there.first() {
        Some(bytes) => format!("{} x {}", there.len(), human::size(*bytes)),
        None if row.facts().segment.is_some() => "0".into(),
        None => String::new(),
    }
}

fn block_cells(row: &Row, key: Key, segment: Option<&SegmentFacts>, state: &str) -> Vec<Cell> {
    let memory = segment.and_then(|segment| row.memory.of(segment)).map(|memory| memory.resident.0);
    vec![
        Cell::new(key),
        Cell::new(""),
        Cell::new(row.facts().backend.name()),
        right("block".into()),
        right(segment.map_or(String::new(), |segment| human::size(segment.bytes.0))),
        right(memory.map_or(String::new(), human::size)),
        Cell::new(""),
        Cell::new(state),
    ]
}

impl Row {
    fn json(&self) -> Value {
        let facts = self.facts();
        let (head, verdict) = (facts.head(), facts.verdict());
        let seconds = |nanos: u64| Some(nanos / NANOS).filter(|s| *s != 0);
        let (ended_at, is_exact) = match self.pool.ended() {
            Some(Ended::At(then)) => (Some(then), Some(true)),
            Some(Ended::Before(then)) => (Some(then), Some(false)),
            None => (None, None),
        };
        let (resident, swapped) = self.memory();
        json!({
            "key": facts.key.to_string(),
            "process": self.process(),
            "backend": facts.backend.name(),
            "kind": if self.is_block() { "block" } else { "pool" },
            "state": self.state.word(),
            "problem": self.state.is_problem(),
            "verdict": verdict.reason(facts),
            "remark": self.remark,
            "file": self.process.as_ref().map(|process| process.places.base_key.file.display().to_string()),
            "disagreements": agreement::json(&self.said),
            "owner": owner_json(facts),
            "observers": facts.lock.observers(),
            "bytes": self.pool.bytes().0,
            "resident_bytes": resident,
            "swapped_bytes": swapped,
            "epoch": head.map(|head| head.epoch),
            "last_owner_pid": head.map(|head| head.owner_pid).filter(|pid| *pid != 0),
            "layout": head.map(|head| head.layout),
            "pool_id": head.map(|head| format!("{:016x}{:016x}", head.pool_id[0], head.pool_id[1])),
            "seen_at": facts.seen,
            "created_at": head.and_then(|head| seconds(head.created)),
            "started_at": head.and_then(|head| seconds(head.started)),
            "ready_at": head.and_then(|head| seconds(head.readied)),
            "closed_at": head.and_then(|head| seconds(head.closed)),
            "ended_at": ended_at,
            "ended_at_is_exact": is_exact,
            "segment": facts.segment.as_ref().map(|segment| self.segment_json(segment)),
            "blocks": self.blocks_json(),
        })
    }

    fn blocks_json(&self) -> Vec<Value> {
        let block = |(index, block): (usize, &hotpool::share::BlockFacts)| {
            json!({
                "index": index,
                "key": block.key.to_string(),
                "given_up": block.vacant,
                "missing": block.is_missing(),
                "segment": block.segment.as_ref().map(|segment| self.segment_json(segment)),
            })
        };
        self.pool.blocks.iter().enumerate().map(block).collect()
    }

    fn segment_json(&self, segment: &SegmentFacts) -> Value {
        let memory = self.memory.of(segment);
        json!({
            "id": segment.id,
            "bytes": segment.bytes.0,
            "resident_bytes": memory.map(|memory| memory.resident.0),
            "swapped_bytes": memory.map(|memory| memory.swapped.0),
            "uid": segment.uid,
            "gid": segment.gid,
            "mode": format!("{:04o}", segment.mode),
            "creator_pid": segment.creator_pid,
            "last_pid": segment.last_pid,
            "attached": segment.attached,
            "last_attach": segment.last_attach,
            "last_detach": segment.last_detach,
        })
    }
}

fn owner_json(facts: &Facts) -> Option<Value> {
    let LockFacts::Held { holder, .. } = &facts.lock else { return None };
    Some(json!({
        "pid": holder.pid,
        "state": holder.state.to_string(),
        "command": holder.command,
        "age_seconds": holder.age,
    }))
}
