//! A verification in progress: its input, what it has found so far, and how it reports.

use crate::inspect::finding::{Place, Report, Severity};
use crate::layout::TypeInfo;
use crate::object::Handle;
use crate::pool::store::base::Base;
use crate::region::{At, Region};
use crate::units::Key;

/// The input of a verification: the segments of a pool, and whether it has an owner.
pub(crate) struct Pool {
    pub(crate) key: Key,
    pub(crate) base: Region,
    /// Blocks by number; the reason if a segment could not be attached.
    pub(crate) blocks: Vec<Result<Region, String>>,
    pub(crate) standing: Standing,
}

/// Who uses the pool, which decides what may be in motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The owner itself verifies, between two operations: every operation is complete.
    Owned,
    /// The pool has no owner. An operation may have been interrupted.
    Left,
    /// Another process is the owner and continues meanwhile.
    Live,
}

/// An extent whose position has been checked.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) block: Region,
    pub(crate) key: Key,
    pub(crate) offset: u64,
    /// Number of the extent in the table.
    pub(crate) number: usize,
}

/// One type, with its extents in their order.
pub(crate) struct Type {
    pub(crate) id: u16,
    /// Copy from the moment of its check: later stores of the owner cannot mislead the
    /// verification.
    pub(crate) info: TypeInfo,
    /// The record in the segment, for the words that change.
    pub(crate) now: At<TypeInfo>,
    /// `None` for an extent without memory.
    pub(crate) slots: Vec<Option<Extent>>,
    pub(crate) index: Vec<Extent>,
}

/// A running verification.
pub(crate) struct Walk<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) base: &'a Base,
    pub(crate) report: Report,
    /// Sizes of the tables at its beginning.
    pub(crate) began: Tables,
    /// Objects in quarantine that were found in slots.
    pub(crate) parked: Vec<(Place, Handle)>,
}

/// The numbers of blocks, extents and types, and the forms of the types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tables([u64; 4]);

impl Tables {
    /// Reads them from the header.
    pub(crate) fn of(base: &Base) -> Self {
        let header = &base.header;
        let forms = base.listed_types().fold(header.forms.load(), |sum, old| {
            let words = [old.place().into(), old.newer.load(), old.filling.load()];
            words.into_iter().fold(sum, |sum, word| sum.wrapping_mul(31).wrapping_add(word))
        });
        Tables([header.nblocks.load(), header.nextents.load(), header.ntypes.load(), forms])
    }
}

impl Walk<'_> {
    /// Reports damage, unless the pool has grown meanwhile: a broken rule may then have held.
    pub(crate) fn damage(&mut self, place: Place, what: impl Into<String>) {
        self.find(Severity::Damage, place, what);
    }

    pub(crate) fn find(&mut self, severity: Severity, place: Place, what: impl Into<String>) {
        if !self.has_grown() {
            self.report.add(severity, place, what);
        }
    }

    /// Returns whether the owner has added an extent, a block or a type since the verification
    /// began.
    ///
    /// The verification then misses objects, so keys and sums may not agree.
    pub(crate) fn has_grown(&self) -> bool {
        self.is_live() && Tables::of(self.base) != self.began
    }

    /// Reports a wrong sum: damage, or a note while an owner is storing to the pool.
    pub(crate) fn wrong_sum(&mut self, place: Place, what: String) {
        let severity = if self.is_live() { Severity::Note } else { Severity::Damage };
        self.report.add(severity, place, what);
    }

    pub(crate) fn is_live(&self) -> bool {
        self.pool.standing == Standing::Live
    }
}

/// Returns the position of a type as a whole.
pub(crate) fn place_of(ty: &Type) -> Place {
    Place { type_id: Some(ty.id), ..Place::default() }
}
