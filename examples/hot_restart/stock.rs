//! The objects of one type in a running process: creates, writes, frees and lists them.

use crate::journal::{Journal, Op};
use crate::message::Row;
use crate::types::{self, Game};
use anyhow::{Context, Result};
use fastrand::Rng;
use hotpool::{AllocError, Handle, Id, MemoryPoolMgr};

/// The stock of one type, whatever the type.
pub(crate) trait Stock {
    fn add_type(&self, pool: &mut MemoryPoolMgr) -> Result<()>;
    /// Reports every object to `say`, and keeps its handle for the traffic.
    fn list(&mut self, pool: &MemoryPoolMgr, say: &mut dyn FnMut(Row) -> Result<()>) -> Result<()>;
    /// Does one operation, announced and acknowledged in the journal.
    fn step(&mut self, work: &mut Work) -> Result<()>;
    /// Overwrites one object if it is of this type and still live.
    fn repair(&mut self, work: &mut Work, handle: Handle) -> Result<()>;
    /// Plants a bug: changes something without telling the journal.
    fn plant(&mut self, work: &mut Work, bug: Bug) -> Result<()>;
}

/// What an operation needs.
pub(crate) struct Work<'a> {
    pub(crate) pool: &'a mut MemoryPoolMgr,
    pub(crate) journal: &'a mut Journal,
    pub(crate) dice: &'a mut Rng,
    /// The number of the next write. No number occurs twice in the life of a pool.
    pub(crate) serial: u64,
}

/// Bugs that can be planted, to check that the comparison finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Bug {
    /// Frees an object that the journal does not mention.
    Lost,
    /// Changes a field without updating the checksum.
    Torn,
    /// Creates an object that the journal does not mention.
    Resurrected,
    /// Receives letters that the journal does not mention.
    Missed,
}

/// The objects of type `T`; the traffic keeps about `target` of them live.
pub(crate) struct StockOf<T> {
    live: Vec<Id<T>>,
    target: usize,
    access: Access<T>,
}

/// What differs between keyed types and types without keys.
struct Access<T> {
    keyed: bool,
    make: fn(&mut MemoryPoolMgr, u64, T) -> Result<Id<T>, AllocError>,
    /// The user key of an object, and the handle found under it.
    key: fn(&MemoryPoolMgr, Id<T>) -> Option<KeyAndHolder<T>>,
}

type KeyAndHolder<T> = (u64, Option<Id<T>>);

impl<T: Game> StockOf<T> {
    pub(crate) fn plain(target: usize) -> Box<dyn Stock> {
        let access = Access { keyed: false, make: |pool, _, value: T| pool.alloc(value), key: |_, _| None };
        Box::new(StockOf { live: Vec::new(), target, access })
    }

    pub(crate) fn keyed(target: usize) -> Box<dyn Stock> {
        let access = Access {
            keyed: true,
            make: make_keyed,
            key: |pool, id| {
                let key = pool.view::<T>().key(id)?;
                Some((key, pool.find(key)))
            },
        };
        Box::new(StockOf { live: Vec::new(), target, access })
    }

    fn make(&mut self, work: &mut Work) -> Result<()> {
        let serial = work.next_serial();
        // The key space is small enough that some keys already exist.
        let key = work.dice.u64(0..self.target as u64 * 4);
        let value = types::make::<T>(serial);
        let announced = self.access.keyed.then_some(key);
        work.journal.announce(Op::Make { type_id: T::TYPE_ID, key: announced, serial })?;
        let before = work.pool.len::<T>();
        let id = (self.access.make)(work.pool, key, value)?;
        work.journal.done(id.to_bits());
        if work.pool.len::<T>() != before {
            self.live.push(id);
        }
        Ok(())
    }

    fn write(&mut self, work: &mut Work, id: Id<T>) -> Result<()> {
        let serial = work.next_serial();
        work.journal.announce(Op::Write { handle: id.to_bits(), serial })?;
        types::write(&mut *work.pool.get_mut(id).context("an object is missing")?, serial);
        work.journal.done(1);
        Ok(())
    }

    fn free(&mut self, work: &mut Work, number: usize) -> Result<()> {
        let id = self.live.swap_remove(number);
        work.journal.announce(Op::Free { handle: id.to_bits() })?;
        anyhow::ensure!(work.pool.free(id), "{id} had already been freed");
        work.journal.done(1);
        anyhow::ensure!(work.pool.get(id).is_none(), "{id} still resolves after it was freed");
        Ok(())
    }
}

/// Alternates `alloc_keyed` and `force_get`. Both return the existing object, if any.
fn make_keyed<T: Game>(pool: &mut MemoryPoolMgr, key: u64, value: T) -> Result<Id<T>, AllocError> {
    if key.is_multiple_of(2) {
        return Ok(pool.force_get(key, value)?.into_inner());
    }
    match pool.alloc_keyed(key, value) {
        Err(AllocError::KeyExists { holder, .. }) => holder.typed().ok_or(AllocError::NotAdded(T::NAME)),
        made => made,
    }
}

impl Work<'_> {
    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

impl<T: Game> Stock for StockOf<T> {
    fn add_type(&self, pool: &mut MemoryPoolMgr) -> Result<()> {
        Ok(pool.add_type::<T>()?)
    }

    fn list(&mut self, pool: &MemoryPoolMgr, say: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        self.live.clear();
        for (id, object) in pool.iter::<T>() {
            self.live.push(id);
            let (serial, whole) = types::read(object);
            let (key, found) = (self.access.key)(pool, id).unzip();
            // An object that its own handle or user key does not find counts as lost.
            let reached = pool.get(id).is_some() && found.is_none_or(|found| found == Some(id));
            say(Row { handle: id.to_bits(), key, serial, whole, reached })?;
        }
        Ok(())
    }

    fn step(&mut self, work: &mut Work) -> Result<()> {
        let (make, free) = if self.live.len() < self.target { (70, 75) } else { (24, 50) };
        match work.dice.u32(0..100) {
            _ if self.live.is_empty() => self.make(work),
            roll if roll < make => self.make(work),
            roll if roll < free => {
                let number = work.dice.usize(0..self.live.len());
                self.free(work, number)
            }
            _ => {
                let id = self.live[work.dice.usize(0..self.live.len())];
                self.write(work, id)
            }
        }
    }

    fn repair(&mut self, work: &mut Work, handle: Handle) -> Result<()> {
        match handle.typed::<T>().filter(|id| work.pool.get(*id).is_some()) {
            Some(id) => self.write(work, id),
            None => Ok(()),
        }
    }

    fn plant(&mut self, work: &mut Work, bug: Bug) -> Result<()> {
        let Some(&id) = self.live.last() else { return Ok(()) };
        match bug {
            Bug::Lost => {
                self.live.pop();
                work.pool.free(id);
            }
            Bug::Torn => {
                let mut object = work.pool.get_mut(id).context("an object is missing")?;
                object.play(work.serial);
            }
            Bug::Resurrected => {
                (self.access.make)(work.pool, u64::MAX, types::make(0))?;
            }
            Bug::Missed => {}
        }
        Ok(())
    }
}
