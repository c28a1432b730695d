//! `hotpool queues`: the queues between processes, who lives, who lags.

use crate::exit::{self, Exit};
use crate::human;
use crate::output::Output;
use crate::problems;
use crate::remains::Remains;
use anyhow::{Context, Result};
use clap::ArgGroup;
use comfy_table::{Cell, CellAlignment, Table, presets};
use hotpool::ConfMgr;
use hotpool::queue::{QueueFacts, observe};
use hotpool::share::Process;
use hotpool::sync::{self, RemoveError, parts};
use hotpool::units::{Key, plural};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Show the queues between processes: rate, depth, dead members, lag of each reader
///
/// Attaches each queue read-only for a moment and takes no seat in it: its members do not notice. A
/// queue is looked at twice, to tell how many messages a second it carries.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["conf", "key", "rm"]))]
#[command(after_help = format!("\
Examples:
  hotpool queues --conf config/memorypool.ini    show the queues of an ini
  hotpool queues --key 0x48500f01                show one queue
  hotpool queues --rm 0x48500f01                 remove a queue or lock that no process uses

{}", exit::HELP))]
pub(crate) struct Args {
    /// Show the queues of this ini; may be repeated
    #[arg(long, value_name = "INI")]
    conf: Vec<PathBuf>,

    /// Show the queue with this key; may be repeated
    #[arg(long, value_name = "KEY", value_parser = human::key)]
    key: Vec<Key>,

    /// Remove the queue or lock with this key and everything in it; refused while a process uses it
    #[arg(long, value_name = "KEY", value_parser = human::key, conflicts_with_all = ["conf", "key"])]
    rm: Option<Key>,

    /// Milliseconds between the two looks
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    interval: u64,
}

/// A queue, and what was found of it.
struct Row {
    name: Option<String>,
    key: Key,
    facts: Option<QueueFacts>,
    remains: Remains,
    rate: u64,
}

/// Fails if the system does not show a segment.
pub(crate) fn run(args: Args, out: &mut Output) -> Result<Exit> {
    if let Some(key) = args.rm {
        return remove(key, out);
    }
    let confs = match ConfMgr::load_fleet(&args.conf) {
        Ok(confs) => confs,
        Err(error) if out.wants_json() => {
            out.document(&json!({ "ok": false, "queues": [], "problems": problems::json(&error) }))?;
            return Ok(problems::exit(&error));
        }
        Err(error) => {
            problems::print(&error, out)?;
            return Ok(problems::exit(&error));
        }
    };
    let declared = confs.iter().flat_map(|conf| conf.queues());
    let declared = declared.map(|queue| (Some(queue.name.clone()), queue.key));
    let named = declared.chain(args.key.iter().map(|key| (None, *key)));
    let rows = looked_at(named.collect(), Duration::from_millis(args.interval))?;
    let is_sound = rows.iter().all(|row| row.facts.as_ref().is_none_or(|facts| facts.damage.is_empty()));
    let is_there = rows.iter().any(|row| row.facts.is_some());
    let remains = Exit::worst(rows.iter().map(|row| row.remains.exit()));
    if out.wants_json() {
        let queues: Vec<Value> = rows.iter().map(json_of).collect();
        out.document(&json!({ "ok": is_sound, "queues": queues, "problems": [] }))?;
    } else {
        print(&rows, out)?;
    }
    Ok(match (is_sound, is_there || args.key.is_empty()) {
        (false, _) => Exit::Damage,
        (true, _) if remains != Exit::Ok => Exit::Problems,
        (true, false) => Exit::Absent,
        (true, true) => Exit::Ok,
    })
}

fn remove(key: Key, out: &mut Output) -> Result<Exit> {
    let answer = sync::remove(key);
    let (exit, said) = match &answer {
        Ok(true) => (Exit::Ok, format!("{key}: removed")),
        Ok(false) => (Exit::Absent, format!("{key}: there is no queue and no lock")),
        Err(error @ RemoveError::System { .. }) => (Exit::Environment, error.to_string()),
        Err(error) => (Exit::Refused, error.to_string()),
    };
    match out.wants_json() {
        true => out.document(&json!({ "ok": exit == Exit::Ok, "key": key.to_string(), "message": said }))?,
        false => out.line(said)?,
    }
    Ok(exit)
}

/// Looks at each queue twice.
fn looked_at(named: Vec<(Option<String>, Key)>, interval: Duration) -> Result<Vec<Row>> {
    let look = |key: Key| observe(key).with_context(|| format!("cannot read {key}"));
    let mut rows = Vec::new();
    for (name, key) in named {
        let facts = look(key)?;
        let found = parts(key).with_context(|| format!("cannot read {key}"))?;
        let remains = Remains::of(found, facts.is_some());
        rows.push(Row { name, key, facts, remains, rate: 0 });
    }
    if rows.iter().all(|row| row.facts.is_none()) {
        return Ok(rows);
    }
    let began = Instant::now();
    std::thread::sleep(interval);
    for row in &mut rows {
        let (before, now) = (row.facts.as_ref().map(|facts| facts.sent), look(row.key)?);
        if let (Some(before), Some(facts)) = (before, &now) {
            let sent = facts.sent.saturating_sub(before);
            row.rate = (sent as f64 / began.elapsed().as_secs_f64()).round() as u64;
        }
        row.facts = now;
    }
    Ok(rows)
}

