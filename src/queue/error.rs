//! Why a message could not be sent or received.

use std::io;

/// Why a message was not sent. The caller still has it, because sending borrows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A reader has not read the oldest message yet.
    #[error("the queue is full, and a reader that writers wait for has not read its oldest message")]
    Full,
    /// A reader had not read the oldest message when the deadline passed.
    #[error("the queue stayed full until the deadline")]
    TimedOut,
    /// The message is longer than the configuration says.
    #[error("a message of {found} bytes is longer than the {max} bytes that MessageSize has room for")]
    TooLong {
        /// Its length.
        found: u64,
        /// The most there is room for.
        max: u64,
    },
    /// The queue may lend no memory to write in place.
    #[error(
        "only a channel with OnDead = hold and OnSlow = block lends its memory: elsewhere a reader may be overtaken"
    )]
    Lossy,
    /// The numbers of messages are used up.
    #[error("the queue has had 2^47 messages, which is all that it can number; remove it and begin again")]
    Exhausted,
    /// The segment names what cannot be.
    #[error("the queue is damaged: {0}")]
    Damaged(&'static str),
    /// The kernel does not say who lives.
    #[error("cannot tell whether a reader lives: {0}")]
    System(io::Error),
}

/// Why no message was received.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// There is none.
    #[error("there is no message")]
    Empty,
    /// There was none until the deadline.
    #[error("there was no message until the deadline")]
    TimedOut,
    /// So many messages were overwritten before this reader came to them. The next call goes on
    /// after them.
    #[error("{0} messages were overwritten before they were read")]
    Lagged(u64),
    /// The queue may lend no memory to read in place.
    #[error(
        "only a channel with OnDead = hold and OnSlow = block lends its memory: elsewhere a reader may be overtaken"
    )]
    Lossy,
    /// The segment names what cannot be.
    #[error("the queue is damaged: {0}")]
    Damaged(&'static str),
}
