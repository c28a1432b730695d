//! A pool as plain maps: random operations on both, and the states that an interrupted one may
//! leave.

use super::content::{Content, Keyed, Object, Plain, Worn, words};
use fastrand::Rng;
use hotpool::{AllocError, Handle, Id, MemoryPoolMgr, PoolObject, TxError};
use std::collections::{HashMap, HashSet};

/// The operations, with their operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Operand: value.
    Alloc = 1,
    /// Operand: handle.
    Free,
    /// Operands: key, value. The type is `Keyed`.
    AllocKeyed,
    /// Operands: key, value. The type is `Keyed`.
    ForceGet,
    /// Operand: key. The type is `Keyed`.
    FreeByKey,
    /// Operands: key, value. The type is `Worn`.
    AllocWorn,
    /// Operands: handle, value. Writes all words through a guard.
    Write,
    /// Operands: handle, value. Writes all words, all or nothing.
    Update,
    /// Operands: two handles to write, one to free, value and tag.
    Tx,
    /// Operand: value. Allocates an object in a transaction that fails.
    RolledBack,
    /// Closes the pool and opens it again.
    Reopen,
    /// Calls `ready()`.
    Ready,
    /// Operands: key, value, a handle to free or 0, tag. Gives the key to a new object in a
    /// transaction.
    TxKeyed,
    /// Operands: key, value. Allocates keyed objects in a transaction that fails; the pool and its
    /// index may grow.
    TxGrows,
    /// Gives memory of extents without objects back.
    Reclaim,
}

/// The result of an operation that returned no handle.
pub const NOTHING: u64 = 0;
/// The result of an operation that found the pool full.
pub const FULL: u64 = u64::MAX;

/// An operation with its operands.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub op: Op,
    pub operands: [u64; 4],
}

/// The expected state of a pool.
#[derive(Clone, Default)]
pub struct Model {
    pub content: Content,
    /// Every handle ever returned, and those that were freed.
    pub given: HashSet<u64>,
    pub dead: Vec<u64>,
    by_key: HashMap<(u16, u64), u64>,
}

impl Op {
    pub fn from_number(number: u64) -> Op {
        let all = [
            Op::Alloc,
            Op::Free,
            Op::AllocKeyed,
            Op::ForceGet,
            Op::FreeByKey,
            Op::AllocWorn,
            Op::Write,
            Op::Update,
            Op::Tx,
            Op::RolledBack,
            Op::Reopen,
            Op::Ready,
            Op::TxKeyed,
            Op::TxGrows,
            Op::Reclaim,
        ];
        all[number as usize - 1]
    }
}

fn type_of(bits: u64) -> u16 {
    Handle::from_bits(bits).map_or(0, |handle| handle.type_id())
}

fn id<T: PoolObject>(bits: u64) -> Id<T> {
    Id::from_bits(bits).expect("the model has valid handles only")
}

impl Model {
    /// Returns a copy without the handles of the past.
    pub fn objects_only(&self) -> Model {
        Model { content: self.content.clone(), by_key: self.by_key.clone(), ..Model::default() }
    }

