//! Random operations of a program on a pool, of every kind that changes the pool.
#![allow(dead_code, unreachable_pub, reason = "each test uses only a part")]

use fastrand::Rng;
use hotpool::object::Ref;
use hotpool::pool::{Sweep, Torn};
use hotpool::{Handle, Id, MemoryPoolMgr, PoolObject, TxError};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 1)]
pub struct Small {
    pub value: u64,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 2, keyed)]
pub struct Keyed {
    pub value: u64,
    pub more: [u64; 3],
}

/// An object of more than two pages.
#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 3)]
pub struct Large {
    pub value: u64,
    pub rest: [u64; 1100],
}

/// A type with an owner and a time, whose slots have few lives.
#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 4, keyed)]
pub struct Buff {
    #[pool(owner)]
    pub on: Ref<Large>,
    #[pool(time)]
    pub until: u64,
}

/// A type that is added in the middle of a history.
#[repr(C)]
#[derive(Clone, Copy, PoolObject, PartialEq, Debug)]
#[pool(id = 5)]
pub struct Late {
    pub value: [u64; 5],
}

/// A pool, and what a program knows of its objects.
pub struct Program {
    pub pool: MemoryPoolMgr,
    pub rng: Rng,
    small: Vec<Id<Small>>,
    keyed: Vec<Id<Keyed>>,
    large: Vec<Id<Large>>,
    buffs: Vec<Id<Buff>>,
    late: Vec<Id<Late>>,
    sweep: Sweep,
    has_late: bool,
}

/// User keys are below this number.
const KEYS: u64 = 3000;

impl Program {
    /// Adds the types to a pool that was opened.
    pub fn new(mut pool: MemoryPoolMgr, seed: u64) -> Self {
        pool.add_type::<Small>().unwrap();
        pool.add_type::<Keyed>().unwrap();
        pool.add_type::<Large>().unwrap();
        pool.set_last_generation(5);
        pool.add_type::<Buff>().unwrap();
        pool.set_last_generation(hotpool::limits::MAX_GENERATION);
        pool.ready().unwrap();
        Program {
            pool,
            rng: Rng::with_seed(seed),
            small: Vec::new(),
            keyed: Vec::new(),
            large: Vec::new(),
            buffs: Vec::new(),
            late: Vec::new(),
            sweep: Sweep::default(),
            has_late: false,
        }
    }

    fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[rng.usize(..of.len())])
    }

    /// Takes a handle out of a list.
    fn out<T: Copy>(rng: &mut Rng, of: &mut Vec<T>) -> Option<T> {
        (!of.is_empty()).then(|| of.swap_remove(rng.usize(..of.len())))
    }

    /// Runs one random operation.
    pub fn run(&mut self) {
        match self.rng.u32(..100) {
            0..16 => self.allocate(),
            16..32 => self.free(),
            32..46 => self.lend(),
            46..60 => self.change(),
            60..80 => self.keys(),
            80..86 => self.walk(),
            86..91 => self.quarantine(),
            91..95 => self.followed(),
            _ => self.seldom(),
        }
    }

    fn allocate(&mut self) {
        let value = self.rng.u64(..);
        match self.rng.u32(..8) {
            0..3 => self.small.extend(self.pool.alloc(Small { value })),
            3 => self.small.extend(self.pool.alloc_with(|own| Small { value: own.to_bits() })),
            4 => self.small.extend(self.pool.alloc_zeroed_with(|one: &mut Small| one.value = value)),
            5 => self.large.extend(self.pool.alloc(Large { value, rest: [value; 1100] })),
            6 => self.large.extend(self.pool.alloc_zeroed_with(|one: &mut Large| one.rest[900] = value)),
            _ => (0..self.rng.u32(..90)).for_each(|_| self.small.extend(self.pool.alloc(Small { value }))),
        }
    }

    fn free(&mut self) {
        let rng = &mut self.rng;
        match rng.u32(..8) {
            0..4 => _ = Self::out(rng, &mut self.small).map(|id| self.pool.free(id)),
            4 => _ = Self::out(rng, &mut self.large).map(|id| self.pool.free(id)),
            5 => _ = Self::out(rng, &mut self.keyed).map(|id| self.pool.free(id)),
            6 => _ = Self::out(rng, &mut self.buffs).map(|id| self.pool.free(id)),
            _ => {
                for _ in 0..rng.u32(..60) {
                    Self::out(rng, &mut self.small).map(|id| self.pool.free(id));
                }
            }
        }
    }

    /// Writes objects through guards.
    fn lend(&mut self) {
        let value = self.rng.u64(..);
        let rng = &mut self.rng;
        match rng.u32(..7) {
            0 | 1 => {
                let guard = Self::one(rng, &self.small).and_then(|id| self.pool.get_mut(id));
                let _ = guard.map(|mut one| one.value = value);
            }
            2 => {
                let at = rng.usize(..1100);
                let guard = Self::one(rng, &self.large).and_then(|id| self.pool.get_mut(id));
                let _ = guard.map(|mut one| one.rest[at] = value);
            }
            3 => {
                let ids = [(); 3].map(|()| Self::one(rng, &self.small));
                let [Some(a), Some(b), Some(c)] = ids else { return };
                if let Some(all) = self.pool.get_several_mut([a, b, c]) {
                    let _ = all.map(|mut one| one.value = value);
                }
            }
            4 => {
                let (small, keyed) = (Self::one(rng, &self.small), Self::one(rng, &self.keyed));
                let (mut smalls, mut keyeds) = self.pool.views_mut::<(Small, Keyed)>();
                let a = small.and_then(|id| smalls.get_mut(id));
                let b = keyed.and_then(|id| keyeds.get_mut(id));
                if let (Some(mut a), Some(mut b)) = (a, b) {
                    (a.value, b.more[2]) = (value, value);
                }
            }
            5 => {
                let Some(mut guard) = Self::one(rng, &self.small).and_then(|id| self.pool.get_mut(id)) else {
                    return;
                };
                guard.value = value;
                std::mem::forget(guard);
            }
            _ => {
                let Some(id) = Self::one(rng, &self.keyed) else { return };
                let pool = &mut self.pool;
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    if let Some(mut guard) = pool.get_mut(id) {
                        guard.value = value;
                        resume_unwind(Box::new(()));
                    }
                }));
                pool.settle_torn(Torn::Object(id.handle()));
            }
        }
    }

    /// Changes objects all or nothing.
    fn change(&mut self) {
        let value = self.rng.u64(..);
        let rng = &mut self.rng;
        match rng.u32(..4) {
            0 => _ = Self::one(rng, &self.small).map(|id| self.pool.update(id, |one| one.value = value)),
            1 => {
                let key = rng.u64(..KEYS);
                let _ = self.pool.update_by_key::<Keyed, _>(key, |one| one.more[1] = value);
            }
            _ => {
                let fails = rng.bool();
                let (change, freed) = (Self::one(rng, &self.small), Self::one(rng, &self.small));
                let (large, key) = (Self::one(rng, &self.large), rng.u64(..KEYS));
                let done = self.pool.tx(|tx| {
                    if let Some(id) = change.filter(|id| tx.get(*id).is_some()) {
                        tx.get_mut(id)?.value = value;
                    }
                    if let Some(id) = large.filter(|id| tx.get(*id).is_some()) {
                        tx.get_mut(id)?.rest[500] = value;
                    }
                    let made = tx.alloc(Small { value })?;
                    let found = tx.find::<Keyed>(key);
                    let keyed = match found {
                        Some(id) => tx.free(id).map(|()| None)?,
                        None => Some(tx.alloc_keyed(key, Keyed { value, more: [value; 3] })?),
                    };
                    if let Some(id) = freed.filter(|id| tx.get(*id).is_some()) {
                        tx.free(id)?;
                    }
                    tx.commit_with(value)?;
                    match fails {
                        true => Err(TxError::Stale(made.handle())),
                        false => Ok((made, keyed)),
                    }
                });
                if let Ok((made, keyed)) = done {
                    self.small.push(made);
                    self.keyed.extend(keyed);
                }
            }
        }
    }

    /// Allocates and frees by user key.
    fn keys(&mut self) {
        let value = self.rng.u64(..);
        let rng = &mut self.rng;
        let (key, one) = (rng.u64(..KEYS), Keyed { value, more: [value; 3] });
        match rng.u32(..8) {
            0 | 1 => self.keyed.extend(self.pool.alloc_keyed(key, one)),
            2 => {
                let forced = self.pool.force_get(key, one).ok().filter(|forced| forced.is_made());
                self.keyed.extend(forced.map(|forced| forced.into_inner()));
            }
            3 => {
                let made = self.pool.alloc_keyed_zeroed_with(key, |one: &mut Keyed| one.value = value);
                self.keyed.extend(made);
            }
            4 | 5 => _ = self.pool.free_by_key::<Keyed>(key),
            6 => {
                for key in key..key + rng.u64(..100) {
                    self.keyed.extend(self.pool.alloc_keyed(key, one));
                }
            }
            _ => {
                for key in key..key + rng.u64(..80) {
                    self.pool.free_by_key::<Keyed>(key);
                }
            }
        }
    }

    fn walk(&mut self) {
        let value = self.rng.u64(..);
        let rng = &mut self.rng;
        let some = rng.usize(..40);
        match rng.u32(..6) {
            0 => self.pool.iter_mut::<Small>().take(some).for_each(|(_, mut one)| one.value = value),
            1 => self.pool.for_each::<Keyed>(|id, one| {
                if id.to_bits() % 7 == value % 7 {
                    one.value = value;
                }
            }),
            2 => {
                let mut sweep = self.sweep;
                self.pool.sweep::<Small>(&mut sweep, some, |_, one| one.value += 1);
                self.sweep = sweep;
            }
            3 => _ = self.pool.retain::<Small>(|_, one| one.value % 16 != value % 16),
            4 => self.pool.view_mut::<Large>().for_each(|_, one| one.rest[some] = value),
            _ => {
                for (_, mut one) in &mut self.pool.view_mut::<Buff>() {
                    one.until = value % 1000;
                }
            }
        }
    }

    fn quarantine(&mut self) {
        let rng = &mut self.rng;
        let parked = self.pool.quarantined();
        match rng.u32(..4) {
            0 | 1 if parked.len() < 20 => {
                let object: Option<Handle> = match rng.u32(..3) {
                    0 => Self::out(rng, &mut self.small).map(Id::handle),
                    1 => Self::out(rng, &mut self.keyed).map(Id::handle),
                    _ => Self::out(rng, &mut self.buffs).map(Id::handle),
                };
                let _ = object.map(|object| self.pool.quarantine(object));
            }
            2 => {
                let Some(object) = Self::one(rng, &parked) else { return };
                if self.pool.release(object).is_ok() {
                    self.small.extend(object.typed());
                    self.keyed.extend(object.typed());
                }
            }
            _ => _ = Self::one(rng, &parked).map(|object| self.pool.drop_quarantined(object)),
        }
    }

    fn followed(&mut self) {
        let rng = &mut self.rng;
        let (key, until) = (rng.u64(..KEYS), rng.u64(..1000));
        let on = Self::one(rng, &self.large).map_or(Ref::none(), Ref::from);
        match rng.u32(..7) {
            0..3 => self.buffs.extend(self.pool.alloc_keyed(key, Buff { on, until })),
            3 => _ = Self::one(rng, &self.buffs).map(|id| self.pool.set_owner(id, on)),
            4 => _ = self.pool.expire::<Buff>(until / 8),
            5 => _ = self.pool.evict_oldest::<Buff>(2),
            _ => _ = Self::out(rng, &mut self.large).map(|id| self.pool.free_with_children(id)),
        }
    }

    fn seldom(&mut self) {
        let rng = &mut self.rng;
        match rng.u32(..12) {
            0 => {
                self.pool.clear::<Small>();
                self.small.clear();
            }
            1 => {
                self.pool.clear::<Large>();
                self.large.clear();
            }
            2 | 3 => _ = self.pool.reclaim().unwrap(),
            4 => self.pool.note(7, rng.u64(..), 1),
            5 => _ = self.pool.game_time(),
            6 if !self.has_late => {
                self.has_late = self.pool.add_type::<Late>().is_ok();
            }
            _ if self.has_late => {
                let value = rng.u64(..);
                self.late.extend(self.pool.alloc(Late { value: [value; 5] }));
                if rng.bool() {
                    Self::out(rng, &mut self.late).map(|id| self.pool.free(id));
                }
            }
            _ => _ = self.pool.torn(),
        }
    }

    /// Returns the objects of all types with their handles, as text.
    pub fn content(pool: &MemoryPoolMgr) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(pool.iter::<Small>().map(|found| format!("{found:?}")));
        all.extend(
            pool.iter::<Keyed>().map(|(id, one)| format!("{id} {:?} {one:?}", pool.view::<Keyed>().key(id))),
        );
        all.extend(
            pool.iter::<Large>().map(|(id, one)| format!("{id} {} {:?}", one.value, &one.rest[..901])),
        );
        all.extend(
            pool.iter::<Buff>().map(|(id, one)| format!("{id} {:?} {one:?}", pool.view::<Buff>().key(id))),
        );
        all.extend(pool.quarantined().iter().map(|object| format!("{object} in quarantine")));
        all
    }
}
