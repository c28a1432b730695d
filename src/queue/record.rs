//! The records of a queue. `docs/messaging.md` describes the same bytes in prose.

use crate::layout::record;
use crate::limits::{LINE, MAX_CHUNKS, MAX_MEMBERS, MAX_MESSAGE_BYTES, MAX_MESSAGES};
use crate::word::{Half, Shared, SharedHalf, Word};

/// The record that all members share.
#[repr(C)]
pub(super) struct Control {
    /// The next free number, or a number that was taken a moment ago.
    pub(super) tail: Shared,
    spare: [Shared; 7],
    /// The bell of the readers.
    pub(super) bell: SharedHalf,
    bell_spare: [SharedHalf; 15],
    /// The bell of the writers.
    pub(super) space: SharedHalf,
    space_spare: SharedHalf,
    /// In a work queue: all messages below this number were taken by a consumer.
    pub(super) taken: Shared,
    taken_spare: [Shared; 6],
}

record!(Control, 192);

/// The record of one writer.
#[repr(C)]
pub(super) struct WriterRec {
    /// The number that the writer tries to publish, and its private chunk.
    pub(super) work: Shared,
    /// Number of messages that the writer has published.
    pub(super) clock: Shared,
    /// In a queue that may overtake a reader: the messages of this writer with numbers below have lost
    /// the bytes that they had in its payload area.
    pub(super) void: Shared,
    spare: [Shared; 5],
}

record!(WriterRec, 64);

/// The record of one reader.
#[repr(C)]
pub(super) struct ReaderRec {
    /// The first message that the reader may still need. In a work queue: one more than the number
    /// of the message that the consumer has or tries to take.
    pub(super) at: Shared,
    /// One more than the number of the last message that the reader was given.
    pub(super) given: Shared,
    /// [`EVICTED`], or zero.
    pub(super) gate: Shared,
    /// When a writer noticed its death, in nanoseconds since boot; zero if no writer has.
    pub(super) gone: Shared,
    spare: [Shared; 4],
}

record!(ReaderRec, 64);

/// Value of a `gate` for which writers do not wait.
pub(super) const EVICTED: u64 = 1 << 63;

/// The head of a chunk.
#[repr(C)]
pub(super) struct ChunkHead {
    pub(super) id: Word,
    pub(super) time: Word,
    pub(super) clock: Word,
    pub(super) replaces: Word,
    pub(super) writer: Half,
    pub(super) length: Half,
    /// Where a message that is larger than a chunk lies in the payload area of its writer.
    pub(super) payload: Word,
    spare: [Word; 2],
}

record!(ChunkHead, 64);

const CHUNK_BITS: u32 = 16;
const CHUNK_MASK: u64 = (1 << CHUNK_BITS) - 1;
/// Stands for no number.
pub(super) const NONE: u64 = u64::MAX >> CHUNK_BITS;

/// A lap or a number, and a chunk, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed(pub(super) u64);

impl Packed {
    pub(super) fn new(number: u64, chunk: u64) -> Self {
        Packed(number << CHUNK_BITS | chunk & CHUNK_MASK)
    }

    pub(super) fn number(self) -> u64 {
        self.0 >> CHUNK_BITS
    }

    pub(super) fn chunk(self) -> u64 {
        self.0 & CHUNK_MASK
    }
}

/// The state of a message of a work queue: the low bits of its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClaimState(u64);

/// No consumer has this number.
const DONE: u64 = 0x7fff;

impl ClaimState {
    /// The message is finished.
    pub(super) const DONE: Self = ClaimState(DONE);

    /// A consumer has the message.
    pub(super) fn of(consumer: usize) -> Self {
        ClaimState((consumer as u64 + 1) & DONE)
    }

    /// Returns the claim of a message in this lap.
    pub(super) fn in_lap(self, lap: u64) -> Packed {
        Packed::new(lap, self.0)
    }
}

const _: () = assert!(MAX_MEMBERS < DONE as usize);
const _: () = assert!(MAX_CHUNKS <= CHUNK_MASK && MAX_MESSAGES < NONE);

/// The offsets of all records, from the numbers of a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) capacity: u64,
    pub(super) writers: u64,
    pub(super) readers: u64,
    pub(super) message_bytes: u64,
    /// Each entry has a claim: a work queue.
    pub(super) has_claims: bool,
    /// Bytes of the payload area of each writer; 0 if the queue has none.
    pub(super) payload_bytes: u64,
}

impl Shape {
    pub(super) fn chunks(&self) -> u64 {
        self.capacity.saturating_add(self.writers)
    }

    pub(super) fn writers_at(&self) -> u64 {
        size_of::<Control>() as u64
    }

    pub(super) fn readers_at(&self) -> u64 {
        self.writers_at() + self.writers * size_of::<WriterRec>() as u64
    }

    pub(super) fn places_at(&self) -> u64 {
        self.readers_at() + self.readers * size_of::<ReaderRec>() as u64
    }

    pub(super) fn claims_at(&self) -> u64 {
        self.places_at() + (self.capacity * 8).next_multiple_of(LINE)
    }