    /// Returns a random step. It aims at `most` objects and uses keys below `keys`.
    pub fn random(&mut self, rng: &mut Rng, most: usize, keys: u64) -> Step {
        let value = rng.u64(..1 << 56);
        let picked = |rng: &mut Rng, model: &Model| {
            let count = model.content.objects.len();
            let from = rng.u64(..);
            let at = model.content.objects.range(from..).next().or(model.content.objects.iter().next());
            at.map(|(id, _)| *id).filter(|_| count != 0)
        };
        let (a, b, c) = (picked(rng, self), picked(rng, self), picked(rng, self));
        let key = rng.u64(..keys);
        let crowded = self.content.objects.len() > rng.usize(..most) + most / 2;
        let step = |op, operands| Step { op, operands };
        match (rng.u8(..100), a, b, c) {
            (0..=24, Some(a), ..) if crowded => step(Op::Free, [a, 0, 0, 0]),
            (0..=24, ..) => step(Op::Alloc, [value, 0, 0, 0]),
            (25..=39, Some(a), ..) => step(Op::Free, [a, 0, 0, 0]),
            (40..=54, ..) => step(Op::AllocKeyed, [key, value, 0, 0]),
            (55..=62, ..) => step(Op::ForceGet, [key, value, 0, 0]),
            (63..=72, ..) => step(Op::FreeByKey, [key, 0, 0, 0]),
            (73, ..) => step(Op::AllocWorn, [key, value, 0, 0]),
            (74..=81, Some(a), ..) => step(Op::Write, [a, value, 0, 0]),
            (82..=88, Some(a), ..) => step(Op::Update, [a, value, 0, 0]),
            (89..=92, Some(a), Some(b), Some(c)) if a != b && b != c && a != c => {
                step(Op::Tx, [a, b, c, value])
            }
            (93..=95, ..) => step(Op::TxKeyed, [key, value, a.filter(|_| crowded).unwrap_or(0), value]),
            (96, ..) => step(Op::TxGrows, [key, value, 0, 0]),
            (97, ..) => step(Op::RolledBack, [value, 0, 0, 0]),
            (98, ..) => step(Op::Ready, [0; 4]),
            _ => step(Op::Reclaim, [0; 4]),
        }
    }

    /// Applies a completed step. Returns an error if the result is impossible.
    pub fn apply(&mut self, step: Step, result: u64) -> Result<(), String> {
        let [a, b, c, d] = step.operands;
        if result == FULL {
            return Ok(());
        }
        match step.op {
            Op::Alloc => self.made(result, None, words::<14>(a).to_vec()),
            Op::AllocKeyed | Op::ForceGet | Op::AllocWorn => {
                let ty = if step.op == Op::AllocWorn { Worn::TYPE_ID } else { Keyed::TYPE_ID };
                match (self.holder(ty, a), result) {
                    (Some(held), found) if found == held || found == NOTHING => Ok(()),
                    (None, made) if made != NOTHING => self.made(made, Some(a), words::<13>(b).to_vec()),
                    (held, found) => Err(format!("{step:x?} returned {found:x}, the model has {held:x?}")),
                }
            }
            Op::Free => self.freed(a),
            Op::FreeByKey => match (self.holder(Keyed::TYPE_ID, a), result) {
                (Some(held), 1) => self.freed(held),
                (None, NOTHING) => Ok(()),
                (held, found) => Err(format!("{step:x?} returned {found:x}, the model has {held:x?}")),
            },
            Op::Write | Op::Update => self.written(a, b),
            Op::Tx => {
                self.written(a, d)?;
                self.written(b, d)?;
                self.content.last_committed = d;
                self.freed(c)
            }
            Op::TxKeyed => {
                let old = self.holder(Keyed::TYPE_ID, a);
                old.map_or(Ok(()), |old| self.freed(old))?;
                if c != 0 && Some(c) != old {
                    self.freed(c)?;
                }
                self.content.last_committed = d;
                self.made(result, Some(a), words::<13>(b).to_vec())
            }
            Op::RolledBack | Op::TxGrows => {
                self.given.insert(result);
                self.dead.push(result);
                Ok(())
            }
            Op::Reopen | Op::Ready | Op::Reclaim => Ok(()),
        }
    }

    fn made(&mut self, bits: u64, key: Option<u64>, words: Vec<u64>) -> Result<(), String> {
        if !self.given.insert(bits) {
            return Err(format!("handle {bits:x} was returned twice"));
        }
        if let Some(key) = key {
            self.by_key.insert((type_of(bits), key), bits);
        }
        self.content.objects.insert(bits, Object { key, words });
        Ok(())
    }

