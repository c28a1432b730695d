use super::record::record;
use crate::word::{Half, Word};

/// A record of the directory of queues: which messages a reader has received in transactions.
#[repr(C)]
#[derive(Debug)]
pub struct PositionRec {
    /// Identity of the queue.
    pub queue: [Word; 2],
    /// Key of the queue; 0 in an unused record.
    pub key: Half,
    /// Number of the reader in the configuration of the queue.
    pub reader: Half,
    /// Number of the next message: all before it have had their effect on the pool.
    pub next: Word,
}

record!(PositionRec, 32);

const NEXT_BITS: u32 = 48;

/// Returns the operand of an undo record that keeps a position.
pub(crate) fn position_operand(record: usize, next: u64) -> u64 {
    (record as u64) << NEXT_BITS | next & ((1 << NEXT_BITS) - 1)
}

/// Returns the record of the directory that an undo record names, and its old position.
pub(crate) fn position_of(operand: u64) -> (usize, u64) {
    ((operand >> NEXT_BITS) as usize, operand & ((1 << NEXT_BITS) - 1))
}
