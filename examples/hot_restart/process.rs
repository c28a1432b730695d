//! One process of the deployment: opens its pool, lists its objects, and generates traffic until it
//! is killed.

use crate::journal::Journal;
use crate::letters::Letters;
use crate::message::Message;
use crate::stock::{Bug, Stock, StockOf, Work};
use crate::types::{Brief, Guild, Item, Mail, Monster, Player, Room, Ticket, Timer};
use crate::wall_nanos;
use anyhow::{Result, bail};
use hotpool::conf::{ProcessConf, QueueConf};
use hotpool::{MemoryPoolMgr, StartMode};
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One of this many steps is about a letter.
const LETTERS: u32 = 32;

pub(crate) struct Task {
    pub(crate) journal: PathBuf,
    pub(crate) objects: usize,
    pub(crate) seed: u64,
    pub(crate) bug: Option<Bug>,
}

pub(crate) fn run(conf: &ProcessConf, queues: &[QueueConf], task: &Task) -> Result<()> {
    let ended = watch_parent();
    let mut stocks = stocks(&conf.name, task.objects)?;
    let mut parent = BufWriter::new(std::io::stdout().lock());

    let mut pool = MemoryPoolMgr::open(conf)?;
    for stock in &stocks {
        stock.add_type(&mut pool)?;
    }
    let report = pool.resume_report().clone();
    let hot = pool.start_mode() == StartMode::Resume;
    let cut = report.ended_transaction.is_some();
    Message::Open { hot, nanos: report.took.as_nanos() as u64, cut }.send(&mut parent)?;
    for handle in &report.being_written {
        Message::Named(handle.to_bits()).send(&mut parent)?;
    }
    parent.flush()?;
    // The parent now has the torn objects on record, so the library may forget them.
    pool.ready()?;
    Message::Ready { wall_nanos: wall_nanos() }.send(&mut parent)?;
    parent.flush()?;
    for stock in &mut stocks {
        stock.list(&pool, &mut |row| Ok(Message::Row(row).send(&mut parent)?))?;
    }

    let mut letters = Letters::open(queues, &conf.name, task.bug == Some(Bug::Missed))?;
    let mut journal = Journal::append(&task.journal)?;
    let mut dice = fastrand::Rng::with_seed(task.seed ^ pool.epoch());
    let serial = pool.epoch() << 40;
    let mut work = Work { pool: &mut pool, journal: &mut journal, dice: &mut dice, serial };
    Message::Listed.send(&mut parent)?;
    parent.flush()?;

    for stock in &mut stocks {
        for handle in &report.being_written {
            stock.repair(&mut work, *handle)?;
        }
    }
    for round in 0u64.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let number = work.dice.usize(0..stocks.len());
        match work.dice.u32(0..LETTERS) {
            0 => letters.step(&mut work)?,
            _ => stocks[number].step(&mut work)?,
        }
        if let (Some(bug), 1000) = (task.bug, round) {
            stocks[number].plant(&mut work, bug)?;
        }
    }
    journal.finish()?;
    Ok(pool.close()?)
}

/// Returns the types of each process, with the share of objects for each type.
fn stocks(process: &str, objects: usize) -> Result<Vec<Box<dyn Stock>>> {
    let part = |percent: usize| (objects * percent / 100).max(1);
    Ok(match process {
        "zone" => vec![
            StockOf::<Player>::keyed(part(8).min(5000)),
            StockOf::<Monster>::plain(part(20)),
            StockOf::<Item>::plain(part(60)),
            StockOf::<Timer>::plain(part(16)),
        ],
        "world" => vec![
            StockOf::<Guild>::keyed(part(4)),
            StockOf::<Brief>::keyed(part(66)),
            StockOf::<Mail>::plain(part(34)),
        ],
        "match" => vec![StockOf::<Room>::keyed(part(24)), StockOf::<Ticket>::plain(part(80))],
        other => bail!("this example has the processes zone, world and match, but was run as `{other}`"),
    })
}

/// Returns true once the parent has closed our standard input, or has died.
fn watch_parent() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let told = ended.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        told.store(true, Ordering::Relaxed);
    });
    ended
}