    fn freed(&mut self, bits: u64) -> Result<(), String> {
        self.dead.push(bits);
        let object = self.content.objects.remove(&bits).ok_or_else(|| format!("{bits:x} was freed twice"))?;
        if let Some(key) = object.key {
            self.by_key.remove(&(type_of(bits), key));
        }
        Ok(())
    }

    fn written(&mut self, bits: u64, value: u64) -> Result<(), String> {
        let object = self.content.objects.get_mut(&bits).ok_or("a freed object was written")?;
        let count = object.words.len();
        object.words.clear();
        object.words.extend_from_slice(&words::<14>(value)[..count]);
        Ok(())
    }

    /// Returns the object of a type with this key.
    pub fn holder(&self, ty: u16, key: u64) -> Option<u64> {
        self.by_key.get(&(ty, key)).copied()
    }

    /// Decides by the state of the pool whether an interrupted step happened, and applies it if so.
    /// Returns an error if the state is neither that before nor that after the step.
    pub fn settle(
        &mut self,
        step: Step,
        found: &Content,
        named: &dyn Fn(u64) -> bool,
    ) -> Result<bool, String> {
        if *found == self.content {
            return Ok(false);
        }
        let new: Vec<u64> =
            found.objects.keys().filter(|id| !self.content.objects.contains_key(id)).copied().collect();
        let result = match (step.op, &new[..]) {
            (Op::Alloc | Op::AllocKeyed | Op::ForceGet | Op::AllocWorn | Op::TxKeyed, [made]) => *made,
            (Op::FreeByKey, []) => 1,
            (Op::Free | Op::Update | Op::Tx, []) => NOTHING,
            (Op::Write, []) => return self.half_written(step, found, named).map(|()| true),
            _ => return Err(format!("{step:x?} was interrupted, and {new:x?} is new")),
        };
        let mut after = self.clone();
        after.apply(step, result)?;
        if after.content != *found {
            return Err(format!(
                "{step:x?} was interrupted, and the state is neither that before nor that after"
            ));
        }
        *self = after;
        Ok(true)
    }

    fn half_written(
        &mut self,
        step: Step,
        found: &Content,
        named: &dyn Fn(u64) -> bool,
    ) -> Result<(), String> {
        let before = self.content.clone();
        self.apply(step, NOTHING)?;
        found.between(&before, &self.content, true, named)?;
        self.content = found.clone();
        Ok(())
    }

    /// Counts the freed handles that resolve.
    pub fn resurrected(&self, pool: &MemoryPoolMgr) -> usize {
        self.dead.iter().filter(|bits| super::content::resolves(pool, **bits)).count()
    }
}

