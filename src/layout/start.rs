use super::record;
use crate::word::{Half, Word};

/// `before`: there was no start before this one.
pub const BEFORE_NONE: u32 = 0;
/// `before`: the last owner had called `close()`.
pub const BEFORE_CLOSED: u32 = 1;
/// `before`: the last owner died before it was ready.
pub const BEFORE_DIED_STARTING: u32 = 2;
/// `before`: the last owner died while it was serving.
pub const BEFORE_DIED_READY: u32 = 3;
/// `before`: the last owner dropped its pool without `close()` before it was ready.
pub const BEFORE_LEFT_STARTING: u32 = 4;
/// `before`: the last owner dropped its pool without `close()` after it was ready.
pub const BEFORE_LEFT_READY: u32 = 5;

/// `end`: it runs, or it died and could not say so.
pub const END_NONE: u32 = 0;
/// `end`: it called `close()`.
pub const END_CLOSED: u32 = 1;
/// `end`: its pool was dropped without `close()`.
pub const END_DROPPED: u32 = 2;
/// `end`: its pool was dropped by a panic.
pub const END_PANICKED: u32 = 3;

/// `end`: it went because of the signal whose number is on top of this.
pub const END_SIGNAL: u32 = 256;

/// One start of a pool, in the ring of starts at place `epoch % 64`.
///
/// It is written while `BaseHeader::epoch` still counts one less, so nobody reads it before the store
/// to that word.
#[repr(C)]
#[derive(Debug)]
pub struct StartRec {
    /// Which start; 0 while the record is written.
    pub epoch: Word,
    /// When the owner attached, nanoseconds of the wall clock.
    pub start_wall: Word,
    /// The same on the boot clock.
    pub start_boot: Word,
    /// Which boot that was: the first 32 bits of its identity.
    pub boot: Half,
    /// Pid of the owner, in its own PID namespace.
    pub pid: Half,
    /// One of the `BEFORE_` words.
    pub before: Half,
    /// One of the `END_` words.
    pub end: Half,
    /// When the owner before ended, wall clock, as far as pool or kernel know; 0 if they do not.
    pub before_wall: Word,
    /// When this owner called `ready()`, wall clock; 0 if it has not.
    pub ready_wall: Word,
    /// When this owner said its `end`, wall clock.
    pub end_wall: Word,
}

record!(StartRec, 64);
