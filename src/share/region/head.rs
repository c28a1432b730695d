//! The first page of a named region.

use crate::layout::{checksum, record};
use crate::limits::PAGE;
use crate::units::Key;
use crate::word::{Half, Shared, Word};

/// Bytes before the data of a named region.
pub(super) const HEAD_BYTES: u64 = PAGE;
/// Stage of a region that is being created.
pub(super) const MAKING: u64 = u64::from_le_bytes(*b"HOTRMAKE");
/// Stage of a whole region.
pub(super) const WHOLE: u64 = u64::from_le_bytes(*b"HOTREGN1");
/// Version of the layout of the head.
pub(super) const VERSION: u32 = 1;
/// Successor of a region that was removed.
pub(super) const REMOVED: u64 = u64::MAX;

/// The head of a named region.
#[repr(C)]
pub(super) struct Head {
    /// Storing [`WHOLE`] commits a creation.
    pub(super) stage: Shared,
    pub(super) layout: Half,
    pub(super) key: Half,
    pub(super) bytes: Word,
    pub(super) generation: Word,
    pub(super) id: [Word; 2],
    pub(super) created: Word,
    /// CRC-32C of the words from `layout` to `created`.
    pub(super) check: Word,
    /// 0, the next generation, or [`REMOVED`].
    pub(super) successor: Shared,
}

record!(Head, 72);

/// The fields of the head that are written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) key: Key,
    pub(super) bytes: u64,
    pub(super) generation: u64,
    pub(super) id: [u64; 2],
    pub(super) created: u64,
}

/// The words of a head, all read at one moment.
pub(super) type Words = [u64; size_of::<Head>() / 8];

impl Identity {
    fn sum(&self, layout: u32) -> u64 {
        let first = u64::from(layout) | u64::from(self.key.0) << 32;
        let words = [first, self.bytes, self.generation, self.id[0], self.id[1], self.created];
        u64::from(checksum(words))
    }

    /// Fills the head, except for the stage.
    pub(super) fn fill(&self, head: &Head) {
        head.layout.fill(VERSION);
        head.key.fill(self.key.0);
        head.bytes.fill(self.bytes);
        head.generation.fill(self.generation);
        head.id[0].fill(self.id[0]);
        head.id[1].fill(self.id[1]);
        head.created.fill(self.created);
        head.check.fill(self.sum(VERSION));
    }

    /// Reads the head of a whole region; returns `None` if it is damaged.
    pub(super) fn of(words: &Words) -> Option<Identity> {
        let [_, first, bytes, generation, low, high, created, check, _] = *words;
        let (layout, key) = (first as u32, Key((first >> 32) as u32));
        let found = Identity { key, bytes, generation, id: [low, high], created };
        (layout == VERSION && check == found.sum(layout) && generation != 0).then_some(found)
    }
}
