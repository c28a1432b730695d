//! The positions of readers that receive in transactions: a position commits together with the
//! objects that the messages before it have changed.
//!
//! A record of the directory belongs to one reader of one queue. Its `next` is changed as an object
//! is: the undo log has the old value before the word has the new one. A queue that was created anew
//! under its key has another identity, so its readers do not find the records of the old one. They
//! take those over.

use crate::layout::PositionRec;
use crate::pool::change::tx::{Tx, TxError};
use crate::region::Table;
use crate::word::Word;

/// A reader of a queue, as the directory of a pool names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderId {
    pub(crate) key: u32,
    /// Identity of the queue.
    pub(crate) queue: [u64; 2],
    pub(crate) reader: u32,
}

/// The position of a reader in a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Number of its record.
    record: usize,
    /// The position when the transaction began.
    pub(crate) committed: u64,
    /// The position now.
    pub(crate) current: u64,
    /// The transaction has received a message.
    pub(crate) is_kept: bool,
}

impl ReaderId {
    fn is_of(&self, record: &PositionRec) -> bool {
        self.is_of_queue(record) && record.reader.load() == self.reader
    }

    fn is_of_queue(&self, record: &PositionRec) -> bool {
        record.key.load() == self.key && record.queue.each_ref().map(Word::load) == self.queue
    }

    /// Takes a record. A kill leaves it unused, or at position 0, which means the same.
    fn take(&self, record: &PositionRec) {
        record.key.store(0);
        record.next.store(0);
        record.queue[0].store(self.queue[0]);
        record.queue[1].store(self.queue[1]);
        record.reader.store(self.reader);
        record.key.store(self.key);
    }
}

fn number_of(records: &Table<PositionRec>, wanted: impl Fn(usize, &PositionRec) -> bool) -> Option<usize> {
    (0..records.len()).find(|number| records.get(*number).is_some_and(|record| wanted(*number, record)))
}

impl Tx<'_> {
    /// Returns the identity of the pool.
    pub(crate) fn pool_id(&self) -> [u64; 2] {
        let id = &self.pool.base.header.frozen.pool_id;
        [id[0].load(), id[1].load()]
    }

    /// Returns the position of a reader: 0 if it has received nothing in a transaction of this pool.
    pub(crate) fn position(&mut self, reader: &ReaderId) -> Result<Position, TxError> {
        let records = self.pool.base.positions;
        let number = match number_of(&records, |_, record| reader.is_of(record)) {
            Some(number) => number,
            None => self.take_record(&records, reader).ok_or(TxError::TooManyReaders)?,
        };
        let current = records.get(number).map_or(0, |record| record.next.load());
        let before = self.pool.undo.position_before(number);
        let (committed, is_kept) = (before.unwrap_or(current), before.is_some());
        Ok(Position { record: number, committed, current, is_kept })
    }

    /// Takes a record for a reader: one of an earlier queue under the same key, or an unused one.
    #[cold]
    fn take_record(&mut self, records: &Table<PositionRec>, reader: &ReaderId) -> Option<usize> {
        let undo = &self.pool.undo;
        let is_old = |number: usize, record: &PositionRec| {
            let same_key = record.key.load() == reader.key && !reader.is_of_queue(record);
            // The rollback of this transaction must not reach another reader.
            same_key && undo.position_before(number).is_none()
        };
        let number =
            number_of(records, is_old).or_else(|| number_of(records, |_, record| record.key.load() == 0))?;
        reader.take(records.get(number)?);
        Some(number)
    }

    /// Moves a reader to another position, as a part of the transaction.
    pub(crate) fn move_to(&mut self, position: &Position, next: u64) -> Result<(), TxError> {
        if !position.is_kept {
            let kept = self.pool.undo.keep_position(position.record, position.committed);
            kept.map_err(|full| self.full(full))?;
        }
        self.move_unkept(position, next);
        Ok(())
    }

    /// Moves a reader although the undo log does not have its old position.
    pub(crate) fn move_unkept(&self, position: &Position, next: u64) {
        if let Some(record) = self.pool.base.positions.get(position.record) {
            record.next.store(next);
        }
    }
}
