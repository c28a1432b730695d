//! The objects of one type in a process that runs: makes, writes, frees and lists them.

use crate::journal::{Journal, Op};
use crate::message::Row;
use crate::types::{self, Game};
use anyhow::{Context, Result};
use fastrand::Rng;
use hotpool::{AllocError, Handle, Id, MemoryPoolMgr};

/// A type of a process, without its name.
pub(crate) trait Stock {
    fn add_type(&self, pool: &mut MemoryPoolMgr) -> Result<()>;
    /// Reports every object to `say`, and remembers it for the traffic to come.
    fn list(&mut self, pool: &MemoryPoolMgr, say: &mut dyn FnMut(Row) -> Result<()>) -> Result<()>;
    /// Does one operation, announced and acknowledged.
    fn step(&mut self, work: &mut Work) -> Result<()>;
    /// Writes one object anew, if it is of this type and still there.
    fn repair(&mut self, work: &mut Work, handle: Handle) -> Result<()>;
    /// Changes something behind the back of the journal.
    fn plant(&mut self, work: &mut Work, bug: Bug) -> Result<()>;
}

/// What operations need.
pub(crate) struct Work<'a> {
    pub(crate) pool: &'a mut MemoryPoolMgr,
    pub(crate) journal: &'a mut Journal,
    pub(crate) dice: &'a mut Rng,
    /// Number of the next write; none occurs twice in the life of a pool.
    pub(crate) serial: u64,
}

/// Mistakes that can be planted, to see the comparison find them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Bug {
    /// An object is freed, and nobody told.
    Lost,
    /// A field is changed, and not the checksum.
    Torn,
    /// An object appears that nobody made.
    Resurrected,
}

/// The type `T`, of which `target` objects are to live.
pub(crate) struct StockOf<T> {
    live: Vec<Id<T>>,
    target: usize,
    access: Access<T>,
}

/// What types with a user key and those without do differently.
struct Access<T> {
    keyed: bool,
    make: fn(&mut MemoryPoolMgr, u64, T) -> Result<Id<T>, AllocError>,
    /// The user key of an object, and what is found under it.
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
        // Few enough keys that some are there already.
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
        types::write(&mut *work.pool.get_mut(id).context("an object is gone")?, serial);
        work.journal.done(1);
        Ok(())
    }

    fn free(&mut self, work: &mut Work, number: usize) -> Result<()> {
        let id = self.live.swap_remove(number);
        work.journal.announce(Op::Free { handle: id.to_bits() })?;
        anyhow::ensure!(work.pool.free(id), "{id} was freed before");
        work.journal.done(1);
        anyhow::ensure!(work.pool.get(id).is_none(), "{id} resolves after it was freed");
        Ok(())
    }
}

/// `alloc_keyed` and `force_get` in turn; both give the object that is there.
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
            // An object that its own handle or key does not lead to counts as not found.
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
                let mut object = work.pool.get_mut(id).context("an object is gone")?;
                object.play(work.serial);
            }
            Bug::Resurrected => {
                (self.access.make)(work.pool, u64::MAX, types::make(0))?;
            }
        }
        Ok(())
    }
}
