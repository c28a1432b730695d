//! A barrier that all members reach before any of them continues.

use super::conf::LockConf;
use super::error::{OpenError, listed};
use super::head::Kind;
use super::site::{Role, Site};
use super::value::ForAll;
use super::wait::{FOR_A_MESSAGE, Patience, ring};
use crate::layout::record;
use crate::limits::LINE;
use crate::region::{At, Table};
use crate::word::{Shared, SharedHalf};
use std::fmt;
use std::time::Duration;

#[repr(C)]
struct BarrierRec {
    round: Shared,
    bell: SharedHalf,
    spare: [SharedHalf; 13],
}

record!(BarrierRec, 64);

#[repr(C)]
struct Arrived {
    round: Shared,
    /// The last round that a wait of the member has returned.
    told: Shared,
    spare: [Shared; 6],
}

record!(Arrived, 64);

/// A meeting of all members, round after round.
///
/// A member that dies after it has arrived counts as arrived. A member that dies before it arrives
/// holds the others up until its successor arrives. One thread of a process waits at a time.
pub struct Barrier {
    barrier: ForAll<At<BarrierRec>>,
    arrived: ForAll<Table<Arrived>>,
    /// Dropped last: it keeps the memory mapped.
    site: Site,
}

/// The members that did not arrive in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the round {round} was not complete in time: missing are {}", listed(missing))]
pub struct Incomplete {
    /// Number of the round.
    pub round: u64,
    /// Each member that has not arrived, and whether it is alive.
    pub missing: Vec<(String, bool)>,
}

impl Barrier {
    /// Opens the barrier as the member `me`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// The configuration is invalid or differs from the segment, a living process has the name, or
    /// a system call failed.
    pub fn open(conf: &LockConf, me: &str) -> Result<Self, OpenError> {
        let members = conf.members.len() as u64;
        let spec = conf.plain(Kind::Barrier, LINE + members * LINE);
        let site = Site::open(&spec, me, Role::Both, &|_, _| Ok(()))?;
        Ok(Barrier { barrier: site.at(0)?, arrived: site.table(LINE, members)?, site })
    }

    /// Arrives, and waits for all other members; returns the number of the round, from 1.
    pub fn wait(&self) -> u64 {
        loop {
            // Without a deadline it does not return before the round is complete.
            if let Ok(round) = self.meet(None) {
                return round;
            }
        }
    }

    /// Arrives, and waits for all other members up to a deadline of the monotonic clock.
    ///
    /// # Errors
    ///
    /// `Incomplete` names the members that have not arrived. This member still counts as arrived,
    /// and its next wait is for the same round, also if the others complete it before.
    pub fn wait_timeout(&self, most: Duration) -> Result<u64, Incomplete> {
        self.meet(Some(most))
    }

    /// Returns the number of the last complete round.
    pub fn round(&self) -> u64 {
        self.barrier.round.load()
    }

    fn meet(&self, most: Option<Duration>) -> Result<u64, Incomplete> {
        let mut patience = Patience::new(most, FOR_A_MESSAGE);
        let round = self.arrive();
        loop {
            self.complete(round);
            if self.is_over(round) {
                return Ok(round);
            }
            if patience.spin() {
                continue;
            }
            self.barrier.bell.swap(1);
            if self.is_over(round) {
                return Ok(round);
            }
            if patience.is_over() {
                return Err(self.incomplete(round));
            }
            patience.sleep(&self.barrier.bell, 1);
        }
    }

    /// Arrives in the next round, or in the one in which this member has arrived without a wait that
    /// returned it; returns its number.
    fn arrive(&self) -> u64 {
        let current = self.barrier.round.load();
        let next = current.wrapping_add(1);
        let Some(mine) = self.arrived.get(self.site.me) else { return next };
        let (arrived, told) = (mine.round.load(), mine.told.load());
        // Others may have completed the round since the earlier wait ended.
        if arrived > told && [current, next].contains(&arrived) {
            return arrived;
        }
        mine.round.swap(next);
        next
    }

    /// Returns whether a round is complete, and records that this member knows.
    fn is_over(&self, round: u64) -> bool {
        let is_over = self.barrier.round.load() >= round;
        if is_over && let Some(mine) = self.arrived.get(self.site.me) {
            mine.told.store(round);
        }
        is_over
    }

    /// Advances to the round if all members have arrived.
    fn complete(&self, round: u64) {
        let has_arrived =
            |member: usize| self.arrived.get(member).is_some_and(|arrived| arrived.round.load() >= round);
        if (0..self.arrived.len()).all(has_arrived)
            && self.barrier.round.replace(round.wrapping_sub(1), round).is_ok()
        {
            ring(&self.barrier.bell);
        }
    }

    #[cold]
    fn incomplete(&self, round: u64) -> Incomplete {
        let missing = (0..self.arrived.len())
            .filter(|member| self.arrived.get(*member).is_some_and(|arrived| arrived.round.load() < round));
        let alive = |member| self.site.seats.is_taken(member).unwrap_or(false);
        Incomplete { round, missing: missing.map(|member| (self.site.name(member), alive(member))).collect() }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("key", &self.site.key).field("round", &self.round()).finish()
    }
}
