//! The first bytes of a segment that holds a lock or a queue. `docs/messaging.md` describes the
//! same bytes in prose.

use crate::layout::{checksum, record};
use crate::word::{Half, Word};

/// `magic` of a segment that is being filled.
pub(crate) const MAKING: u64 = u64::from_le_bytes(*b"HOTPMAKE");
/// `magic` of a segment that is complete.
pub(crate) const READY: u64 = u64::from_le_bytes(*b"HOTPTALK");
/// Version of the layout of these segments.
pub(crate) const VERSION: u32 = 2;

/// The kind of lock or queue in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    Mutex = 1,
    RwLock = 2,
    Event = 3,
    Barrier = 4,
    Broadcast = 5,
    Channel = 6,
    Latest = 7,
    Work = 8,
}

impl Kind {
    const ALL: [(Self, &str); 8] = [
        (Self::Mutex, "mutex"),
        (Self::RwLock, "rwlock"),
        (Self::Event, "event"),
        (Self::Barrier, "barrier"),
        (Self::Broadcast, "broadcast"),
        (Self::Channel, "channel"),
        (Self::Latest, "latest"),
        (Self::Work, "work"),
    ];

    /// Returns the name of the kind.
    pub(crate) fn name(self) -> &'static str {
        Self::name_of(self as u32)
    }

    /// Returns the name of the kind with this number in a segment.
    pub(crate) fn name_of(number: u32) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind as u32 == number)
            .map_or("something unknown", |(_, name)| name)
    }
}

/// The head: the first 128 bytes of a segment.
#[repr(C)]
pub(crate) struct Head {
    pub(crate) magic: Word,
    pub(crate) layout: Half,
    pub(crate) kind: Half,
    pub(crate) id: [Word; 2],
    pub(crate) bytes: Word,
    pub(crate) key: Half,
    pub(crate) members: Half,
    pub(crate) created: Word,
    pub(crate) fingerprint: Word,
    pub(crate) value_bytes: Word,
    pub(crate) capacity: Word,
    pub(crate) policy: Word,
    pub(crate) schema_bytes: Word,
    pub(crate) check: Half,
    /// The set of semaphores that the members use; 0 while the segment is filled.
    pub(crate) seats: Half,
    /// Bytes of the payload area of each writer of a queue.
    pub(crate) payload_bytes: Word,
    pub(crate) reserve: [Word; 2],
}

record!(Head, 128);

impl Head {
    /// Returns the value that `check` must have.
    pub(crate) fn sum(&self) -> u32 {
        let pair = |low: &Half, high: &Half| u64::from(low.load()) | u64::from(high.load()) << 32;
        checksum([
            pair(&self.layout, &self.kind),
            self.id[0].load(),
            self.id[1].load(),
            self.bytes.load(),
            pair(&self.key, &self.members),
            self.created.load(),
            self.fingerprint.load(),
            self.value_bytes.load(),
            self.capacity.load(),
            self.policy.load(),
            self.schema_bytes.load(),
            self.payload_bytes.load(),
        ])
    }
}

/// The record of one member of a lock or queue.
#[repr(C)]
pub(crate) struct MemberRec {
    pub(crate) name: [Word; 4],
    pub(crate) role: Half,
    pub(crate) pid: Half,
    pub(crate) epoch: Word,
    pub(crate) since: Word,
    /// How the last process gave the seat back; 0 while a process has the seat, or if it died with
    /// it.
    pub(crate) last: Word,
}

record!(MemberRec, 64);

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn the_document_has_the_head_as_it_is() {
        let document = include_str!("../../docs/messaging.md");
        let fields = [
            ("magic", offset_of!(Head, magic), 8),
            ("layout", offset_of!(Head, layout), 4),
            ("kind", offset_of!(Head, kind), 4),
            ("id", offset_of!(Head, id), 16),
            ("bytes", offset_of!(Head, bytes), 8),
            ("key", offset_of!(Head, key), 4),
            ("members", offset_of!(Head, members), 4),
            ("created", offset_of!(Head, created), 8),
            ("fingerprint", offset_of!(Head, fingerprint), 8),
            ("value_bytes", offset_of!(Head, value_bytes), 8),
            ("capacity", offset_of!(Head, capacity), 8),
            ("policy", offset_of!(Head, policy), 8),
            ("schema_bytes", offset_of!(Head, schema_bytes), 8),
            ("check", offset_of!(Head, check), 4),
            ("seats", offset_of!(Head, seats), 4),
            ("payload_bytes", offset_of!(Head, payload_bytes), 8),
        ];
        for (name, offset, bytes) in fields {
            let row = format!("| {offset} | {bytes} | `{name}`");
            assert!(document.contains(&row), "docs/messaging.md has no row {row}");
        }
    }
}
