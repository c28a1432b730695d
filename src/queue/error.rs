//! The errors of sending and receiving.

use crate::layout::Broken;
use crate::pool::TxError;
use crate::sync::listed;
use crate::units::plural;
use std::io;

/// Why a message was not sent. The caller still has the message, because sending borrows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A reader has not read the oldest message yet, or a message whose bytes are needed.
    #[error("the queue is full, and a reader that writers wait for has not read its oldest message")]
    Full,
    /// A reader had not read the oldest message when the deadline passed.
    #[error("the queue stayed full until the deadline")]
    TimedOut,
    /// The message is longer than the configuration allows.
    #[error(
        "a message of {found} bytes is longer than the {max} bytes that MessageSize or PayloadBytes have room for"
    )]
    TooLong {
        /// Length of the message in bytes.
        found: u64,
        /// Length of the largest possible message in bytes.
        max: u64,
    },
    /// The queue does not lend memory to write in place.
    #[error(
        "only a work queue, and a channel with OnDead = hold and OnSlow = block, lend memory: elsewhere a reader may be overtaken"
    )]
    Lossy,
    /// The queue has used up its message numbers.
    #[error("the queue has had 2^47 messages, which is all that it can number; remove it and begin again")]
    Exhausted,
    /// The segment names a chunk, member or number that cannot exist.
    #[error("the queue is damaged: {0}")]
    Damaged(&'static str),
    /// The kernel does not report whether a reader lives.
    #[error("cannot tell whether a reader lives: {0}")]
    System(io::Error),
}

impl From<Broken> for SendError {
    #[cold]
    fn from(broken: Broken) -> Self {
        SendError::Damaged(broken.as_str())
    }
}

/// Why the readers do not count as having finished a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// Each reader that had not finished the message at the deadline, and whether it is alive. Empty
    /// if no consumer of a work queue has taken the message.
    #[error("the message was not acknowledged in time{}", readers(.0))]
    TimedOut(Vec<(String, bool)>),
    /// The readers of a broadcast or a last value do not tell their writers what they have read.
    #[error("only the readers of a channel or a work queue acknowledge messages to their writers")]
    NoAcks,
}

fn readers(missing: &[(String, bool)]) -> String {
    match missing {
        [] => ": no consumer has taken it".into(),
        _ => format!(" by {}", listed(missing)),
    }
}

/// Why no message was received.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The queue has no message for this reader.
    #[error("there is no message")]
    Empty,
    /// No message arrived before the deadline.
    #[error("there was no message until the deadline")]
    TimedOut,
    /// This many messages were overwritten before this reader received them. The next call
    /// continues after them.
    #[error("{}", lost(*.0))]
    Lagged(u64),
    /// The queue does not lend memory to read in place.
    #[error(
        "only a work queue, and a channel with OnDead = hold and OnSlow = block, lend memory: elsewhere a reader may be overtaken"
    )]
    Lossy,
    /// The segment names a chunk, member or number that cannot exist.
    #[error("the queue is damaged: {0}")]
    Damaged(&'static str),
    /// The kernel does not report whether a consumer lives: the semaphores were removed.
    #[error("cannot tell whether a consumer lives: {0}")]
    System(io::ErrorKind),
    /// The reader has received in a transaction, and has to continue so: only the pool has its
    /// position.
    #[error("this reader receives in transactions of a pool: continue with recv_in")]
    InTransactions,
    /// The reader has received in transactions of another pool.
    #[error("this reader has received in transactions of another pool, which has its position")]
    OtherPool,
    /// The transaction has received this many messages, and no message may come before it commits:
    /// these are all that the queue has room for, or writers need bytes of `PayloadBytes` that one of
    /// them has.
    #[error("the transaction has received {}, and the queue may have room for no more: commit it first", plural(*.0, "message"))]
    Uncommitted(u64),
}

fn lost(messages: u64) -> String {
    let (were, they) = if messages == 1 { ("was", "it was") } else { ("were", "they were") };
    format!("{} {were} overwritten before {they} read", plural(messages, "message"))
}

impl From<Broken> for RecvError {
    #[cold]
    fn from(broken: Broken) -> Self {
        RecvError::Damaged(broken.as_str())
    }
}

/// Why no message was received in a transaction.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvInError {
    /// The queue gave no message.
    #[error(transparent)]
    Recv(#[from] RecvError),
    /// The transaction could not keep the position of the reader.
    #[error(transparent)]
    Tx(#[from] TxError),
}

#[cfg(test)]
mod tests {
    use super::{AckError, RecvError};

    #[test]
    fn readers_without_an_acknowledgement_are_named() {
        let text = |missing: &[(&str, bool)]| {
            let missing = missing.iter().map(|(name, alive)| ((*name).to_owned(), *alive)).collect();
            AckError::TimedOut(missing).to_string()
        };
        assert_eq!(text(&[]), "the message was not acknowledged in time: no consumer has taken it");
        let named = "the message was not acknowledged in time by world (alive), log (dead)";
        assert_eq!(text(&[("world", true), ("log", false)]), named);
    }

    #[test]
    fn a_count_agrees_with_its_noun() {
        let text = |messages| RecvError::Lagged(messages).to_string();
        assert_eq!(text(1), "1 message was overwritten before it was read");
        assert_eq!(text(2), "2 messages were overwritten before they were read");
    }
}
