//! A message that is received in a transaction counts as read if the transaction commits, and else
//! comes again (G13). `tests/exactly_once.rs` shows the same under kills.

mod messages;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf, QueueKind};
use hotpool::queue::{Message, Receiver, RecvError, RecvInError, SendError, Sender};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, TxError};
use messages::Queue;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Purse {
    gold: u64,
}

struct Bank {
    pool: MemoryPoolMgr,
    purse: Id<Purse>,
}

impl Bank {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0x7db0_0000);
        let base = NEXT.fetch_add(2, Ordering::Relaxed);
        let mut conf = ProcessConf::new("bank", Key(base), Bytes(64 << 10), &[Key(base + 1)]);
        conf.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Purse>().unwrap();
        let purse = pool.alloc(Purse { gold: 0 }).unwrap();
        Bank { pool, purse }
    }

    fn gold(&self) -> u64 {
        self.pool.get(self.purse).unwrap().gold
    }

    /// Adds `count` messages to the purse; an `Err` of `end` rolls that back.
    fn take(
        &mut self,
        rx: &mut Receiver<u64>,
        count: usize,
        end: Result<(), RecvInError>,
    ) -> Result<Vec<Message<u64>>, RecvInError> {
        let purse = self.purse;
        self.pool.tx(|tx| {
            let mut all = Vec::new();
            for _ in 0..count {
                let message = rx.try_recv_in(tx)?;
                tx.get_mut(purse)?.gold += message.value;
                all.push(message);
            }
            end.map(|()| all)
        })
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.pool.verify().is_sound(), "{}", self.pool.verify());
        }
    }
}

fn send(tx: &mut Sender<u64>, values: impl IntoIterator<Item = u64>) {
    for value in values {
        tx.try_send(&value).unwrap();
    }
}

fn refused() -> Result<(), RecvInError> {
    Err(RecvError::Empty.into())
}

fn values(messages: &[Message<u64>]) -> Vec<(u64, bool)> {
    messages.iter().map(|message| (message.value, message.meta.redelivered)).collect()
}

#[test]
fn a_message_counts_as_read_when_its_transaction_commits() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let mut bank = Bank::new();
    for n in 1..=4 {
        tx.try_send(&n).unwrap();
    }
    assert!(bank.take(&mut rx, 2, refused()).is_err());
    assert_eq!(bank.gold(), 0);
    assert_eq!(values(&bank.take(&mut rx, 2, Ok(())).unwrap()), [(1, true), (2, true)]);
    assert_eq!(bank.gold(), 3);
    // The queue learns of the commit with the next call, and has room then.
    assert!(tx.try_send(&5).is_err());
    assert_eq!(values(&bank.take(&mut rx, 1, Ok(())).unwrap()), [(3, false)]);
    tx.try_send(&5).unwrap();
    drop(rx);
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    assert_eq!(values(&bank.take(&mut rx, 2, Ok(())).unwrap()), [(4, false), (5, false)]);
    assert_eq!(bank.take(&mut rx, 1, Ok(())), Err(RecvError::Empty.into()));
    assert_eq!(bank.gold(), 15);
}

#[test]
fn a_panic_in_a_transaction_gives_its_message_back() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let mut bank = Bank::new();
    tx.try_send(&7).unwrap();
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bank.pool.tx(|tx| -> Result<(), RecvInError> {
            let _ = rx.try_recv_in(tx)?;
            panic!("as planned")
        })
    }));
    assert!(panics.is_err());
    assert_eq!(values(&bank.take(&mut rx, 1, Ok(())).unwrap()), [(7, true)]);
}

#[test]
fn only_transactions_of_one_pool_know_the_position() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let (mut bank, mut other) = (Bank::new(), Bank::new());
    send(&mut tx, 1..=4);
    // A message before the first transaction is acknowledged by it.
    assert_eq!(rx.try_recv().unwrap().value, 1);
    assert_eq!(values(&bank.take(&mut rx, 1, Ok(())).unwrap()), [(2, false)]);
    assert_eq!(rx.try_recv(), Err(RecvError::InTransactions));
    assert_eq!(rx.recv(), Err(RecvError::InTransactions));
    assert!(matches!(rx.try_recv_ref(), Err(RecvError::InTransactions)));
    assert_eq!(other.take(&mut rx, 1, Ok(())), Err(RecvError::OtherPool.into()));
    assert_eq!(values(&bank.take(&mut rx, 1, Ok(())).unwrap()), [(3, false)]);
    assert_eq!((bank.gold(), other.gold()), (5, 0));
}

