//! The followed fields of the objects in slots, and the lists that are made of them.

use crate::object::{Handle, TimeField};
use crate::pool::store::children::ChildLists;
use crate::pool::store::lists::{Made, Times};
use crate::pool::store::slots::Slots;

impl Slots {
    /// Returns the object in a slot, if one lives there.
    fn lives_in(&self, index: u32) -> Option<Handle> {
        let header = self.slot(index)?.header().load();
        Handle::from_bits(header).filter(|own| own.index() == index && own.type_id() == self.type_id())
    }

    /// Returns the owner that the object in a slot names; 0 if it names none.
    pub(crate) fn owner_of(&self, index: u32) -> u64 {
        let Some(field) = self.lists.fields().owner.filter(|_| self.lives_in(index).is_some()) else {
            return 0;
        };
        let bits = self.field(index, field.offset, 8);
        let owner = Handle::from_bits(bits).filter(|owner| owner.type_id() == field.type_id);
        owner.map_or(0, Handle::to_bits)
    }

    /// Returns the time of the object in a slot, as a number with the same order.
    pub(crate) fn time_of(&self, index: u32) -> Option<u64> {
        let TimeField { offset, kind } = self.lists.fields().time?;
        self.lives_in(index)?;
        Some(kind.key(self.field(index, offset, kind.size())))
    }

    /// Returns the first child of an owner.
    pub(crate) fn first_child(&self, owner: u64) -> Option<u32> {
        self.lists.with(|made| self.children(made).first(owner))
    }

    /// Returns the child after another one.
    pub(crate) fn next_child(&self, child: u32) -> Option<u32> {
        self.lists.with(|made| made.children.as_ref()?.next(child))
    }

    /// Returns the children of an owner.
    pub(crate) fn children_of(&self, owner: Handle) -> Vec<Handle> {
        let first = self.first_child(owner.to_bits());
        let children = std::iter::successors(first, |child| self.next_child(*child));
        let is_child = |child: &u32| self.owner_of(*child) == owner.to_bits();
        children.filter(is_child).filter_map(|child| self.lives_in(child)).collect()
    }

    /// Returns the owners that the objects of this type name.
    pub(crate) fn owners(&self) -> Vec<Handle> {
        self.lists.with(|made| self.children(made).owners().filter_map(Handle::from_bits).collect())
    }

    /// Returns the next time and slot after another one, up to a time.
    pub(crate) fn next_time(&self, after: Option<(u64, u32)>, last: u64) -> Option<(u64, u32)> {
        self.lists.with(|made| {
            self.refresh(made);
            let times = made.times.get_or_insert_with(|| {
                self.lists.use_from_here_on();
                let mut times = Vec::with_capacity(self.len() as usize);
                self.for_each_used(|slot| times.extend(self.time_of(slot).map(|time| (time, slot))));
                Times::of(times)
            });
            times.next(after, last)
        })
    }

    /// Returns the lists of children, up to date.
    fn children<'a>(&self, made: &'a mut Made) -> &'a ChildLists {
        self.refresh(made);
        made.children.get_or_insert_with(|| {
            self.lists.use_from_here_on();
            let mut lists = ChildLists::default();
            self.for_each_used(|slot| _ = lists.set(slot, self.owner_of(slot)));
            lists
        })
    }

    /// Compares the slots that have changed with their fields.
    fn refresh(&self, made: &mut Made) {
        let mut most = self.len() / 4 + 1000;
        for slot in made.take_changed() {
            if made.set(slot, self.owner_of(slot), self.time_of(slot)) {
                most -= 1;
            }
            // It takes less time to make the lists anew.
            if most == 0 {
                return made.forget();
            }
        }
    }

    /// Calls `f` with each slot that the map marks as used.
    fn for_each_used(&self, mut f: impl FnMut(u32)) {
        let mut number = 0;
        while let Some(word) = self.word(number) {
            let mut bits = word.load() & self.full;
            while bits != 0 {
                f(self.first_of_word(number) + bits.trailing_zeros());
                bits &= bits - 1;
            }
            number += 1;
        }
    }
}
