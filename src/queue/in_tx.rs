//! Receiving in a transaction of a pool: the position of the reader commits together with the
//! objects that the message changed.
//!
//! The position in the pool decides. `at` of the queue follows it: a reader stores it there at its
//! next call, after the commit. So a writer never overwrites a message whose effect could still be
//! rolled back.

use super::entry::Message;
use super::error::{RecvError, RecvInError};
use super::payload::Payload;
use super::receiver::Receiver;
use crate::layout::Broken;
use crate::limits;
use crate::pool::{Position, ReaderId, Tx};
use crate::sync::ring as wake;
use crate::sync::slips::{Slip, planted};
use std::time::Duration;

/// How long a call waits for a message.
#[derive(Clone, Copy)]
enum Wait {
    No,
    For(Option<Duration>),
}

impl<T: Payload + ?Sized> Receiver<T> {
    /// Receives the next message as a part of a transaction, and waits for it without a deadline.
    ///
    /// The message counts as read when the transaction commits. If the transaction is rolled back,
    /// by an error, a panic or the death of the process, the next transaction receives the same
    /// message again, marked as [`redelivered`](super::Meta::redelivered). So each message has its
    /// effect on the pool exactly once. A transaction may receive several messages, at most as many
    /// as the queue has room for.
    ///
    /// A reader that has received in a transaction does not receive in another way, and all its
    /// transactions are of one pool.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf, QueueConf, QueueKind};
    /// # use hotpool::queue::{Receiver, RecvInError, Sender};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Purse { gold: u64 }
    /// # let mut conf = ProcessConf::new("bank", Key(0x4850_0130), Bytes(1 << 20), &[Key(0x4850_0131)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Purse>()?;
    /// # let purse = pool.alloc(Purse { gold: 5 })?;
    /// # let mut conf = QueueConf::new("gifts", Key(0x4850_0f03), QueueKind::Channel, 64, Bytes(8));
    /// # conf.writers = vec!["zone".into()];
    /// # conf.readers = vec!["bank".into()];
    /// # let mut tx: Sender<u64> = Sender::open(&conf, "zone")?;
    /// # let mut rx: Receiver<u64> = Receiver::open(&conf, "bank")?;
    /// # tx.send(&3)?;
    /// pool.tx(|tx| {
    ///     let gift = rx.recv_in(tx)?;
    ///     tx.get_mut(purse)?.gold += gift.value;
    ///     Ok::<_, RecvInError>(())
    /// })?;
    /// # assert_eq!(pool.get(purse).unwrap().gold, 8);
    /// # drop((tx, rx));
    /// # hotpool::sync::remove(conf.key)?;
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the transaction if its undo log or the directory of the pool is full; otherwise
    /// as for [`recv`](Receiver::recv). After `RecvError::Lagged` the next call continues after the
    /// lost messages.
    pub fn recv_in(&mut self, tx: &mut Tx<'_>) -> Result<Message<T::Owned>, RecvInError> {
        self.take_in(tx, Wait::For(None))
    }

    /// Receives the next message as a part of a transaction, as [`recv_in`](Receiver::recv_in) does,
    /// and waits for it up to a deadline of the monotonic clock.
    ///
    /// # Errors
    ///
    /// `RecvError::TimedOut` if no message arrived before the deadline; otherwise as for `recv_in`.
    pub fn recv_timeout_in(
        &mut self,
        tx: &mut Tx<'_>,
        most: Duration,
    ) -> Result<Message<T::Owned>, RecvInError> {
        self.take_in(tx, Wait::For(Some(most)))
    }

    /// Receives the next message as a part of a transaction, as [`recv_in`](Receiver::recv_in) does,
    /// without waiting.
    ///
    /// # Errors
    ///
    /// `RecvError::Empty` if the queue has no message for this reader; otherwise as for `recv_in`.
    pub fn try_recv_in(&mut self, tx: &mut Tx<'_>) -> Result<Message<T::Owned>, RecvInError> {
        self.take_in(tx, Wait::No)
    }

    fn take_in(&mut self, tx: &mut Tx<'_>, wait: Wait) -> Result<Message<T::Owned>, RecvInError> {
        let position = self.follow(tx)?;
        if let Wait::For(most) = wait {
            self.can_come(&position)?;
            self.wait_here(most)?;
        }
        let message = match self.take() {
            Err(RecvError::Lagged(missed)) if position.is_kept => {
                // The messages that this transaction has received may still be rolled back, and are
                // lost then: so the step over the lost ones is a part of it, too.
                let oldest = self.next.take().unwrap_or(self.at);
                self.move_in(tx, &position, oldest)?;
                return Err(RecvError::Lagged(missed).into());
            }
            answer => answer?,
        };
        // Its effects alone make the message count as read.
        self.next = None;
        self.move_in(tx, &position, message.meta.id + 1)?;
        Ok(message)
    }

    fn move_in(&mut self, tx: &mut Tx<'_>, position: &Position, next: u64) -> Result<(), RecvInError> {
        self.at = next;
        match () {
            () if planted(Slip::PositionFirst) => tx.move_unkept(position, next),
            // Stored by the next call.
            () if planted(Slip::PositionLast) => {}
            () => tx.move_to(position, next)?,
        }
        Ok(())
    }

    /// Moves this reader to its position in the pool, and acknowledges what is committed there.
    fn follow(&mut self, tx: &mut Tx<'_>) -> Result<Position, RecvInError> {
        let pool = tx.pool_id();
        let is_first = self.pool.is_none();
        if *self.pool.get_or_insert(pool) != pool {
            return Err(RecvError::OtherPool.into());
        }
        // A message that was received without a transaction, or a report of lost messages.
        self.ack();
        let site = &self.ring.site;
        let reader = ReaderId { key: site.key.0, queue: site.id, reader: self.me as u32 };
        let mut position = tx.position(&reader)?;
        if planted(Slip::PositionLast) && !is_first {
            tx.move_unkept(&position, self.at);
            position.committed = self.at;
        }
        let (at, given) = self.rec().map_or((0, 0), |rec| (rec.at.load(), rec.given.load()));
        // The tail may lag by one message.
        let end = self.ring.control.tail.load().saturating_add(1).min(limits::MAX_MESSAGES);
        if at.max(position.committed).max(position.current) > end {
            return Err(RecvError::from(Broken::ReadUnsent).into());
        }
        if position.committed > at {
            self.pass(position.committed);
        }
        // The queue is ahead of a pool that was created anew, and of messages that were lost.
        position.committed = position.committed.max(at);
        self.at = if position.is_kept { position.current } else { position.committed };
        self.given = given;
        Ok(position)
    }

    /// Stores a position in the queue, and wakes the writers that wait for it.
    fn pass(&self, next: u64) {
        let Some(rec) = self.rec() else { return };
        rec.at.swap(next);
        if self.ring.policy.gates {
            wake(&self.ring.control.space);
        }
    }

    /// Returns whether the next message was not sent yet, and writers may wait for bytes of messages
    /// that this transaction has received.
    fn keeps_bytes(&self, position: &Position) -> bool {
        self.ring.policy.gates
            && self.ring.shape.payload_bytes != 0
            && self.is_empty()
            && (position.committed..self.at).any(|number| self.ring.is_large(number))
    }

    /// Checks that a message can come before the transaction ends.
    fn can_come(&self, position: &Position) -> Result<(), RecvError> {
        let taken = self.at.saturating_sub(position.committed);
        let is_all = self.ring.policy.gates && taken >= self.ring.shape.capacity;
        if is_all || self.keeps_bytes(position) { Err(RecvError::Uncommitted(taken)) } else { Ok(()) }
    }
}
