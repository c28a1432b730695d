//! The word that names the holder of a lock.

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

/// A lock word in a cache line of its own.
#[repr(C)]
pub(crate) struct Holder {
    word: SharedHalf,
    spare: [SharedHalf; 15],
}

record!(Holder, 64);

/// The state of the value when a member got the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The last holder gave the lock back.
    Whole,
    /// A holder died or panicked, and no member has repaired the value since.
    Broken,
}

/// Why a member did not get a lock.
pub(crate) enum Refused {
    TimedOut,
    System(io::Error),
}

fn found(word: u32) -> Found {
    if word & BROKEN == 0 { Found::Whole } else { Found::Broken }
}

/// Returns the bits of the word that name member `me`.
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

    /// Takes the lock. Waits for a living holder, and takes the lock of a dead one.
    pub(crate) fn take(&self, me: usize, seats: Seats, patience: &mut Patience) -> Result<Found, Refused> {
        if let Some(found) = self.try_take(me) {
            return Ok(found);
        }
        // Other processes may sleep beside the one that was woken. So this one passes the bit on to
        // the next holder.
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

    /// Waits until no writer holds the lock. A dead writer loses it.
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

    /// Takes the lock from the holder that `word` names, if that is dead. With `keep` it goes to
    /// this member, otherwise it becomes free.
    #[cold]
    fn take_of_dead(&self, word: u32, me: usize, seats: Seats, keep: bool) -> Result<Option<Found>, Refused> {
        let holder = word & HOLDER;
        if holder == 0 || holder == mark_of(me) {
            return Ok(None);
        }
        let Some(_proof) = seats.prove_dead(holder as usize - 1).map_err(Refused::System)? else {
            return Ok(None);
        };
        // While the proof lives no process has that seat, so the word cannot begin to name it
        // again.
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

    /// Gives the lock back and wakes up to `sleepers` processes. `broken` means that the value may
    /// be torn.
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

    /// Marks the value as whole again. Only the holder calls this.
    pub(crate) fn mend(&self) {
        let mut word = self.word.load();
        while let Err(now) = self.word.replace(word, word & !BROKEN) {
            word = now;
        }
    }

    /// Returns whether a member holds the lock, and whether the value is whole.
    pub(crate) fn look(&self) -> (bool, Found) {
        let word = self.word.load();
        (word & HOLDER != 0, found(word))
    }

    /// Gives up the lock that a predecessor of this member held when it died. A claim of a seat
    /// does this first.
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
