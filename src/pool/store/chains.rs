//! The extents of each form of a type in their order, as chains of runs.

use crate::layout::ExtentKind;
use crate::limits;

/// The extents of each form and kind, by the position of the form's entry.
pub(crate) struct Chains {
    first: Vec<u32>,
    last: Vec<u32>,
    counts: Vec<u32>,
    runs: Vec<Run>,
}

/// Consecutive extents in the table and in their block, as they were when the table was checked.
///
/// Later stores to the table do not move them.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) number: u32,
    pub(crate) count: u32,
    pub(crate) block: u32,
    pub(crate) offset: u64,
    /// Bytes of each extent.
    pub(crate) bytes: u64,
    next: u32,
}

impl Run {
    /// Describes `count` extents without memory.
    pub(crate) fn hollow(count: u32) -> Self {
        Run::new(NONE, count, NONE, 0, 0)
    }

    /// Returns whether the extents have no memory.
    pub(crate) fn is_hollow(&self) -> bool {
        self.block == NONE
    }

    /// Describes `count` extents of `bytes` bytes each, whose entries begin with `number`.
    pub(crate) fn new(number: u32, count: u32, block: u32, offset: u64, bytes: u64) -> Self {
        Run { number, count, block, offset, bytes, next: NONE }
    }
}

const NONE: u32 = u32::MAX;

impl Chains {
    pub(crate) fn new() -> Self {
        let ends = 2 * limits::TYPE_TABLE as usize;
        Chains { first: vec![NONE; ends], last: vec![NONE; ends], counts: vec![0; ends], runs: Vec::new() }
    }

    fn chain(place: u16, kind: ExtentKind) -> usize {
        usize::from(place) * 2 + usize::from(kind == ExtentKind::Index)
    }

    /// Appends a run to the chain of a form that is in the table of types.
    #[expect(clippy::indexing_slicing, reason = "every position in the table of types has two chains")]
    pub(crate) fn append(&mut self, place: u16, kind: ExtentKind, found: Run) {
        let chain = Self::chain(place, kind);
        let (run, count) = (self.runs.len() as u32, found.count);
        self.runs.push(found);
        match self.last[chain] {
            NONE => self.first[chain] = run,
            last => self.runs[last as usize].next = run,
        }
        self.last[chain] = run;
        self.counts[chain] += count;
    }

    /// Returns the number of extents of one kind of a form.
    pub(crate) fn count(&self, place: u16, kind: ExtentKind) -> usize {
        self.counts.get(Self::chain(place, kind)).map_or(0, |count| *count as usize)
    }

    /// Returns the block of each extent that has memory, and where it begins and ends.
    #[cfg(feature = "schemas")]
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, u64, u64)> + '_ {
        self.runs.iter().filter(|run| !run.is_hollow()).flat_map(|run| {
            let starts = (0..u64::from(run.count)).map(|number| run.offset + number * run.bytes);
            starts.map(|start| (run.block, start, start + run.bytes))
        })
    }

    /// Returns whether any form has hollow extents.
    pub(crate) fn has_hollow(&self) -> bool {
        self.runs.iter().any(Run::is_hollow)
    }

    /// Returns the extents of one kind of a form, in their order.
    pub(crate) fn of(&self, place: u16, kind: ExtentKind) -> impl Iterator<Item = Run> + '_ {
        let mut next = self.first.get(Self::chain(place, kind)).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let run = self.runs.get(next as usize)?;
            next = run.next;
            Some(*run)
        })
    }
}
