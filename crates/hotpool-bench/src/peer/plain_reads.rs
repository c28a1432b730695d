//! Memory that is read sequentially: as many bytes as the slots of a pool have. No iteration can be
//! faster.

use crate::op::Op;
use crate::subject::{Lap, Subject};
use std::hint::black_box;
use std::time::Instant;

/// Bytes of a slot before its object.
const HEAD: usize = 8;

/// Memory without structure.
pub struct PlainReads {
    words: Vec<u64>,
    objects: usize,
}

impl PlainReads {
    /// Allocates as much memory as `count` slots for objects of `size` bytes.
    pub fn new(size: usize, count: usize) -> Self {
        PlainReads { words: vec![1; (size + HEAD) / 8 * count], objects: count }
    }
}

impl Subject for PlainReads {
    fn prepare(&mut self, op: Op) -> anyhow::Result<bool> {
        Ok(op == Op::ReadAll)
    }

    fn run(&mut self, _op: Op, count: usize) -> anyhow::Result<Lap> {
        let passes = count.div_ceil(self.objects);
        let start = Instant::now();
        for _ in 0..passes {
            let words = black_box(self.words.as_slice());
            black_box(words.iter().fold(0u64, |sum, word| sum.wrapping_add(*word)));
        }
        Ok(Lap { count: passes * self.objects, time: start.elapsed() })
    }
}
