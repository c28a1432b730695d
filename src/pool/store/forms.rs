//! The forms of a type: that of the last ready build, and the one that a new build migrates to.
//! `docs/migration.md` has the steps, and what a kill after each leaves.

use crate::commits::Commit;
use crate::layout::TypeInfo;
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::pool::store::base::Base;
use crate::pool::store::extents::Space;
use crate::pool::store::shape::TypeSet;
use crate::region::At;
use crate::word::Word;

/// Value of `forms` while new forms replace old ones.
pub(crate) const DECIDED: u64 = 1;

impl Base {
    /// Returns the entry that a word such as `newer` names; `None` if it names none.
    fn named(&self, word: &Word) -> Option<At<TypeInfo>> {
        let place = word.load();
        self.types.at(usize::try_from(place).ok().filter(|place| *place != 0)?)
    }

    /// Returns the complete new form of a type, which is in force until `ready()` decides.
    pub(crate) fn next_of(&self, old: &TypeInfo) -> Option<At<TypeInfo>> {
        self.named(&old.newer)
    }

    /// Returns the form of a type that is being filled, or that is being dropped.
    pub(crate) fn draft_of(&self, old: &TypeInfo) -> Option<At<TypeInfo>> {
        self.named(&old.filling).filter(|_| old.filling.load() != old.newer.load())
    }

    /// Returns the form of a type that starts, recovery and tools use.
    pub(crate) fn in_force(&self, old: At<TypeInfo>) -> At<TypeInfo> {
        self.next_of(&old).unwrap_or(old)
    }

    /// Returns the entries that the list of types names, in the order in which types were added.
    pub(crate) fn listed_types(&self) -> impl Iterator<Item = At<TypeInfo>> + '_ {
        let count = self.header.ntypes.load() as usize;
        self.header.order.iter().take(count).filter_map(|place| self.types.at(place.load() as usize))
    }

    /// Returns the positions of all entries that may have extents.
    ///
    /// If the new forms are decided, the old ones count as given up.
    pub(crate) fn owners(&self) -> TypeSet {
        let mut owners = TypeSet::default();
        let is_decided = self.header.forms.load() == DECIDED;
        for old in self.listed_types() {
            let next = self.next_of(&old);
            if !(is_decided && next.is_some()) {
                owners.insert(old.place());
            }
            for form in [next, self.draft_of(&old)].into_iter().flatten() {
                owners.insert(form.place());
            }
        }
        owners
    }

    /// Returns a position for a new entry: `wanted` if it is unused.
    pub(crate) fn unused_place(&self, wanted: u16) -> Option<u16> {
        let mut used = TypeSet::default();
        for old in self.listed_types() {
            used.insert(old.place());
            for word in [&old.newer, &old.filling] {
                used.insert(word.load() as u16);
            }
        }
        let all = std::iter::once(wanted).chain(1..=limits::MAX_TYPE_ID);
        { all }.find(|place| !used.contains(*place))
    }
}

/// Drops the unfinished new form of a type, if it has one.
///
/// It may be interrupted anywhere, and repeated. After it, the table of extents must be loaded
/// again.
pub(crate) fn drop_draft(space: &Space, old: &TypeInfo) {
    let place = old.filling.load();
    if place == 0 {
        return;
    }
    if place != old.newer.load() {
        space.free(|owner| u64::from(owner) == place);
    }
    Commit::FormDrafted.store(&old.filling, 0);
}

/// Makes the old form of a type the one in force again. Its new form is a draft after that.
pub(crate) fn drop_next(space: &Space, old: &TypeInfo) {
    let place = old.newer.load();
    if place == 0 {
        return;
    }
    drop_draft(space, old);
    Commit::FormDrafted.store(&old.filling, place);
    if planted(Mutant::BackFreesFirst) {
        space.free(|owner| u64::from(owner) == place);
    }
    Commit::FormDropped.store(&old.newer, 0);
}

/// Decides for the new forms of all types that have one: they replace the old ones.
///
/// It may be interrupted anywhere after its first store, and repeated. After it, the table of
/// extents must be loaded again.
pub(crate) fn decide(base: &Base, space: &Space) {
    let header = &base.header;
    if base.listed_types().all(|old| old.newer.load() == 0) && header.forms.load() != DECIDED {
        return;
    }
    if planted(Mutant::DecideFreesFirst) {
        let is_old = |place| base.listed_types().any(|old| old.newer.load() != 0 && old.place() == place);
        space.free(is_old);
    }
    if planted(Mutant::DecideNamesFirst) {
        name_new_forms(base);
    }
    Commit::FormsDecided.store(&header.forms, DECIDED);
    if planted(Mutant::DecideEndsFirst) {
        Commit::FormsDone.store(&header.forms, 0);
    }
    name_new_forms(base);
    let owners = base.owners();
    space.free(|place| !owners.contains(place));
    Commit::FormsDone.store(&header.forms, 0);
}

/// Makes the list of types name the new forms.
fn name_new_forms(base: &Base) {
    let header = &base.header;
    for place in header.order.iter().take(header.ntypes.load() as usize) {
        if let Some(next) = base.types.at(place.load() as usize).and_then(|old| base.next_of(&old)) {
            place.store(next.place().into());
        }
    }
}
