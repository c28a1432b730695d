//! A pool that keeps account of the messages of a queue: each message changes, creates and frees
//! objects. An account finds a message that comes twice, or that never came.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use super::messages::OwnKey;
use bytemuck::{Pod, Zeroable};
use hotpool::conf::ProcessConf;
use hotpool::queue::{Receiver, RecvInError};
use hotpool::units::Bytes;
use hotpool::{MemoryPoolMgr, PoolObject, Tx, TxError};

/// What the messages of one writer have done; its user key is the number of the writer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable, PoolObject)]
#[pool(id = 1, keyed)]
pub struct Account {
    pub last: u64,
    pub count: u64,
    pub sum: u64,
}

/// One of the last messages of a writer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable, PoolObject)]
#[pool(id = 2, keyed)]
pub struct Receipt {
    clock: u64,
}

/// Receipts that are kept of each writer.
const RECEIPTS: u64 = 4;

#[derive(Debug)]
pub enum Fault {
    Recv(RecvInError),
    /// A message came twice, or an earlier one did not come.
    Wrong(String),
    /// The transaction is to be rolled back.
    Refused,
}

impl From<RecvInError> for Fault {
    fn from(error: RecvInError) -> Self {
        Fault::Recv(error)
    }
}

impl From<TxError> for Fault {
    fn from(error: TxError) -> Self {
        Fault::Recv(error.into())
    }
}

/// A pool that belongs to one test.
pub struct Bank {
    pub conf: ProcessConf,
    _keys: [OwnKey; 2],
}

impl Bank {
    pub fn new() -> Self {
        let keys = [OwnKey::take(), OwnKey::take()];
        let mut conf = ProcessConf::new("bank", keys[0].0, Bytes(256 << 10), &[keys[1].0]);
        conf.undo_size = Bytes(4096);
        Bank { conf, _keys: keys }
    }

    /// Frees all objects.
    pub fn clear(&self) {
        let mut pool = self.open();
        let accounts: Vec<_> = pool.iter::<Account>().map(|(id, _)| id).collect();
        let receipts: Vec<_> = pool.iter::<Receipt>().map(|(id, _)| id).collect();
        accounts.into_iter().for_each(|id| assert!(pool.free(id)));
        receipts.into_iter().for_each(|id| assert!(pool.free(id)));
    }

    pub fn open(&self) -> MemoryPoolMgr {
        let mut pool = MemoryPoolMgr::open(&self.conf).unwrap_or_else(|error| panic!("bank: {error}"));
        pool.add_type::<Account>().unwrap();
        pool.add_type::<Receipt>().unwrap();
        pool.ready().unwrap();
        pool
    }
}

/// Lets a message have its effect.
pub fn enter(tx: &mut Tx<'_>, writer: u64, clock: u64) -> Result<(), Fault> {
    let account = match tx.find::<Account>(writer) {
        Some(account) => account,
        None => tx.alloc_keyed(writer, Account::default())?,
    };
    let account = tx.get_mut(account)?;
    if clock != account.last + 1 {
        return Err(Fault::Wrong(format!("message {clock} of writer {writer} after {account:?}")));
    }
    *account = Account { last: clock, count: account.count + 1, sum: account.sum + clock };
    let receipt = |clock: u64| writer << 48 | clock;
    tx.alloc_keyed(receipt(clock), Receipt { clock })?;
    if let Some(old) = clock.checked_sub(RECEIPTS).and_then(|old| tx.find::<Receipt>(receipt(old))) {
        tx.free(old)?;
    }
    Ok(())
}

/// Receives one message in a transaction, which has its effect.
pub fn deposit<T>(pool: &mut MemoryPoolMgr, rx: &mut Receiver<T>) -> Result<(), Fault>
where
    T: hotpool::queue::Payload<Owned = T>,
{
    pool.tx(|tx| {
        let meta = rx.try_recv_in(tx)?.meta;
        enter(tx, meta.writer.into(), meta.clock)
    })
}

/// Checks the account of a writer; returns the number of its last message.
pub fn audit(pool: &MemoryPoolMgr, writer: u64) -> Result<u64, String> {
    let account = pool.find::<Account>(writer).and_then(|id| pool.get(id)).copied().unwrap_or_default();
    let kept = pool.iter::<Receipt>().filter(|(_, receipt)| receipt.clock <= account.last).count() as u64;
    let sum = account.last * (account.last + 1) / 2;
    match account.count == account.last && account.sum == sum && kept >= account.last.min(RECEIPTS) {
        true => Ok(account.last),
        false => Err(format!("writer {writer}: {account:?}, {kept} receipts")),
    }
}
