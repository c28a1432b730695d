//! What all processes of a queue have to agree on: plain data.

use super::process::Place;
use crate::limits;
use crate::units::{Bytes, Key};
use std::time::Duration;

/// What a queue does with its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// Every reader sees every message, and the oldest is overwritten.
    Broadcast,
    /// Every reader sees every message, and writers wait for the slowest one.
    Channel,
    /// Readers see the last value only, and writers never wait.
    Latest,
    /// Each message goes to one reader, and to another one if that one dies.
    Work,
}

impl QueueKind {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 4] = [Self::Broadcast, Self::Channel, Self::Latest, Self::Work];

    /// The word that stands for it in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Channel => "channel",
            Self::Latest => "latest",
            Self::Work => "work",
        }
    }
}

/// What writers of a channel do when a reader that is dead has not yet read what they would
/// overwrite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDead {
    /// They wait for its return.
    #[default]
    Hold,
    /// They wait for its return for so long after its death was noticed, and evict it then.
    HoldFor(Duration),
    /// They go on without it.
    Evict,
}

/// What writers of a channel do when a reader that lives has not yet read what they would
/// overwrite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSlow {
    /// They wait for it.
    #[default]
    Block,
    /// They overwrite the oldest message, and the reader learns how many it has missed.
    DropOldest,
    /// They go on without it until it receives again.
    Evict,
}

impl OnSlow {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Block, Self::DropOldest, Self::Evict];

    /// The word that stands for it in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::DropOldest => "drop_oldest",
            Self::Evict => "evict",
        }
    }
}

/// A queue between processes. All of them open it with the same configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConf {
    /// Its name.
    pub name: String,
    /// Key of its segment and of its semaphores; nothing else uses it.
    pub key: Key,
    /// What it does with its messages.
    pub kind: QueueKind,
    /// Messages it has room for.
    pub capacity: u32,
    /// Size of the largest message that takes no bytes of `payload_bytes`.
    pub message_bytes: Bytes,
    /// Bytes of each writer for messages that are larger than that; 0 if there are none.
    pub payload_bytes: Bytes,
    /// The processes that send.
    pub writers: Vec<String>,
    /// The processes that receive. They count from the moment that the queue is made.
    pub readers: Vec<String>,
    /// What becomes of a dead reader.
    pub on_dead: OnDead,
    /// What becomes of a slow reader.
    pub on_slow: OnSlow,
    /// Permission bits.
    pub mode: u32,
    /// How long an open waits for a dying process of the same name, in milliseconds.
    pub wait_ms: u64,
    /// Where the ini says it.
    pub place: Place,
}

impl QueueConf {
    /// A configuration made by a program, with the default of everything that has one.
    ///
    /// ```
    /// use hotpool::conf::{QueueConf, QueueKind};
    /// use hotpool::units::{Bytes, Key};
    ///
    /// let mut conf = QueueConf::new("moves", Key(0x4850_0f01), QueueKind::Channel, 64,
    /// Bytes(256)); conf.writers = vec!["zone".into()]; conf.readers = vec!["world".into()];
    /// ```
    pub fn new(name: &str, key: Key, kind: QueueKind, capacity: u32, message_bytes: Bytes) -> Self {
        QueueConf {
            name: name.into(),
            key,
            kind,
            capacity,
            message_bytes,
            payload_bytes: Bytes(0),
            writers: Vec::new(),
            readers: Vec::new(),
            on_dead: OnDead::default(),
            on_slow: OnSlow::default(),
            mode: 0o600,
            wait_ms: limits::OWNER_WAIT_MS,
            place: Place { section: format!("queue.{name}"), ..Place::default() },
        }
    }
}
