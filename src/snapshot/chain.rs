//! A set with the sets that it builds on: what the pool was at the moment of the last one.

use super::error::SetError;
use super::manifest::SetInfo;
use super::set::Set;
use super::shelf;
use std::path::Path;

/// Most sets that build on each other.
const LONGEST: usize = 10_000;

/// A set with the sets that it builds on.
#[derive(Debug)]
pub struct Chain {
    /// The youngest first; the last has no parent.
    sets: Vec<Set>,
}

impl Chain {
    /// Opens the set in the folder `path`, and those that it builds on, which lie beside it.
    ///
    /// # Errors
    ///
    /// Fails as [`Set::open`] does, and if a set is missing that another builds on.
    pub fn open(path: &Path) -> Result<Chain, SetError> {
        let mut sets = vec![Set::open(path)?];
        while let Some(last) = sets.last()
            && let Some(parent) = last.parent()
        {
            let missing = || SetError::NoParent { path: last.path().to_path_buf(), parent: parent.into() };
            let found = shelf::find(path, parent).filter(|_| sets.len() < LONGEST).ok_or_else(missing)?;
            let found = Set::open(&found)?;
            if found.chunk_bytes() != last.chunk_bytes() {
                return Err(missing());
            }
            sets.push(found);
        }
        Ok(Chain { sets })
    }

    /// Returns what the youngest set is an image of.
    pub fn info(&self) -> &SetInfo {
        self.youngest().info()
    }

    /// Returns the sets, the youngest first.
    pub fn sets(&self) -> &[Set] {
        &self.sets
    }

    #[expect(clippy::expect_used, reason = "a chain begins with the set that was opened")]
    fn youngest(&self) -> &Set {
        self.sets.first().expect("a chain has a set")
    }

    /// Returns the bytes of a chunk.
    pub fn chunk_bytes(&self) -> u32 {
        self.youngest().chunk_bytes()
    }

    /// Returns the numbers of the chunks of a segment that any set has, in order. The others are
    /// zero.
    pub fn chunks(&self, segment: u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.sets.iter().flat_map(|set| set.chunks(segment)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let chunk = u64::from(self.chunk_bytes());
        let has = |number: &u32| u64::from(*number) * chunk < self.info().segment_bytes(segment);
        numbers.retain(has);
        numbers
    }

    /// Reads the youngest state of a chunk into `to`, and returns its length; `to` gets its length
    /// by this. `None` if no set has it: then it is zero.
    ///
    /// # Errors
    ///
    /// Fails if the chunk is damaged, or if the system refuses.
    pub fn read(&self, segment: u32, number: u32, to: &mut Vec<u8>) -> Result<Option<usize>, SetError> {
        for set in &self.sets {
            if let Some(len) = set.read(segment, number, to)? {
                return Ok(Some(len));
            }
        }
        Ok(None)
    }

    /// Reads every chunk once, and checks it.
    ///
    /// `told` is called with the bytes of each.
    ///
    /// # Errors
    ///
    /// Fails with the first damaged chunk.
    pub fn verify(&self, mut told: impl FnMut(u64)) -> Result<(), SetError> {
        let mut buffer = Vec::new();
        for segment in 0..self.info().segments() {
            for number in self.chunks(segment) {
                let len = self.read(segment, number, &mut buffer)?;
                told(len.unwrap_or(0) as u64);
            }
        }
        Ok(())
    }
}
