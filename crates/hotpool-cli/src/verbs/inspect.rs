//! `hotpool inspect`: header, types and blocks of a pool, as its base stores them.

use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::pool_state::PoolState;
use crate::problems;
use crate::target::{Missing, Target, Which};
use anyhow::Result;
use comfy_table::{Cell, CellAlignment, Table, presets};
use hotpool::inspect::{BlockShape, Description, TypeShape, describe_pool};
use hotpool::object::StoredField;
use hotpool::share::{Head, LockFacts, PageKind, PoolFacts, Process};
use hotpool::units::Key;
use serde_json::{Value, json};
use std::io::Write;

const NANOS: u64 = 1_000_000_000;

/// Show the header, types and blocks of a pool
///
/// Attaches the base segment read-only for a moment. Changes nothing, and a live server does not notice.
/// Prints what the base stores without checking it; `hotpool verify` checks it.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  hotpool inspect --conf config/memorypool.ini --process zone
  hotpool inspect --key 0x48500100 --type player    show one type, with the fields of its objects
  hotpool inspect --key 0x48500100 --json | jq '.pools[0].types[] | {{name, live, capacity}}'

{}", exit::HELP))]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,

    /// Show only this type, with the fields of its objects
    #[arg(long = "type", value_name = "NAME")]
    type_name: Option<String>,
}

/// A pool and what its base stores.
struct Row {
    target: Target,
    read: Result<Description, Missing>,
}

/// Fails only if stdout does.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    let targets = match args.which.targets() {
        Ok(targets) => targets,
        Err(error) => return problems::instead_of_pools(&error, out),
    };
    let read = |target: Target| Row { read: target.read(describe_pool), target };
    let mut rows: Vec<Row> = targets.into_iter().map(read).collect();
    let mut exits: Vec<Exit> = rows.iter().map(Row::exit).collect();
    if let Some(name) = &args.type_name {
        let known = only(&mut rows, name);
        // If no pool could be read, that is the problem to report.
        if let Some(known) = known {
            let _ = writeln!(std::io::stderr(), "hotpool inspect: no pool has a type `{name}`; {known}");
            exits.push(Exit::Usage);
        }
    }
    let exit = Exit::worst(exits);
    if out.wants_json() {
        let pools: Vec<Value> = rows.iter().map(Row::json).collect();
        out.document(&json!({ "ok": exit == Exit::Ok, "pools": pools, "problems": [] }))?;
    } else {
        for (number, row) in rows.iter().enumerate() {
            out.text(if number == 0 { "" } else { "\n" })?;
            row.print(args.type_name.is_some(), out)?;
        }
    }
    Ok(exit)
}

/// Keeps only the type `name`. If pools were read and none of them has it, returns the types they have.
fn only(rows: &mut [Row], name: &str) -> Option<String> {
    let read = rows.iter_mut().filter_map(|row| row.read.as_mut().ok());
    let (mut is_read, mut is_known, mut others) = (false, false, Vec::new());
    for pool in read {
        is_read = true;
        others.extend(pool.types.iter().map(|of| human::printable(&of.name)));
        pool.types.retain(|of| of.name == name);
        is_known |= !pool.types.is_empty();
    }
    others.sort();
    others.dedup();
    let said = if others.is_empty() {
        "it has no types".into()
    } else {
        format!("its types are {}", others.join(", "))
    };
    (is_read && !is_known).then_some(said)
}

fn owner(lock: &LockFacts) -> Option<&Process> {
    match lock {
        LockFacts::Held { holder, .. } => Some(holder),
        _ => None,
    }
}

fn state(pool: &Description) -> PoolState {
    PoolState::of(&PoolFacts { base: pool.facts.clone(), blocks: Vec::new(), rivals: None })
}

