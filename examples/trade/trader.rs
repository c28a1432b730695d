//! The child: opens the pool, says what it finds, and trades behind the last message that took effect.

use crate::journal;
use crate::market::{Market, Mistake, State};
use anyhow::Result;
use bytemuck::{Pod, Zeroable};
use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use std::io::{Read, Write};
use std::path::Path;

/// One message in so many is acknowledged, with all that are before it.
const ACKNOWLEDGED: u32 = 16;
/// The message that a planted mistake is made with.
const PLANTED: u32 = 500;

/// What the child says first. Numbers of messages follow, one for each acknowledgement.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct Report {
    pub(crate) state: State,
    /// 1 if the kill came in the middle of a transaction, which the start has ended.
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
    std::io::stdin().read_to_end(&mut Vec::new())?; // until the parent closes it, be it that it is gone
    Ok(market.pool.close()?)
}
