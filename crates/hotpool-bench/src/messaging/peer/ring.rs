//! A ring for one writer and one reader: each stores its own position and caches the other's.

use super::Place;
use crate::messaging::link::{End, Link, pause};
use crate::messaging::shared::{self, Shared};
use std::sync::atomic::Ordering;

/// Where the positions and the first message are, so that no two share a line or a pair of lines.
const WRITTEN: usize = 0;
const READ: usize = 128;
const SLOTS: usize = 256;

pub struct Rings {
    memory: Shared,
    out: Side,
    back: Side,
    size: usize,
    stride: usize,
    capacity: u64,
    alone: bool,
}

/// One end of one ring.
struct Side {
    at: usize,
    /// The position of this process.
    mine: u64,
    /// The position of the other, as it was last seen.
    other: u64,
}

fn stride(place: &Place) -> usize {
    place.size.next_multiple_of(64)
}

fn bytes(place: &Place) -> usize {
    SLOTS + place.op.capacity() as usize * stride(place)
}

pub fn prepare(place: &Place) -> anyhow::Result<()> {
    shared::make(&place.file(), 2 * bytes(place))
}

impl Rings {
    pub fn open(place: &Place, end: End) -> anyhow::Result<Self> {
        let side = |direction: usize| Side { at: direction * bytes(place), mine: 0, other: 0 };
        let (out, back) = end.directions();
        let memory = Shared::open(&place.file())?;
        let (size, stride, capacity) = (place.size, stride(place), place.op.capacity().into());
        let (out, back, alone) = (side(out), side(back), place.alone);
        Ok(Rings { memory, out, back, size, stride, capacity, alone })
    }

    #[inline(always)]
    fn slot(&self, at: usize, number: u64) -> usize {
        // The capacity is a power of two.
        at + SLOTS + (number & (self.capacity - 1)) as usize * self.stride
    }
}

impl Link for Rings {
    #[inline]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let Side { at, mine, .. } = self.out;
        while mine - self.out.other == self.capacity {
            self.out.other = self.memory.word(at + READ).load(Ordering::Acquire);
            if mine - self.out.other == self.capacity {
                pause(self.alone);
            }
        }
        self.memory.write(self.slot(at, mine), message);
        self.out.mine += 1;
        self.memory.word(at + WRITTEN).store(self.out.mine, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        let Side { at, mine, .. } = self.back;
        while mine == self.back.other {
            self.back.other = self.memory.word(at + WRITTEN).load(Ordering::Acquire);
            if mine == self.back.other {
                pause(self.alone);
            }
        }
        f(self.memory.read(self.slot(at, mine), self.size));
        self.back.mine += 1;
        self.memory.word(at + READ).store(self.back.mine, Ordering::Release);
        Ok(())
    }
}