fn pool_id(head: &Head) -> String {
    format!("{:016x}{:016x}", head.pool_id[0], head.pool_id[1])
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

impl Row {
    fn exit(&self) -> Exit {
        match &self.read {
            Err(missing) => missing.exit(),
            Ok(pool) if pool.types.iter().any(|of| of.problem.is_some()) => Exit::Damage,
            Ok(pool) if state(pool) == PoolState::Damaged => Exit::Damage,
            Ok(_) => Exit::Ok,
        }
    }

    fn print(&self, with_fields: bool, out: &mut Output) -> Result<()> {
        let pool = match &self.read {
            Ok(pool) => pool,
            Err(missing) => {
                let line = format!("{}: {}: {}", self.target.name(), missing.word(), missing.why());
                return Ok(out.line(line)?);
            }
        };
        print_header(self.target.key, pool, out)?;
        out.line("\ntypes:")?;
        print_table(&types_table(&pool.types), out)?;
        for of in pool.types.iter().filter(|of| of.problem.is_some()) {
            let (id, what) = (of.id, of.problem.unwrap_or_default());
            out.line(format_args!(" type {id} is damaged: {what}"))?;
        }
        for of in pool.types.iter().filter(|_| with_fields) {
            out.line(format_args!("\nfields of {}:", human::printable(&of.name)))?;
            match &of.fields {
                Some(fields) => print_table(&fields_table(fields), out)?,
                None if of.schema_bytes == 0 => out.line(" not stored: the base had no room for them")?,
                None => out.line(" not readable: their text is damaged")?,
            }
        }
        out.line("\nblocks:")?;
        print_table(&blocks_table(&pool.blocks), out)
    }

    fn json(&self) -> Value {
        let pool = match &self.read {
            Ok(pool) => pool,
            Err(missing) => {
                return json!({ "key": self.target.key.to_string(), "process": self.target.process,
                    "backend": self.target.home.backend.name(), "state": missing.word(), "reason": missing.why() });
            }
        };
        let head = pool.facts.head();
        let seconds = |nanos: u64| Some(nanos / NANOS).filter(|s| *s != 0);
        json!({
            "key": self.target.key.to_string(),
            "process": head.map(|head| &head.process),
            "backend": pool.facts.backend.name(),
            "state": state(pool).word(),
            "reason": null,
            "pool_id": head.map(pool_id),
            "layout": head.map(|head| head.layout),
            "block_bytes": pool.block_bytes.0,
            "base_bytes": head.map(|head| head.bytes),
            "base_pages": pool.base_pages.map(PageKind::name),
            "epoch": head.map(|head| head.epoch),
            "run": head.and_then(run_word),
            "owner_pid": owner(&pool.facts.lock).map(|owner| owner.pid),
            "last_owner_pid": head.map(|head| head.owner_pid).filter(|pid| *pid != 0),
            "seen_at": pool.facts.seen,
            "created_at": head.and_then(|head| seconds(head.created)),
            "started_at": head.and_then(|head| seconds(head.started)),
            "ready_at": head.and_then(|head| seconds(head.readied)),
            "closed_at": head.and_then(|head| seconds(head.closed)),
            "starts_clean": pool.starts_clean,
            "starts_crashed": pool.starts_crashed,
            "extents": pool.extents,
            "types": pool.types.iter().map(type_json).collect::<Vec<_>>(),
            "blocks": pool.blocks.iter().map(block_json).collect::<Vec<_>>(),
        })
    }
}

/// How the last owner left, as the base says it.
fn run_word(head: &Head) -> Option<&'static str> {
    match head.run? {
        hotpool::__internal::layout::RUN_CLOSED => Some("closed"),
        hotpool::__internal::layout::RUN_STARTING => Some("starting"),
        hotpool::__internal::layout::RUN_READY => Some("ready"),
        _ => Some("unknown"),
    }
}

fn print_header(key: Key, pool: &Description, out: &mut Output) -> Result<()> {
    let Some(head) = pool.facts.head() else { return Ok(out.line(format_args!("{key}: it has no header"))?) };
    let owner = match owner(&pool.facts.lock) {
        Some(owner) => owner.to_string(),
        None if head.owner_pid != 0 => format!("none; the last owner was pid {}", head.owner_pid),
        None => "none".into(),
    };
    let ago = |nanos: u64| match nanos {
        0 => "never".into(),
        _ => format!("{} ago", human::age(pool.facts.seen.saturating_sub(nanos / NANOS))),
    };
    let rows = [
        ("process", human::printable(&head.process)),
        ("pool id", pool_id(head)),
        ("layout version", head.layout.to_string()),
        ("base", format!("{} bytes{}", head.bytes, pages(pool.base_pages))),
        ("block size", human::size(pool.block_bytes.0)),
        ("created", ago(head.created)),
        ("epoch", format!("{} ({} closed, {} died)", head.epoch, pool.starts_clean, pool.starts_crashed)),
        ("started", ago(head.started)),
        ("ready", ago(head.readied)),
        ("closed", ago(head.closed)),
        ("run state", run_word(head).unwrap_or("unknown").into()),
        ("owner", owner),
    ];
    out.line(format_args!("{key}: {}", state(pool).word()))?;
    for (name, value) in rows {
        out.line(format_args!("  {name:15} {value}"))?;
    }
    Ok(())
}

