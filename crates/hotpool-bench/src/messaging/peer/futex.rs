//! A message in shared memory and one futex in each direction: for turns only.

use super::Place;
use crate::messaging::link::{End, Link};
use crate::messaging::shared::{self, Shared};
use std::sync::atomic::Ordering;

/// Where the message begins.
const MESSAGE: usize = 64;

pub struct Handoff {
    memory: Shared,
    out: usize,
    back: usize,
    sent: u32,
    received: u32,
    size: usize,
}

fn bytes(place: &Place) -> usize {
    // No line or pair of lines is shared.
    MESSAGE + place.size.next_multiple_of(64) + 64
}

pub fn prepare(place: &Place) -> anyhow::Result<()> {
    shared::make(&place.file(), 2 * bytes(place))
}

impl Handoff {
    pub fn open(place: &Place, end: End) -> anyhow::Result<Self> {
        let (out, back) = end.directions();
        let (out, back) = (out * bytes(place), back * bytes(place));
        let memory = Shared::open(&place.file())?;
        Ok(Handoff { memory, out, back, sent: 0, received: 0, size: place.size })
    }
}

impl Link for Handoff {
    #[inline]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.memory.write(self.out + MESSAGE, message);
        self.sent = self.sent.wrapping_add(1);
        let word = self.memory.half(self.out);
        word.store(self.sent, Ordering::Release);
        shared::wake(word);
        Ok(())
    }

    #[inline]
    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        let word = self.memory.half(self.back);
        while word.load(Ordering::Acquire) == self.received {
            shared::sleep(word, self.received);
        }
        self.received = self.received.wrapping_add(1);
        f(self.memory.read(self.back + MESSAGE, self.size));
        Ok(())
    }
}