#[test]
fn a_transaction_that_has_received_all_that_there_is_room_for_does_not_wait_for_ever() {
    let queue = Queue::new(QueueKind::Channel, 2, &["a"], &["x"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let mut bank = Bank::new();
    send(&mut tx, 1..=2);
    let answer = bank.pool.tx(|tx| {
        rx.recv_in(tx)?;
        rx.recv_in(tx)?;
        rx.recv_in(tx)
    });
    assert_eq!(answer, Err(RecvError::Uncommitted(2).into()));
    assert_eq!(values(&bank.take(&mut rx, 2, Ok(())).unwrap()), [(1, true), (2, true)]);
    let answer = bank.pool.tx(|tx| rx.recv_timeout_in(tx, Duration::from_millis(2)));
    assert_eq!(answer, Err(RecvError::TimedOut.into()));
}

#[test]
fn a_transaction_that_has_the_bytes_for_which_the_writer_waits_does_not_wait_for_it() {
    let mut queue = Queue::new(QueueKind::Channel, 8, &["a"], &["x"]);
    queue.conf.payload_bytes = Bytes(128);
    let mut tx: Sender<[u8]> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<[u8]> = Receiver::open(&queue.conf, "x").unwrap();
    let mut bank = Bank::new();
    tx.try_send(&[1; 8]).unwrap();
    tx.try_send(&[2; 100]).unwrap();
    assert!(matches!(tx.try_send(&[3; 100]), Err(SendError::Full)));
    let answer = bank.pool.tx(|tx| {
        assert_eq!(rx.recv_in(tx)?.value, [1; 8]);
        assert_eq!(rx.recv_in(tx)?.value, [2; 100]);
        rx.recv_in(tx)
    });
    assert_eq!(answer, Err(RecvError::Uncommitted(2).into()));
    bank.pool
        .tx(|tx| {
            let first = rx.recv_in(tx)?;
            assert!(first.meta.redelivered && first.value == [1; 8]);
            let large = rx.try_recv_in(tx)?;
            assert!(large.meta.redelivered && large.value == [2; 100]);
            assert_eq!(rx.try_recv_in(tx), Err(RecvError::Empty.into()));
            Ok::<_, RecvInError>(())
        })
        .unwrap();
    // The bytes are free after the commit, as soon as the reader has stored its position.
    let empty = bank.pool.tx(|tx| rx.recv_timeout_in(tx, Duration::ZERO));
    assert_eq!(empty, Err(RecvError::TimedOut.into()));
    tx.try_send(&[3; 100]).unwrap();
    assert_eq!(bank.pool.tx(|tx| rx.recv_in(tx)).unwrap().value, [3; 100]);
}

#[test]
fn lost_messages_are_counted_exactly_also_if_the_transaction_is_rolled_back() {
    let queue = Queue::new(QueueKind::Broadcast, 4, &["a"], &["x"]);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
    let mut bank = Bank::new();
    send(&mut tx, 0..10);
    assert_eq!(bank.take(&mut rx, 1, Ok(())), Err(RecvError::Lagged(6).into()));
    assert_eq!(values(&bank.take(&mut rx, 1, Ok(())).unwrap()), [(6, false)]);
    // Message 7 is received, 8 to 15 are lost before they are.
    let answer = bank.pool.tx(|pool_tx| {
        assert_eq!(rx.try_recv_in(pool_tx)?.value, 7);
        send(&mut tx, 10..20);
        assert_eq!(rx.try_recv_in(pool_tx), Err(RecvError::Lagged(8).into()));
        assert_eq!(rx.try_recv_in(pool_tx)?.value, 16);
        refused()
    });
    assert_eq!(answer, refused());
    assert_eq!(bank.take(&mut rx, 1, Ok(())), Err(RecvError::Lagged(9).into()));
    assert_eq!(bank.take(&mut rx, 3, Ok(())).unwrap().first().map(|first| first.value), Some(16));
}

#[test]
fn the_readers_of_a_queue_that_was_made_anew_begin_at_its_first_message() {
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &["x"]);
    let mut bank = Bank::new();
    for round in 0..300 {
        let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
        let mut rx: Receiver<u64> = Receiver::open(&queue.conf, "x").unwrap();
        send(&mut tx, 1..=2);
        assert_eq!(values(&bank.take(&mut rx, 1, Ok(())).unwrap()), [(1, false)]);
        assert_eq!(bank.gold(), round + 1);
        drop((tx, rx));
        queue.renew();
    }
}

#[test]
fn more_readers_than_the_directory_has_room_for_are_refused() {
    let names: Vec<String> = (0..130).map(|n| format!("r{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let queue = Queue::new(QueueKind::Channel, 4, &["a"], &names);
    let mut tx: Sender<u64> = Sender::open(&queue.conf, "a").unwrap();
    tx.try_send(&1).unwrap();
    let mut bank = Bank::new();
    for (n, name) in names.iter().enumerate() {
        let mut rx: Receiver<u64> = Receiver::open(&queue.conf, name).unwrap();
        match bank.take(&mut rx, 1, Ok(())) {
            Ok(_) => assert!(n < 128),
            Err(error) => assert_eq!((n >= 128, error), (true, TxError::TooManyReaders.into())),
        }
    }
    assert_eq!(bank.gold(), 128);
}