/// Formats the page size, to follow the size of the base.
fn pages(kind: Option<PageKind>) -> &'static str {
    match kind {
        Some(PageKind::Small) => ", pages of 4 KiB",
        Some(PageKind::Transparent) => ", transparent pages of 2 MiB",
        Some(PageKind::Reserved) => ", reserved pages of 2 MiB",
        None => "",
    }
}

/// Creates a table whose rows never wrap, so that each row can be searched as one line.
fn new_table<const N: usize>(header: [&str; N], is_number: [u8; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    let columns = table.column_iter_mut().zip(is_number);
    for (column, _) in columns.filter(|(_, is_number)| *is_number != 0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn print_table(table: &Table, out: &mut Output) -> Result<()> {
    for line in table.trim_fmt().lines() {
        out.line(line.trim_end())?;
    }
    Ok(())
}

fn types_table(types: &[TypeShape]) -> Table {
    let mut table = new_table(
        [
            "id", "name", "keyed", "object", "stride", "live", "high", "capacity", "retired", "extents",
            "bytes", "groups",
        ],
        [1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    );
    for of in types {
        table.add_row([
            Cell::new(of.id),
            Cell::new(human::printable(&of.name)),
            Cell::new(yes(of.keyed)),
            Cell::new(of.object_bytes),
            Cell::new(of.stride),
            Cell::new(of.live),
            Cell::new(of.high_water),
            Cell::new(of.capacity),
            Cell::new(of.retired),
            Cell::new(of.slot_extents + of.index_extents),
            Cell::new(human::size(of.bytes)),
            Cell::new(of.groups),
        ]);
    }
    table
}

fn fields_table(fields: &[StoredField]) -> Table {
    let mut table = new_table(["offset", "size", "type", "name"], [1, 1, 0, 0]);
    for field in fields {
        let (type_name, name) = (human::printable(&field.type_name), human::printable(&field.name));
        table.add_row([field.offset.to_string(), field.size.to_string(), type_name, name]);
    }
    table
}

fn blocks_table(blocks: &[BlockShape]) -> Table {
    let mut table = new_table(["block", "key", "extents", "used", "free", ""], [1, 0, 1, 1, 1, 0]);
    for block in blocks {
        table.add_row([
            block.index.to_string(),
            block.key.to_string(),
            block.extents.to_string(),
            block.taken.0.to_string(),
            block.free.0.to_string(),
            if block.vacant { "given up".into() } else { String::new() },
        ]);
    }
    table
}

fn type_json(of: &TypeShape) -> Value {
    let field = |field: &StoredField| json!({ "offset": field.offset, "size": field.size, "type": field.type_name, "name": field.name });
    json!({
        "id": of.id,
        "name": of.name,
        "problem": of.problem,
        "keyed": of.keyed,
        "object_bytes": of.object_bytes,
        "stride": of.stride,
        "align": of.align,
        "fingerprint": format!("{:016x}", of.fingerprint),
        "live": of.live,
        "high_water": of.high_water,
        "capacity": of.capacity,
        "retired": of.retired,
        "slot_extents": of.slot_extents,
        "index_extents": of.index_extents,
        "bytes": of.bytes,
        "groups": of.groups,
        "fields": of.fields.as_ref().map(|fields| fields.iter().map(field).collect::<Vec<_>>()),
    })
}

fn block_json(block: &BlockShape) -> Value {
    json!({ "index": block.index, "key": block.key.to_string(), "given_up": block.vacant, "extents": block.extents,
        "bytes_taken": block.taken.0, "bytes_free": block.free.0 })
}
