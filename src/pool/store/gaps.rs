//! Free bytes between the extents of the blocks.

/// Free bytes of a block that earlier extents have left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) block: u32,
    /// Where the extent before it ends.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The entries of the table that begin in it, by offset.
    pub(crate) records: Vec<u32>,
}

impl Gap {
    /// Creates a gap that ends where it begins.
    pub(crate) fn new(block: u32, start: u64) -> Self {
        Gap { block, start, end: start, records: Vec::new() }
    }
}

/// The free bytes of all blocks.
#[derive(Default)]
pub(crate) struct Gaps {
    list: Vec<Gap>,
}

impl Gaps {
    /// Adds a gap, unless it is empty.
    pub(crate) fn push(&mut self, gap: Gap) {
        if gap.end > gap.start {
            self.list.push(gap);
        }
    }

    /// Removes the gaps of a block that is given up.
    pub(crate) fn forget(&mut self, block: usize) {
        self.list.retain(|gap| gap.block as usize != block);
    }

    /// Returns the block of each gap, and where it begins and ends.
    #[cfg(feature = "schemas")]
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, u64, u64)> + '_ {
        self.list.iter().map(|gap| (gap.block, gap.start, gap.end))
    }

    /// Returns the bytes of all gaps.
    pub(crate) fn bytes(&self) -> u64 {
        self.list.iter().map(|gap| gap.end - gap.start).sum()
    }

    /// Returns the bytes of the gaps of a block.
    pub(crate) fn bytes_of(&self, block: usize) -> u64 {
        let of_block = self.list.iter().filter(|gap| gap.block as usize == block);
        of_block.map(|gap| gap.end - gap.start).sum()
    }

    /// Returns the bytes of the gaps of a block that end at `end` or before.
    pub(crate) fn bytes_before(&self, block: u32, end: u64) -> u64 {
        let inner = self.list.iter().filter(|gap| gap.block == block && gap.end <= end);
        inner.map(|gap| gap.end - gap.start).sum()
    }

    /// Takes out the first gap in which `start_of` finds a place for `bytes` bytes, with that place.
    ///
    /// Without entries in the table for what is left over (`may_split`), it must fit exactly.
    pub(crate) fn take(
        &mut self,
        bytes: u64,
        may_split: bool,
        start_of: impl Fn(u64) -> Option<u64>,
    ) -> Option<(Gap, u64)> {
        let fits = |gap: &Gap| {
            let start = start_of(gap.start)?;
            let end = start.checked_add(bytes)?;
            let is_whole = end == gap.end || gap.records.len() > 1 || may_split;
            (end <= gap.end && is_whole).then_some(start)
        };
        let (at, start) = self.list.iter().enumerate().find_map(|(at, gap)| Some((at, fits(gap)?)))?;
        Some((self.list.swap_remove(at), start))
    }
}
