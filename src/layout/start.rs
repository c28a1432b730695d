use super::record::record;
use crate::word::{Half, Word};

/// Value of `before`: this was the first start of the pool.
pub const BEFORE_NONE: u32 = 0;
/// Value of `before`: the last owner had called `close()`.
pub const BEFORE_CLOSED: u32 = 1;
/// Value of `before`: the last owner died before it was ready.
pub const BEFORE_DIED_STARTING: u32 = 2;
/// Value of `before`: the last owner died while it was serving.
pub const BEFORE_DIED_READY: u32 = 3;
/// Value of `before`: the last owner dropped its pool without `close()` before it was ready.
pub const BEFORE_LEFT_STARTING: u32 = 4;
/// Value of `before`: the last owner dropped its pool without `close()` after it was ready.
pub const BEFORE_LEFT_READY: u32 = 5;

/// Value of `end`: the owner is running, or it died without recording an end.
pub const END_NONE: u32 = 0;
/// Value of `end`: the owner called `close()`.
pub const END_CLOSED: u32 = 1;
/// Value of `end`: the owner dropped its pool without `close()`.
pub const END_DROPPED: u32 = 2;
/// Value of `end`: a panic dropped the pool.
pub const END_PANICKED: u32 = 3;

/// Base of the values of `end` for a signal: the owner recorded that signal `end - 256` ends it.
pub const END_SIGNAL: u32 = 256;

/// The record of one start of a pool, at position `epoch % 64` in the ring of starts.
///
/// It is written while `BaseHeader::epoch` is still one lower, so no reader trusts it before that
/// word is stored.
#[repr(C)]
#[derive(Debug)]
pub struct StartRec {
    /// Epoch of this start; 0 while the record is being written.
    pub epoch: Word,
    /// Time when the owner attached, in nanoseconds of the wall clock.
    pub start_wall: Word,
    /// Time when the owner attached, in nanoseconds of the boot clock.
    pub start_boot: Word,
    /// First 32 bits of the boot's identity.
    pub boot: Half,
    /// Pid of the owner, in its own PID namespace.
    pub pid: Half,
    /// One of the `BEFORE_` values.
    pub before: Half,
    /// One of the `END_` values.
    pub end: Half,
    /// Time when the previous owner ended, in nanoseconds of the wall clock; 0 if unknown.
    pub before_wall: Word,
    /// Time when this owner called `ready()`, in nanoseconds of the wall clock; 0 if it has not.
    pub ready_wall: Word,
    /// Time when this owner stored `end`, in nanoseconds of the wall clock.
    pub end_wall: Word,
}

record!(StartRec, 64);
