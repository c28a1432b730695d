//! What a child announces and acknowledges, in memory that outlives it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum number of operations.
pub const ROOM: usize = 8192;

/// An operation and its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    pub op: u64,
    pub operands: [u64; 4],
    /// The result; `None` if the child died before it wrote one.
    pub result: Option<u64>,
}

struct Slot {
    words: [AtomicU64; 7],
}

const STATE: usize = 6;
const INTENDED: u64 = 1;
const DONE: u64 = 2;

/// A ring that parent and child share. Its words are released in program order, and a death
/// preserves that order.
pub struct Journal {
    count: &'static AtomicU64,
    slots: &'static [Slot],
}

impl Journal {
    pub fn new() -> Self {
        let bytes = size_of::<Slot>() * (ROOM + 1);
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: the kernel chooses a free address.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        assert!(memory.addr() != usize::MAX, "mmap: {}", std::io::Error::last_os_error());
        // SAFETY: zeroed memory for so many slots, never unmapped.
        let all = unsafe { std::slice::from_raw_parts(memory.cast::<Slot>(), ROOM + 1) };
        Journal { count: &all[0].words[0], slots: &all[1..] }
    }

    /// Removes all entries.
    pub fn clear(&self) {
        for slot in &self.slots[..self.len()] {
            slot.words[STATE].store(0, Ordering::SeqCst);
        }
        self.count.store(0, Ordering::SeqCst);
    }

    /// Returns the number of announced operations.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst) as usize
    }

    /// Announces an operation. Returns false if the journal is full.
    pub fn intend(&self, op: u64, operands: [u64; 4]) -> bool {
        let Some(slot) = self.slots.get(self.len()) else { return false };
        slot.words[0].store(op, Ordering::Release);
        for (word, operand) in slot.words[1..].iter().zip(operands) {
            word.store(operand, Ordering::Release);
        }
        slot.words[STATE].store(INTENDED, Ordering::Release);
        self.count.store(self.len() as u64 + 1, Ordering::Release);
        true
    }

    /// Acknowledges the last operation with its result.
    pub fn done(&self, result: u64) {
        let slot = &self.slots[self.len() - 1];
        slot.words[5].store(result, Ordering::Release);
        slot.words[STATE].store(DONE, Ordering::Release);
    }

    /// Returns all entries.
    pub fn entries(&self) -> Vec<Entry> {
        let read = |slot: &Slot| {
            let word = |at: usize| slot.words[at].load(Ordering::SeqCst);
            let result = (word(STATE) == DONE).then(|| word(5));
            Entry { op: word(0), operands: [word(1), word(2), word(3), word(4)], result }
        };
        self.slots[..self.len()].iter().map(read).collect()
    }
}
