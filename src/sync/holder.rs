//! The word that says who has a lock.

use super::seats::Seats;
use super::slips::{Slip, planted};
use super::wait::Patience;
use crate::layout::record;
use crate::sys::futex;
use crate::word::SharedHalf;
use std::io;

const HOLDER: u32 = 0xffff;
const SLEEPERS: u32 = 1 << 30;
const BROKEN: u32 = 1 << 31;

/// A lock word in a line of its own.
#[repr(C)]
pub(crate) struct Holder {
    word: SharedHalf,
    spare: [SharedHalf; 15],
}

record!(Holder, 64);

/// In what state a lock was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Its last holder gave it back.
    Whole,
    /// A holder died or panicked, and nobody has repaired the value since.
    Broken,
}

/// Why a lock was not had.
pub(crate) enum Refused {
    TimedOut,
    System(io::Error),
}

fn found(word: u32) -> Found {
    if word & BROKEN == 0 { Found::Whole } else { Found::Broken }
}

/// How the member `me` is written into the word.
fn mark_of(me: usize) -> u32 {
    me as u32 + 1
}

impl Holder {
    /// Takes the lock if it is free.
    pub(crate) fn try_take(&self, me: usize) -> Option<Found> {
        let word = self.word.load();
        let free = word & HOLDER == 0;
        (free && self.word.replace(word, word | mark_of(me)).is_ok()).then(|| found(word))
    }

    /// Takes the lock, waiting for a living holder; of a dead one at once.
    pub(crate) fn take(&self, me: usize, seats: Seats, patience: &mut Patience) -> Result<Found, Refused> {
        if let Some(found) = self.try_take(me) {
            return Ok(found);
        }
        // Others may sleep beside one that was woken, so it tells the next holder so.
        let mut sleepers = 0;
        loop {
            let word = self.word.load();
            if word & HOLDER == 0 {
                if self.word.replace(word, word | mark_of(me) | sleepers).is_ok() {
                    return Ok(found(word));
                }
                continue;
            }
            if patience.spin() {
                continue;
            }
            if patience.is_over() {
                return self.take_of_dead(word, me, seats, true)?.ok_or(Refused::TimedOut);
            }
            sleepers = SLEEPERS;
            if word & SLEEPERS == 0 && self.word.replace(word, word | SLEEPERS).is_err() {
                continue;
            }
            if patience.sleep(&self.word, word | SLEEPERS)
                && let Some(found) = self.take_of_dead(word, me, seats, true)?
            {
                return Ok(found);
            }
        }
    }

    /// Waits until no writer has the lock. A dead one loses it.
    pub(crate) fn wait_free(&self, me: usize, seats: Seats, patience: &mut Patience) -> Result<(), Refused> {
        loop {
            let word = self.word.load();
            if word & HOLDER == 0 {
                return Ok(());
            }
            if patience.spin() {
                continue;
            }
            let over = patience.is_over();
            if !over && word & SLEEPERS == 0 && self.word.replace(word, word | SLEEPERS).is_err() {
                continue;
            }
            if over || patience.sleep(&self.word, word | SLEEPERS) {
                self.take_of_dead(word, me, seats, false)?;
                if over && self.word.load() & HOLDER != 0 {
                    return Err(Refused::TimedOut);
                }
            }
        }
    }

    /// If the holder that `word` names is dead, its lock goes to this member, or back if that does
    /// not want it.
    #[cold]
    fn take_of_dead(&self, word: u32, me: usize, seats: Seats, keep: bool) -> Result<Option<Found>, Refused> {
        let holder = word & HOLDER;
        if holder == 0 || holder == mark_of(me) {
            return Ok(None);
        }
        let Some(_proof) = seats.prove_dead(holder as usize - 1).map_err(Refused::System)? else {
            return Ok(None);
        };
        // While the proof lives no process has that seat, so the word cannot come to name it anew.
        let mut word = self.word.load();
        while word & HOLDER == holder {
            let next = if keep { mark_of(me) | word & SLEEPERS } else { 0 };
            let broken = if planted(Slip::LoseBroken) { 0 } else { BROKEN };
            match self.word.replace(word, broken | next) {
                Ok(()) => {
                    if !keep {
                        futex::wake(&self.word, i32::MAX);
                    }
                    return Ok(Some(found(broken)));
                }
                Err(now) => word = now,
            }
        }
        Ok(None)
    }

    /// Gives the lock back and wakes up to `sleepers`. `broken` says that the value may be half
    /// written.
    pub(crate) fn give_back(&self, broken: bool, sleepers: i32) {
        let mut word = self.word.load();
        let mark = if broken { BROKEN } else { 0 };
        while let Err(now) = self.word.replace(word, word & BROKEN | mark) {
            word = now;
        }
        if word & SLEEPERS != 0 {
            futex::wake(&self.word, sleepers);
        }
    }

    /// Says that the value is whole again. Only the holder does.
    pub(crate) fn mend(&self) {
        let mut word = self.word.load();
        while let Err(now) = self.word.replace(word, word & !BROKEN) {
            word = now;
        }
    }

    /// Whether a member has it, and whether the value is whole.
    pub(crate) fn look(&self) -> (bool, Found) {
        let word = self.word.load();
        (word & HOLDER != 0, found(word))
    }

    /// Gives up what a predecessor of this member held when it died. For a claim, before anything
    /// else.
    pub(crate) fn give_up(&self, me: usize) {
        let mut word = self.word.load();
        while word & HOLDER == mark_of(me) {
            match self.word.replace(word, BROKEN) {
                Ok(()) => return futex::wake(&self.word, i32::MAX),
                Err(now) => word = now,
            }
        }
    }
}