fn print(rows: &[Row], out: &mut Output) -> Result<()> {
    if rows.is_empty() {
        out.line("the ini declares no queue")?;
    }
    for (n, row) in rows.iter().enumerate() {
        if n != 0 {
            out.line("")?;
        }
        let name = row.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        let Some(facts) = &row.facts else {
            let what = row.remains.word().unwrap_or("absent");
            out.line(format_args!("{}{name}: {what}: {}", row.key, row.remains.why()))?;
            continue;
        };
        out.line(format_args!(
            "{}{name}: {} of {} of up to {}{}, {} sent{}{}, {} a second",
            row.key,
            facts.kind,
            plural(facts.capacity, "message"),
            human::size(facts.message_bytes.0),
            larger(facts),
            facts.sent,
            facts.unfinished.map_or(String::new(), |count| format!(" ({count} not finished)")),
            last(facts),
            row.rate
        ))?;
        out.line(table(facts).trim_fmt())?;
        if let Remains::Half(why) = row.remains {
            out.line(format_args!("  {why}"))?;
        }
        for damage in &facts.damage {
            out.line(format_args!("  damaged: {damage}"))?;
        }
    }
    Ok(())
}

/// The size of the largest message, if the writers have payload areas.
fn larger(facts: &QueueFacts) -> String {
    match facts.payload_bytes.0 {
        0 => String::new(),
        bytes => format!(" (larger ones of up to {})", human::size(bytes)),
    }
}

/// When the last message was sent.
fn last(facts: &QueueFacts) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ago = facts.last_sent.map(|time| now.saturating_sub(Duration::from_nanos(time)).as_secs());
    ago.map_or(String::new(), |ago| format!(", the last {} ago", human::age(ago)))
}

fn table(facts: &QueueFacts) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["  member", "role", "process", "sent", "lag", ""]);
    let process = |process: &Option<Process>| match process {
        Some(process) => process.to_string(),
        None => "dead, or not started".into(),
    };
    let number = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
    for writer in &facts.writers {
        table.add_row([
            Cell::new(format!("  {}", human::printable(&writer.name))),
            Cell::new("writer"),
            Cell::new(process(&writer.process)),
            number(writer.sent),
            Cell::new(""),
            Cell::new(match facts.payload_bytes.0 {
                0 => String::new(),
                bytes => format!(
                    "{} of {} for large messages used",
                    human::size(writer.payload_used.0),
                    human::size(bytes)
                ),
            }),
        ]);
    }
    for reader in &facts.readers {
        table.add_row([
            Cell::new(format!("  {}", human::printable(&reader.name))),
            Cell::new("reader"),
            Cell::new(process(&reader.process)),
            Cell::new(""),
            number(reader.lag),
            Cell::new(if reader.evicted { "evicted" } else { "" }),
        ]);
    }
    table
}

fn json_of(row: &Row) -> Value {
    let Some(facts) = &row.facts else {
        let state = row.remains.word().unwrap_or("absent");
        return json!({ "name": row.name, "key": row.key.to_string(), "state": state, "reason": row.remains.why() });
    };
    let pid = |process: &Option<Process>| process.as_ref().map(|process| process.pid);
    let writers = facts.writers.iter().map(
        |writer| json!({ "name": writer.name, "alive": writer.process.is_some(), "pid": pid(&writer.process), "sent": writer.sent, "payload_used": writer.payload_used.0 }),
    );
    let readers = facts.readers.iter().map(|reader| {
        json!({
            "name": reader.name, "alive": reader.process.is_some(), "pid": pid(&reader.process),
            "lag": reader.lag, "evicted": reader.evicted,
        })
    });
    json!({
        "name": row.name,
        "key": row.key.to_string(),
        "state": if facts.damage.is_empty() { row.remains.word().unwrap_or("sound") } else { "damaged" },
        "kind": facts.kind,
        "bytes": facts.bytes.0,
        "capacity": facts.capacity,
        "message_bytes": facts.message_bytes.0,
        "payload_bytes": facts.payload_bytes.0,
        "sent": facts.sent,
        "unfinished": facts.unfinished,
        "rate": row.rate,
        "created": facts.created,
        "last_sent": facts.last_sent,
        "writers": writers.collect::<Vec<_>>(),
        "readers": readers.collect::<Vec<_>>(),
        "damage": facts.damage,
    })
}
