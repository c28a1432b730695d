//! The child: opens the pool, reports its state, and trades, beginning after the last committed
//! message.

use crate::journal;
use crate::market::{Market, Mistake, State};
use anyhow::Result;
use bytemuck::{Pod, Zeroable};
use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use std::io::{Read, Write};
use std::path::Path;

/// The child acknowledges every message with a multiple of this number, and with it all messages
/// before.
const ACKNOWLEDGED: u32 = 16;
/// The message that a planted bug affects.
const PLANTED: u32 = 500;

/// The first thing that the child sends. The numbers of acknowledged messages follow.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct Report {
    pub(crate) state: State,
    /// 1 if the kill interrupted a transaction, which the start rolled back or finished.
    pub(crate) cut: u64,
    /// 1 if `verify` finds nothing wrong.
    pub(crate) sound: u64,
}

pub(crate) fn run(conf: &ProcessConf, journal: &Path, mistake: Option<Mistake>) -> Result<()> {
    let mut market = Market::new(MemoryPoolMgr::open(conf)?)?;
    let cut = market.pool.resume_report().ended_transaction.is_some();
    let verified = market.pool.verify();
    if !verified.is_sound() {
        eprintln!("{verified}");
    }
    let report = Report { state: market.state()?, cut: cut.into(), sound: verified.is_sound().into() };
    market.pool.ready()?;
    let mut parent = std::io::stdout().lock();
    parent.write_all(bytemuck::bytes_of(&report))?;
    parent.flush()?;

    for message in journal::read_behind(journal, market.pool.last_committed())? {
        market.trade(message, mistake.filter(|_| message.number == PLANTED))?;
        if message.number % ACKNOWLEDGED == 0 {
            parent.write_all(&message.number.to_ne_bytes())?;
            parent.flush()?;
        }
    }
    std::io::stdin().read_to_end(&mut Vec::new())?; // returns when the parent closes it or dies
    Ok(market.pool.close()?)
}