/// Does a step on a pool and returns its result.
pub fn run(pool: &mut MemoryPoolMgr, step: Step) -> u64 {
    let [a, b, c, d] = step.operands;
    let given = |result: Result<u64, AllocError>| match result {
        Ok(bits) => bits,
        Err(AllocError::Full(_)) => FULL,
        Err(AllocError::KeyExists { .. }) => NOTHING,
        Err(error) => panic!("{error}"),
    };
    match step.op {
        Op::Alloc => given(pool.alloc(Plain { words: words(a) }).map(Id::to_bits)),
        Op::AllocKeyed => given(pool.alloc_keyed(a, Keyed { words: words(b) }).map(Id::to_bits)),
        Op::ForceGet => {
            given(pool.force_get(a, Keyed { words: words(b) }).map(|id| id.into_inner().to_bits()))
        }
        Op::AllocWorn => given(pool.alloc_keyed(a, Worn { words: words(b) }).map(Id::to_bits)),
        Op::FreeByKey => pool.free_by_key::<Keyed>(a).into(),
        Op::Free => {
            let freed = match type_of(a) {
                Plain::TYPE_ID => pool.free(id::<Plain>(a)),
                Keyed::TYPE_ID => pool.free(id::<Keyed>(a)),
                _ => pool.free(id::<Worn>(a)),
            };
            assert!(freed, "{a:x} does not exist");
            NOTHING
        }
        Op::Write => {
            match type_of(a) {
                Plain::TYPE_ID => pool.get_mut(id::<Plain>(a)).unwrap().words = words(b),
                Keyed::TYPE_ID => pool.get_mut(id::<Keyed>(a)).unwrap().words = words(b),
                _ => pool.get_mut(id::<Worn>(a)).unwrap().words = words(b),
            }
            NOTHING
        }
        Op::Update => {
            match type_of(a) {
                Plain::TYPE_ID => pool.update(id::<Plain>(a), |object| object.words = words(b)).unwrap(),
                Keyed::TYPE_ID => pool.update(id::<Keyed>(a), |object| object.words = words(b)).unwrap(),
                _ => pool.update(id::<Worn>(a), |object| object.words = words(b)).unwrap(),
            }
            NOTHING
        }
        Op::Tx => {
            let done: Result<(), TxError> = pool.tx(|tx| {
                for round in 0..8 {
                    write_in(tx, a, d ^ round)?;
                    write_in(tx, b, d ^ round)?;
                }
                free_in(tx, c)?;
                write_in(tx, b, d)?;
                write_in(tx, a, d)?;
                tx.commit_with(d)
            });
            done.unwrap();
            NOTHING
        }
        Op::RolledBack => {
            let mut given = FULL;
            let failed: Result<(), TxError> = pool.tx(|tx| {
                let made = tx.alloc(Plain { words: words(a) })?;
                given = made.to_bits();
                tx.commit_with(a)?;
                Err(TxError::Stale(made.handle()))
            });
            assert!(failed.is_err());
            given
        }
        Op::TxKeyed => {
            let made: Result<Id<Keyed>, TxError> = pool.tx(|tx| {
                let old = tx.find::<Keyed>(a);
                old.map_or(Ok(()), |old| tx.free(old))?;
                let made = tx.alloc_keyed(a, Keyed { words: words(b ^ 1) })?;
                tx.get_mut(made)?.words = words(b);
                if c != 0 && old.is_none_or(|old| old.to_bits() != c) {
                    free_in(tx, c)?;
                }
                tx.commit_with(d)?;
                Ok(made)
            });
            match made {
                Ok(made) => made.to_bits(),
                Err(TxError::Alloc(AllocError::Full(_))) => FULL,
                Err(error) => panic!("{error}"),
            }
        }
        Op::TxGrows => {
            let mut given = FULL;
            let failed: Result<(), TxError> = pool.tx(|tx| {
                for number in 0..b % 12 + 1 {
                    let key = 1 << 60 | a << 8 | number;
                    let made = tx.alloc_keyed(key, Keyed { words: words(b) })?;
                    given = made.to_bits();
                }
                Err(TxError::Stale(Handle::from_bits(given).unwrap()))
            });
            assert!(failed.is_err());
            given
        }
        Op::Ready => {
            pool.ready().unwrap();
            NOTHING
        }
        Op::Reclaim => {
            pool.reclaim().unwrap();
            NOTHING
        }
        Op::Reopen => unreachable!("the caller reopens the pool"),
    }
}

fn write_in(tx: &mut hotpool::Tx<'_>, bits: u64, value: u64) -> Result<(), TxError> {
    match type_of(bits) {
        Plain::TYPE_ID => tx.get_mut(id::<Plain>(bits))?.words = words(value),
        Keyed::TYPE_ID => tx.get_mut(id::<Keyed>(bits))?.words = words(value),
        _ => tx.get_mut(id::<Worn>(bits))?.words = words(value),
    }
    Ok(())
}

fn free_in(tx: &mut hotpool::Tx<'_>, bits: u64) -> Result<(), TxError> {
    match type_of(bits) {
        Plain::TYPE_ID => tx.free(id::<Plain>(bits)),
        Keyed::TYPE_ID => tx.free(id::<Keyed>(bits)),
        _ => tx.free(id::<Worn>(bits)),
    }
}
