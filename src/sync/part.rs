//! The state of a segment or a set of semaphores under the key of a lock or queue.

/// The state of a segment or a set of semaphores.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing is there.
    Absent,
    /// Its creator was killed, or is at work.
    Unfinished,
    /// It is that of a lock or queue.
    Whole,
    /// It belongs to something else.
    Foreign,
}