    /// Returns the number of claims.
    pub(super) fn claims(&self) -> u64 {
        if self.has_claims { self.capacity } else { 0 }
    }

    pub(super) fn chunks_at(&self) -> u64 {
        self.claims_at() + (self.claims() * 8).next_multiple_of(LINE)
    }

    /// Returns the bytes of a chunk with its head.
    pub(super) fn stride(&self) -> u64 {
        (size_of::<ChunkHead>() as u64 + self.message_bytes).next_multiple_of(LINE)
    }

    /// Returns the offset of the payload area of the first writer.
    pub(super) fn payload_at(&self) -> u64 {
        self.chunks_at() + self.chunks() * self.stride()
    }

    /// Returns the bytes of the payload area of a writer, in whole lines.
    pub(super) fn area_bytes(&self) -> u64 {
        self.payload_bytes.next_multiple_of(LINE)
    }

    /// Returns the length of the largest message.
    pub(super) fn most_bytes(&self) -> u64 {
        self.message_bytes.max(self.payload_bytes.min(MAX_MESSAGE_BYTES))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.payload_at() + self.writers * self.area_bytes()
    }

    /// Returns the entry of a message, and the lap in which it lies there.
    #[inline(always)]
    pub(super) fn place(&self, number: u64) -> (usize, u64) {
        Places::of(self.capacity).place(number)
    }
}

/// Where the messages of a queue lie, from its capacity.
///
/// A line holds eight entries. Consecutive messages take entries of different lines, so that a
/// writer does not take the line away in which the reader looks at the message before. That
/// needs a capacity of which eight is a factor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    capacity: u64,
    /// The binary logarithm of the capacity, if it has one: shifts take a tenth of the time of
    /// divisions.
    shift: Option<u32>,
    /// Such a capacity: the number of lines less one, and the binary logarithm of their number.
    line_mask: u64,
    line_shift: u32,
}

impl Places {
    pub(super) fn of(capacity: u64) -> Self {
        let shift = capacity.is_power_of_two().then(|| capacity.trailing_zeros());
        // A capacity below eight is less than a line, and its entries are in the order of the messages.
        let lines = (capacity / ENTRIES).max(1);
        Places { capacity, shift, line_mask: lines - 1, line_shift: lines.trailing_zeros() }
    }

    /// Returns the entry of a message, and the lap in which it lies there.
    #[inline(always)]
    pub(super) fn place(&self, number: u64) -> (usize, u64) {
        let capacity = self.capacity;
        if let Some(shift) = self.shift {
            let at = number & (capacity - 1);
            let place = (at & self.line_mask) * ENTRIES + (at >> self.line_shift);
            return (place as usize, (number >> shift) + 1);
        }
        let (at, lap, lines) = (number % capacity, number / capacity, capacity / ENTRIES);
        let place = if capacity.is_multiple_of(ENTRIES) { at % lines * ENTRIES + at / lines } else { at };
        (place as usize, lap + 1)
    }
}

/// Number of entries in a line.
const ENTRIES: u64 = LINE / size_of::<Shared>() as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(capacity: u64, writers: u64, message_bytes: u64) -> Shape {
        Shape { capacity, writers, readers: 1, message_bytes, has_claims: false, payload_bytes: 0 }
    }

    #[test]
    fn a_number_and_a_chunk_come_out_of_a_word_as_they_went_in() {
        let word = Packed::new(NONE, 64_999);
        assert_eq!((word.number(), word.chunk()), (NONE, 64_999));
    }

    #[test]
    fn nothing_of_a_queue_overlaps() {
        let shape = shape(3, 2, 1);
        assert_eq!((shape.writers_at(), shape.readers_at(), shape.places_at()), (192, 320, 384));
        assert_eq!((shape.chunks_at(), shape.stride(), shape.bytes()), (448, 128, 448 + 5 * 128));
        let work = Shape { has_claims: true, ..shape };
        assert_eq!((work.claims_at(), work.chunks_at()), (448, 512));
        assert_eq!((shape.place(0), shape.place(7)), ((0, 1), (1, 3)));
        let large = Shape { payload_bytes: 130, ..shape };
        assert_eq!((large.payload_at(), large.bytes()), (shape.bytes(), shape.bytes() + 2 * 192));
        assert_eq!((shape.most_bytes(), large.most_bytes()), (1, 130));
    }

    #[test]
    fn each_message_of_a_lap_has_an_entry_and_neighbours_have_different_lines() {
        for capacity in (1..=72).chain([4096, 64_000]) {
            let shape = shape(capacity, 1, 8);
            let mut taken = vec![false; capacity as usize];
            for number in 2 * capacity..3 * capacity {
                let (place, lap) = shape.place(number);
                assert!(!std::mem::replace(&mut taken[place], true) && lap == 3, "{number} of {capacity}");
                let next = shape.place(number + 1).0;
                let is_spread = capacity % 8 == 0 && capacity > 8;
                assert!(!is_spread || place / 8 != next / 8, "{number} of {capacity}");
            }
        }
    }
}
