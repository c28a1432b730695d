//! Loops over objects by handle.

use super::cycle::Cycle;
use crate::object::Object;
use crate::op::Op;
use crate::rng::Rng;
use crate::slots::Slots;
use crate::subject::{Lap, Subject};
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Instant;

/// The least number of objects that thinning leaves, so that an iteration has one to visit.
const FEWEST: usize = 1;

/// A store of objects by handle, with `count` objects.
pub struct SlotsRunner<S: Slots<O>, O: Object> {
    store: S,
    /// The handles in the order of the allocs, until an object is freed.
    handles: Vec<S::Handle>,
    /// The live handles in random order.
    shuffled: Vec<S::Handle>,
    count: usize,
    cycle: Cycle,
    rng: Rng,
    _type: PhantomData<O>,
}

impl<S: Slots<O>, O: Object> SlotsRunner<S, O> {
    /// Fills an empty store.
    pub fn new(count: usize) -> anyhow::Result<Self> {
        let mut store = S::empty(count)?;
        let handles: Vec<_> = (0..count).map(|number| store.alloc(O::new(number as u64))).collect();
        let (mut shuffled, mut rng) = (handles.clone(), Rng::new(1));
        rng.shuffle(&mut shuffled);
        Ok(SlotsRunner { store, handles, shuffled, count, cycle: Cycle::default(), rng, _type: PhantomData })
    }

    fn get(&mut self, in_order: bool, count: usize) -> Lap {
        let handles = if in_order { &self.handles } else { &self.shuffled };
        let parts = self.cycle.take(handles.len(), count);
        let start = Instant::now();
        let reader = self.store.reader();
        let mut sum = 0u64;
        for part in parts {
            for &handle in &handles[part] {
                sum = sum.wrapping_add(S::read(reader, handle, O::value).unwrap_or(0));
            }
        }
        black_box(sum);
        Lap { count, time: start.elapsed() }
    }

    /// Links all objects into one ring, in random order.
    fn chain(&mut self) -> bool {
        let followers = self.shuffled.iter().cycle().skip(1);
        let pairs = self.shuffled.iter().zip(followers);
        pairs.fold(true, |all, (&one, &next)| {
            all & self.store.write(one, |object| object.set_next(S::bits(next)))
        })
    }

    fn follow(&mut self, count: usize) -> Lap {
        let mut at = self.cycle.take(self.shuffled.len(), count).next().map_or(0, |part| part.start);
        let mut handle = self.shuffled[at];
        let start = Instant::now();
        let reader = self.store.reader();
        for step in 0..count {
            match S::read(reader, handle, O::next).and_then(S::handle) {
                Some(next) => handle = next,
                None => at = step,
            }
        }
        black_box((handle.to_owned(), at));
        Lap { count, time: start.elapsed() }
    }

    fn pair(&mut self, count: usize) -> Lap {
        let start = Instant::now();
        let mut freed = 0;
        for number in 0..count {
            let handle = black_box(self.store.alloc(O::new(number as u64)));
            freed += usize::from(self.store.free(handle));
        }
        assert_eq!(black_box(freed), count);
        Lap { count, time: start.elapsed() }
    }

    fn churn(&mut self, count: usize) -> Lap {
        let parts = self.cycle.take(self.shuffled.len(), count);
        let start = Instant::now();
        let mut freed = 0;
        for part in parts {
            for handle in &mut self.shuffled[part] {
                freed += usize::from(self.store.free(*handle));
                *handle = self.store.alloc(O::new(freed as u64));
            }
        }
        assert_eq!(black_box(freed), count);
        Lap { count, time: start.elapsed() }
    }

    fn batch(&mut self, count: usize) -> Lap {
        let half = self.shuffled.len() / 2;
        let mut lap = Lap::default();
        while lap.count < count && half != 0 {
            let victims = &mut self.shuffled[..half];
            let start = Instant::now();
            let freed = victims.iter().filter(|&&handle| self.store.free(handle)).count();
            for handle in victims {
                *handle = self.store.alloc(O::new(freed as u64));
            }
            lap.time += start.elapsed();
            lap.count += half;
            assert_eq!(freed, half);
            self.rng.shuffle(&mut self.shuffled);
        }
        lap
    }

    fn visit(&mut self, count: usize, read: impl Fn(&O) -> u64) -> Lap {
        let (mut sum, mut visited) = (0u64, 0);
        let start = Instant::now();
        while visited < count {
            let before = visited;
            self.store.each(|object| {
                sum = sum.wrapping_add(read(object));
                visited += 1;
            });
            if visited == before {
                break;
            }
        }
        black_box(sum);
        Lap { count: visited, time: start.elapsed() }
    }

    /// Frees or allocates objects until `live` of them are left.
    fn thin(&mut self, live: usize) {
        while self.shuffled.len() > live {
            if let Some(handle) = self.shuffled.pop() {
                assert!(self.store.free(handle));
            }
        }
        while self.shuffled.len() < live {
            let handle = self.store.alloc(O::new(self.shuffled.len() as u64));
            self.shuffled.push(handle);
        }
    }

    fn refill(&mut self) {
        if self.shuffled.len() != self.count {
            self.thin(self.count);
            self.rng.shuffle(&mut self.shuffled);
        }
    }
}

impl<S: Slots<O>, O: Object> Subject for SlotsRunner<S, O> {
    fn prepare(&mut self, op: Op) -> anyhow::Result<bool> {
        match op {
            Op::Iter50 => self.thin((self.count / 2).max(FEWEST)),
            Op::Iter10 => self.thin((self.count / 10).max(FEWEST)),
            _ => self.refill(),
        }
        Ok(match op {
            Op::GetDep => self.chain(),
            Op::Iter100 | Op::Iter50 | Op::Iter10 | Op::ReadAll => self.visit(1, O::value).count != 0,
            _ => true,
        })
    }

    fn run(&mut self, op: Op, count: usize) -> anyhow::Result<Lap> {
        Ok(match op {
            Op::GetSeq => self.get(true, count),
            Op::GetRand => self.get(false, count),
            Op::GetDep => self.follow(count),
            Op::PairHot => self.pair(count),
            Op::ChurnRand => self.churn(count),
            Op::Batch => self.batch(count),
            Op::Iter100 | Op::Iter50 | Op::Iter10 => self.visit(count, O::value),
            Op::ReadAll => self.visit(count, O::sum),
            _ => anyhow::bail!("{} is not an operation on objects by handle", op.name()),
        })
    }
}
