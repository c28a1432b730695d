//! The states of a segment's first word: `MAKING`, `READY`, `GONE`.
//!
//! ```text
//!  0 ──> MAKING ──> READY ──> GONE ──> removed
//!            ^         │
//!            └─ DRAFT ─┘
//! ```
//!
//! A segment that is `MAKING` and blank holds nothing, so the next start creates it again. One that
//! is `MAKING` and not blank is trusted to hold nothing only if it is marked as a draft beside an
//! identity with a correct checksum. A creation that copies objects sets that mark before the first
//! of them, and so does a start that empties a segment. `docs/layout.md` lists all states and their
//! verdicts.

use crate::commits::Commit;
use crate::layout::{
    BASE_KIND, BaseHeader, DRAFT, Frozen, LAYOUT_VERSION, MAGIC_GONE, MAGIC_MAKING, MAGIC_READY, RESTORING,
};
use crate::mutants::{Mutant, planted};
use crate::region::Region;
use crate::share::segment::Segment;
use crate::sys::mem::{self, Advice};
use crate::sys::wall_nanos;
use crate::units::Key;
use crate::word::Word;
use std::mem::offset_of;

/// The fields of the frozen bytes of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) key: Key,
    pub(crate) pool_id: [u64; 2],
    pub(crate) kind: u32,
    pub(crate) index: u32,
    pub(crate) bytes: u64,
}

/// How much of a segment a creation fills before it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filling {
    /// The head: the frozen bytes, and the geometry of a base.
    Head,
    /// Also a copy of the objects of another segment.
    Copy,
    /// Also the bytes of a set.
    #[cfg_attr(not(feature = "snapshots"), allow(dead_code, reason = "only sets are restored"))]
    Restore,
}

impl Filling {
    /// Returns the mark of the segment meanwhile.
    fn draft(self) -> Option<u32> {
        match self {
            Filling::Head => None,
            Filling::Copy => Some(DRAFT),
            Filling::Restore => Some(RESTORING),
        }
    }
}

/// Returns the offset from which on a creation of this kind of segment writes nothing.
pub(crate) const fn end_of_head(kind: u32) -> u64 {
    match kind {
        // The kind is stored before the geometry.
        BASE_KIND => offset_of!(BaseHeader, epoch) as u64,
        _ => size_of::<Frozen>() as u64,
    }
}

/// Creates the contents of a zeroed segment: marks it, writes its identity, calls `make`, and
/// commits.
pub(crate) fn fill(region: &Region, identity: &Identity, filling: Filling, make: &mut dyn FnMut(&Region)) {
    begin(region, identity, filling);
    if planted(Mutant::ReadyFirst)
        && let Ok(frozen) = region.at::<Frozen>(0)
    {
        Commit::MakeEnds.store(&frozen.magic, MAGIC_READY);
    }
    make(region);
    end(region, filling);
}

/// Marks a zeroed segment as one that is being created, and writes its identity.
#[expect(clippy::expect_used, reason = "the caller has just created the segment that large")]
pub(crate) fn begin(region: &Region, identity: &Identity, filling: Filling) {
    let frozen = region.at::<Frozen>(0).expect("every segment that is created has room for a header");
    Commit::MakeBegins.store(&frozen.magic, MAGIC_MAKING);
    frozen.layout.fill(LAYOUT_VERSION);
    frozen.kind.fill(identity.kind);
    frozen.pool_id[0].fill(identity.pool_id[0]);
    frozen.pool_id[1].fill(identity.pool_id[1]);
    frozen.bytes.fill(identity.bytes);
    frozen.key.fill(identity.key.0);
    frozen.index.fill(identity.index);
    frozen.created.fill(wall_nanos());
    frozen.check.fill(frozen.sum());
    if let Some(draft) = filling.draft() {
        frozen.draft.store(draft);
    }
}

/// Completes a segment that [`begin`] has marked.
pub(crate) fn end(region: &Region, filling: Filling) {
    let Ok(frozen) = region.at::<Frozen>(0) else { return };
    Commit::MakeEnds.store(&frozen.magic, MAGIC_READY);
    if filling.draft().is_some() {
        frozen.draft.store(0);
    }
}

/// Turns a segment into the blank beginning of a creation.
///
/// A kill meanwhile leaves it complete, a draft, or a blank beginning.
pub(crate) fn empty(segment: &Segment) {
    let Ok(frozen) = segment.region().at::<Frozen>(0) else { return };
    if frozen.magic.load() == MAGIC_READY {
        frozen.draft.store(DRAFT);
    }
    Commit::BeginsAgain.store(&frozen.magic, MAGIC_MAKING);
    wipe(segment);
    frozen.draft.store(0);
}

/// Begins to empty a segment and does not complete it, for mutants.
pub(crate) fn begin_to_empty(region: &Region) {
    if let Ok(frozen) = region.at::<Frozen>(0) {
        frozen.draft.store(DRAFT);
        Commit::BeginsAgain.store(&frozen.magic, MAGIC_MAKING);
    }
}

/// Zeroes all bytes after the frozen ones. Pages that were never touched stay unpopulated.
pub(crate) fn wipe(segment: &Segment) {
    let (region, page) = (&segment.region(), segment.page());
    let head = region.len().min(page);
    let rest = region.len() / page * page;
    // If the memory supports it, pages return to the kernel at once; heap memory and some file
    // systems do not. Some kernels do not clear a part of a page of 2 MiB, and all split a
    // transparent one for it. So this comes before any page is touched.
    let gone = rest > head && mem::advise(region, head, rest - head, Advice::Remove).is_ok();
    clear(region, size_of::<Frozen>() as u64, head);
    clear(region, if gone { rest } else { head }, region.len());
}

/// Clears the words from one offset to another.
///
/// Words that are zero already are not stored to, so that their pages stay unpopulated.
fn clear(region: &Region, from: u64, to: u64) {
    let words = (from..to).step_by(size_of::<Word>());
    for word in words.filter_map(|offset| region.at::<Word>(offset).ok()) {
        if word.load() != 0 {
            word.store(0);
        }
    }
}

/// Marks a base whose pool is being removed.
pub(crate) fn mark_gone(region: &Region) {
    if let Ok(frozen) = region.at::<Frozen>(0) {
        Commit::Gone.store(&frozen.magic, MAGIC_GONE);
    }
}
