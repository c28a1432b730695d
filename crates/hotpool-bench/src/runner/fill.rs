//! Fills empty stores.

use crate::object::Object;
use crate::op::Op;
use crate::slots::Slots;
use crate::subject::{Lap, Subject};
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Instant;

/// Fills an empty store of objects by handle in each lap.
pub struct FillSlots<S, O> {
    count: usize,
    _types: PhantomData<(S, O)>,
}

impl<S: Slots<O>, O: Object> FillSlots<S, O> {
    /// Returns a runner for `count` objects.
    pub fn new(count: usize) -> Self {
        FillSlots { count, _types: PhantomData }
    }
}

impl<S: Slots<O>, O: Object> Subject for FillSlots<S, O> {
    fn prepare(&mut self, op: Op) -> anyhow::Result<bool> {
        Ok(op == Op::Fill)
    }

    fn run(&mut self, _op: Op, _count: usize) -> anyhow::Result<Lap> {
        let mut store = S::empty(self.count)?;
        let start = Instant::now();
        for number in 0..self.count {
            black_box(S::bits(store.alloc(O::new(number as u64))));
        }
        let lap = Lap { count: self.count, time: start.elapsed() };
        drop(black_box(store));
        Ok(lap)
    }
}
