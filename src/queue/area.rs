//! The payload area of one writer: which messages have bytes of it, and which bytes are free.
//!
//! This is the view of the writer's own process. It follows from the entries of the ring, so a
//! successor builds it anew, and no kill tears it.

use crate::limits::LINE;
use std::collections::{BTreeMap, VecDeque};

/// The bytes of one message in an area: whole lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) at: u64,
    pub(super) bytes: u64,
}

impl Extent {
    /// Returns the extent of a message of `length` bytes, which limits keep far below 2^64.
    pub(super) fn new(at: u64, length: u64) -> Self {
        Extent { at, bytes: length.next_multiple_of(LINE) }
    }

    /// Returns the offset after its last byte.
    pub(super) fn end(&self) -> Option<u64> {
        self.at.checked_add(self.bytes)
    }
}

/// The free and the held bytes of an area.
#[derive(Debug, Default)]
pub(super) struct Area {
    /// The offset and the length of each gap.
    free: BTreeMap<u64, u64>,
    /// The messages that have bytes, in the order of their numbers.
    held: VecDeque<(u64, Extent)>,
}

impl Area {
    /// Returns an area of which all bytes are free.
    pub(super) fn new(bytes: u64) -> Self {
        let free = if bytes == 0 { BTreeMap::new() } else { BTreeMap::from([(0, bytes)]) };
        Area { free, held: VecDeque::new() }
    }

    /// Returns free bytes for a message of `length` bytes: the first that are long enough, because
    /// low offsets were used last, and are in the cache.
    pub(super) fn fit(&self, length: u64) -> Option<Extent> {
        let wanted = Extent::new(0, length);
        let gap = self.free.iter().find(|(_, bytes)| **bytes >= wanted.bytes);
        gap.map(|(at, _)| Extent { at: *at, ..wanted })
    }

    /// Gives free bytes to a message, whose number is above all others; returns `false` if the bytes
    /// are not free.
    #[cold]
    pub(super) fn hold(&mut self, number: u64, extent: Extent) -> bool {
        let gap = self.free.range(..=extent.at).next_back();
        let Some((at, bytes)) = gap.map(|(at, bytes)| (*at, *bytes)) else { return false };
        let before = extent.at - at;
        let after = bytes.checked_sub(before).and_then(|rest| rest.checked_sub(extent.bytes));
        let Some(after) = after else { return false };
        match before {
            0 => self.free.remove(&at),
            _ => self.free.insert(at, before),
        };
        if after != 0 {
            self.free.insert(extent.at + extent.bytes, after);
        }
        self.held.push_back((number, extent));
        true
    }

    /// Returns the number of the oldest message that has bytes.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.held.front().map(|(number, _)| *number)
    }

    /// Takes the bytes of the oldest message.
    pub(super) fn release_oldest(&mut self) {
        if let Some((_, extent)) = self.held.pop_front() {
            self.release(extent);
        }
    }

    /// Takes the bytes of all messages that `is_over` names.
    pub(super) fn release_all(&mut self, mut is_over: impl FnMut(u64) -> bool) {
        let held = std::mem::take(&mut self.held);
        for (number, extent) in held {
            match is_over(number) {
                true => self.release(extent),
                false => self.held.push_back((number, extent)),
            }
        }
    }

    fn release(&mut self, extent: Extent) {
        let Extent { mut at, mut bytes } = extent;
        let before = self.free.range(..at).next_back().map(|(at, bytes)| (*at, *bytes));
        if let Some((start, length)) = before.filter(|(start, length)| start + length == at) {
            (at, bytes) = (start, bytes + length);
        }
        if let Some(length) = self.free.remove(&(extent.at + extent.bytes)) {
            bytes += length;
        }
        self.free.insert(at, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares an area with one byte for each line.
    fn check(area: &Area, lines: u64) {
        let mut used = vec![0; lines as usize];
        for (_, extent) in &area.held {
            for line in extent.at / LINE..extent.end().unwrap() / LINE {
                used[line as usize] += 1;
            }
        }
        assert!(used.iter().all(|uses| *uses <= 1), "{area:?}");
        let gaps: Vec<(u64, u64)> = area.free.iter().map(|(at, bytes)| (*at, *bytes)).collect();
        for (at, bytes) in &gaps {
            (at / LINE..(at + bytes) / LINE).for_each(|line| used[line as usize] += 1);
        }
        assert!(used.iter().all(|uses| *uses == 1), "{area:?}");
        assert!(gaps.windows(2).all(|two| two[0].0 + two[0].1 < two[1].0), "{area:?} has gaps side by side");
    }

    #[test]
    fn no_byte_is_given_twice_and_none_is_lost() {
        let mut rng = fastrand::Rng::with_seed(5);
        for lines in [1, 2, 7, 64] {
            let (mut area, mut number) = (Area::new(lines * LINE), 0);
            for _ in 0..5000 {
                match rng.u8(..8) {
                    0 => area.release_oldest(),
                    1 => area.release_all(|_| rng.bool()),
                    _ => {
                        if let Some(extent) = area.fit(rng.u64(1..=lines * LINE)) {
                            assert!(area.hold(number, extent));
                            number += 1;
                        }
                    }
                }
                check(&area, lines);
            }
            area.release_all(|_| true);
            let all = Extent { at: 0, bytes: lines * LINE };
            assert_eq!(area.fit(lines * LINE), Some(all));
            assert!(area.hold(0, all) && !area.hold(1, Extent::new(0, 1)));
        }
    }

    #[test]
    fn a_message_takes_the_bytes_that_were_used_last() {
        let mut area = Area::new(10 * LINE);
        let mut send = |number, keeps: usize| {
            let extent = area.fit(LINE).unwrap();
            assert!(area.hold(number, extent));
            while area.held.len() > keeps {
                area.release_oldest();
            }
            extent.at / LINE
        };
        let places: Vec<u64> = (0..6).map(|number| send(number, 1)).collect();
        assert_eq!(places, [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn bytes_outside_the_area_are_refused() {
        let mut area = Area::new(4 * LINE);
        assert!(!area.hold(0, Extent::new(3 * LINE, LINE + 1)));
        assert!(!area.hold(0, Extent::new(4 * LINE, 1)) && !area.hold(0, Extent::new(1 << 63, 1)));
        assert!(area.hold(0, Extent::new(3 * LINE, LINE)));
        assert!(!Area::new(0).hold(0, Extent::new(0, 1)));
    }
}
