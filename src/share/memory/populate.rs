//! Gives every page of a range its memory now, so that out of memory is an error and not a SIGBUS.

use crate::limits::PAGE;
use crate::region::Region;
use crate::sys::mem;
use crate::word::Word;
use std::io;

/// Gives memory to every page of a range of shared memory.
pub(crate) fn populate(region: &Region, offset: u64, bytes: u64) -> io::Result<()> {
    if !mem::try_populate(region, offset, bytes)? {
        touch(region, offset, bytes);
    }
    Ok(())
}

/// Populates a range on kernels before 5.14, which lack the call.
///
/// A read populates a page of shared memory, too. Out of memory is a SIGBUS there, as at any store.
fn touch(region: &Region, offset: u64, bytes: u64) {
    for offset in (offset..offset + bytes).step_by(PAGE as usize) {
        if let Ok(word) = region.at::<Word>(offset) {
            std::hint::black_box(word.load());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::testing::Bench;

    /// Tests the path for kernels that lack the call.
    #[test]
    fn a_touch_gives_a_page_its_memory_and_changes_no_byte() {
        let bench = Bench::new();
        let segment = bench.home.open().create(bench.base(), 1 << 20, 0o600).unwrap();
        segment.region().at::<Word>(4096).unwrap().store(7);
        let facts = bench.facts().segment.unwrap();
        let resident =
            || crate::share::MemoryTable::read(&bench.home).unwrap().of(&facts).unwrap().resident.0;
        assert!(resident() < 1 << 20);
        touch(&segment.region(), 0, 1 << 20);
        assert_eq!(resident(), 1 << 20);
        assert_eq!(segment.region().at::<Word>(4096).unwrap().load(), 7);
    }
}
