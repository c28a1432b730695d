//! Migration: the objects of a type are copied to the form that this build has.
//!
//! `docs/migration.md` has the steps, and what a kill after each leaves.

use crate::commits::Commit;
use crate::conf::ProcessConf;
use crate::layout::{ExtentKind, TypeInfo};
use crate::mutants::{Mutant, planted};
use crate::object::{Misfit, Plan, Refusal};
use crate::pool::error::PoolError;
use crate::pool::start::migrated::Migrated;
use crate::pool::start::quarantine;
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::copy::{Convert, Unfit};
use crate::pool::store::extents::{NoSpace, Space};
use crate::pool::store::forms;
use crate::pool::store::renames::Renames;
use crate::pool::store::schema_texts;
use crate::pool::store::slot::parked_object;
use crate::pool::store::type_state::TypeState;
use crate::pool::store::type_table::TypeTable;
use crate::pool::store::types::{self, Setting};
use crate::pool::store::wanted::Wanted;
use crate::region::At;
use crate::units::Bytes;
use std::time::Instant;

/// A pool whose types can be given new forms.
pub(crate) struct Mover<'a> {
    pub(crate) base: &'a Base,
    pub(crate) space: &'a mut Space,
    pub(crate) chains: &'a mut Chains,
    /// The types that are in use.
    pub(crate) types: &'a TypeTable,
    pub(crate) conf: &'a ProcessConf,
    pub(crate) last_generation: u32,
}

/// Reasons why the new form could not be filled.
enum NotFilled {
    /// There is no memory for it.
    Room { needs: u64, why: NoSpace },
    /// Objects do not fit into it.
    Unfit(Unfit),
}

/// How the objects of a type get into their new form.
enum Way {
    /// There are none.
    Empty,
    /// By a plan made from both schemas.
    Plan(Plan),
}

impl Mover<'_> {
    /// Gives a type the form of this build: its old one if that is it, else a new one.
    ///
    /// Returns what was migrated; `None` if nothing had to be. If it fails, the old form is in force
    /// and as it was.
    pub(crate) fn run(&mut self, wanted: &Wanted, old: At<TypeInfo>) -> Result<Option<Migrated>, PoolError> {
        let began = Instant::now();
        if types::is_form_of(&old, wanted) {
            return self.go_back(&old).map(|()| None);
        }
        let mut from = self.state(old)?;
        let way = self.way(wanted, &old, &from)?;
        self.go_back(&old)?;
        from.settle();
        let new = types::describe(&self.setting(), wanted, Some(old.group_shift.load()))?;
        if !planted(Mutant::FormHasNoDraft) {
            Commit::FormDrafted.store(&old.filling, new.place().into());
        }
        if planted(Mutant::FormCountsFirst) {
            Commit::FormComplete.store(&old.newer, new.place().into());
        }
        let unused = unused(&from, &old, &new);
        let highest = unused.iter().flatten().max().copied().unwrap_or(0);
        if !planted(Mutant::FormRaisesLast) {
            self.raise_floor(highest);
        }
        if let Err(why) = self.fill(&from, &old, new, (&way, &unused)) {
            forms::drop_draft(self.space, &old);
            self.reload()?;
            return Err(self.not_filled(wanted, &from, why));
        }
        Commit::FormComplete.store(&old.newer, new.place().into());
        if planted(Mutant::FormRaisesLast) {
            self.raise_floor(highest);
        }
        Commit::FormDrafted.store(&old.filling, 0);
        self.reload()?;
        let steps = match &way {
            Way::Empty => &[],
            Way::Plan(plan) => plan.steps(),
        };
        for step in steps.iter().filter(|step| step.by_ini) {
            log::warn!("{}: type `{}`: field {step}", self.conf.name, wanted.name);
        }
        let fields = steps.iter().map(ToString::to_string).collect();
        let extents = |kind| {
            let runs = self.chains.of(new.place(), kind).filter(|run| !run.is_hollow());
            runs.map(|run| u64::from(run.count)).sum::<u64>()
        };
        let slots = extents(ExtentKind::Slots) * new.extent_bytes.load();
        let bytes = Bytes(slots + extents(ExtentKind::Index) * new.index_bytes.load());
        let (name, objects) = (wanted.name.to_owned(), from.slots.len());
        Ok(Some(Migrated { name, objects, bytes, fields, took: began.elapsed() }))
    }

    /// Decides for the new forms of the types that `is_added` selects by their number. The others
    /// keep their old form.
    pub(crate) fn decide(&mut self, is_added: impl Fn(u32) -> bool) -> Result<(), PoolError> {
        let listed: Vec<At<TypeInfo>> = self.base.listed_types().collect();
        for old in listed {
            match old.newer.load() != 0 && is_added(old.id.load()) {
                true => forms::drop_draft(self.space, &old),
                false => self.go_back(&old)?,
            }
        }
        forms::decide(self.base, self.space);
        schema_texts::settle(self.base);
        self.reload()
    }

    fn setting(&self) -> Setting<'_> {
        let Mover { base, space, chains, conf, last_generation, .. } = self;
        Setting { base, space, chains, conf, last_generation: *last_generation }
    }

    /// Plans the conversion, without a change.
    fn way(&self, wanted: &Wanted, old: &At<TypeInfo>, from: &TypeState) -> Result<Way, PoolError> {
        let setting = self.setting();
        let parked = quarantine::listed(&self.base.header).any(|object| object.type_id() == wanted.id);
        if self.space.objects(self.chains, old) == 0 && !parked && !from.has_parked() {
            return Ok(Way::Empty);
        }
        let refuse = |write| Err(types::changed(&setting, wanted, old, write));
        if old.keyed() != wanted.keyed {
            return refuse(Vec::new());
        }
        let Some(fields) = schema_texts::read(self.base, old) else { return refuse(Vec::new()) };
        let renames = Renames::of(self.conf, wanted.name, &wanted.field_names())?;
        match Plan::of(&fields, old.size.load(), &wanted.new_type, &renames.changes()) {
            Ok(plan) => Ok(Way::Plan(plan)),
            Err(refusal) => refuse(lines(&refusal)),
        }
    }

    /// Makes the old form of a type the one in force, and drops its new form.
    fn go_back(&mut self, old: &At<TypeInfo>) -> Result<(), PoolError> {
        if old.newer.load() == 0 && old.filling.load() == 0 {
            return Ok(());
        }
        if old.newer.load() != 0 {
            // The list names what the old form has in quarantine before that form is in force.
            if !planted(Mutant::BackListsLast) {
                let _full = self.list_parked(old);
            }
            forms::drop_next(self.space, old);
            let (id, state) = (old.id.load(), self.state(*old)?);
            quarantine::tidy(&self.base.header, |object| {
                u32::from(object.type_id()) != id || state.is_parked(object)
            });
            self.list_parked(old)?;
        }
        forms::drop_draft(self.space, old);
        self.reload()
    }

    /// Fills the new form: its memory, slots, index and counts. `unused` tells which extents get none.
    fn fill(
        &mut self,
        from: &TypeState,
        old: &TypeInfo,
        new: At<TypeInfo>,
        (way, unused): (&Way, &[Option<u64>]),
    ) -> Result<(), NotFilled> {
        let mut to = TypeState::empty(self.base, new);
        let used = slots_used(from, old);
        let groups = if new.keyed() && old.keyed() { from.index.extents() } else { 0 };
        let extents = unused.iter().filter(|unused| unused.is_none()).count() as u64;
        let needs = extents * new.extent_bytes.load() + u64::from(groups) * new.index_bytes.load();
        let room = |why| NotFilled::Room { needs, why };
        for unused in unused {
            match unused {
                Some(_) => to.push_hollow(self.space),
                None => to.append(self.space),
            }
            .map_err(room)?;
        }
        while to.index.extents() < groups {
            to.grow_index(self.space).map_err(room)?;
        }
        let convert: Convert<'_> = match way {
            Way::Empty => &|_| Ok(()),
            Way::Plan(plan) => &|batch| plan.convert_all(batch),
        };
        from.slots.copy_to(&to.slots, used, convert).map_err(NotFilled::Unfit)?;
        if groups != 0 {
            from.index.copy_to(&to.index);
            new.groups.fill(old.groups.load());
        }
        new.high_water.fill(used.into());
        new.retired.fill(old.retired.load());
        to.slots.fill_hollow_count();
        new.tally.fill(old.tally.load());
        Ok(())
    }

    /// Makes slots that get memory for the first time begin above this generation.
    fn raise_floor(&self, generation: u64) {
        if self.base.header.floor.load() < generation {
            self.base.header.floor.store(generation);
        }
    }

    /// Adds the objects that the old form of a type has in quarantine to the list.
    fn list_parked(&mut self, old: &At<TypeInfo>) -> Result<(), PoolError> {
        let (header, state) = (&self.base.header, self.state(*old)?);
        for index in 0..state.slots.capacity() {
            let Some(slot) = state.slots.slot(index) else { break };
            if let Some(object) = parked_object(slot.header().load(), index)
                && !quarantine::list(header, object)
            {
                return Err(PoolError::corrupt(self.conf, "the quarantine list is full"));
            }
        }
        Ok(())
    }

    /// Loads one form of a type.
    fn state(&self, form: At<TypeInfo>) -> Result<TypeState, PoolError> {
        let loaded = TypeState::load(self.base, form, self.space, self.chains);
        loaded.map_err(|what| PoolError::corrupt(self.conf, format!("type `{}`: {what}", form.name())))
    }

    /// Reads the table of extents again.
    ///
    /// A table that has been damaged since the start must not give the memory of a type that is in
    /// use to another one.
    pub(crate) fn reload(&mut self) -> Result<(), PoolError> {
        let corrupt = |what| Err(PoolError::corrupt(self.conf, what));
        let loaded = match self.space.read(self.base, &self.base.owners()) {
            Ok(loaded) => loaded,
            Err((number, what)) => return corrupt(format!("extent {number} is invalid: {what}")),
        };
        let moved = |state: &&TypeState| !state.has_memory_of(self.space, &loaded.chains);
        if let Some(state) = self.types.iter().find(moved) {
            let name = state.slots.info.name();
            return corrupt(format!("type `{name}`: its extents are not those that it had at the start"));
        }
        let adopted = self.space.adopt(loaded);
        *self.chains = adopted.map_err(|source| PoolError::no_zeros(self.conf, source))?;
        Ok(())
    }

    #[cold]
    fn not_filled(&self, wanted: &Wanted, from: &TypeState, why: NotFilled) -> PoolError {
        let (name, id, key) = (wanted.name, wanted.id, self.conf.base_key);
        match why {
            NotFilled::Room { needs, why } => PoolError::NoRoomToMigrate {
                name,
                id,
                key,
                objects: from.slots.len(),
                needs: Bytes(needs),
                free: Bytes(self.space.bytes_free()),
                remedy: why.remedy(self.space.home()),
            },
            NotFilled::Unfit(Unfit { objects, slot, why }) => {
                let first = from.slots.slot(slot).map_or(0, |slot| slot.header().load());
                PoolError::DoesNotMigrate { name, id, key, objects, first: unfit(first, slot, &why) }
            }
        }
    }
}

/// Returns how many slots the old form has used.
fn slots_used(from: &TypeState, old: &TypeInfo) -> u32 {
    u32::try_from(old.high_water.load()).unwrap_or(u32::MAX).min(from.slots.capacity())
}

/// Returns, for each extent of the new form, the highest generation of its slots if it gets no memory,
/// because the old form has no object there.
///
/// As in `reclaim`, handles into it never resolve again, because slots of new memory begin above
/// these generations.
fn unused(from: &TypeState, old: &TypeInfo, new: &TypeInfo) -> Vec<Option<u64>> {
    let (slots, used) = (1u32 << new.shift.load(), slots_used(from, old));
    let highest = |first: u32| from.slots.highest_unused(first..(first + slots).min(used));
    (0..used).step_by(slots as usize).map(highest).collect()
}

impl TypeState {
    /// Returns whether an object of the type is in quarantine.
    fn has_parked(&self) -> bool {
        let slots = (0..self.slots.capacity()).map_while(|index| Some((index, self.slots.slot(index)?)));
        { slots }.any(|(index, slot)| parked_object(slot.header().load(), index).is_some())
    }
}

/// Names an object that does not fit, and why.
fn unfit(header: u64, slot: u32, why: &Misfit) -> String {
    let object = crate::object::Handle::from_bits(header).or_else(|| parked_object(header, slot));
    match object {
        Some(object) => format!("{object} ({why})"),
        None => format!("in slot {slot} ({why})"),
    }
}

/// Returns what to write in the source, a line each.
fn lines(refusal: &Refusal) -> Vec<String> {
    match refusal {
        Refusal::Changed { reasons, function: Some(function), .. } => {
            let unfit = reasons.iter().filter(|reason| reason.write.is_empty());
            let why: String = unfit.map(|reason| format!("// `{}` {}\n", reason.field, reason.why)).collect();
            vec![why + function]
        }
        Refusal::Changed { reasons, .. } => reasons.iter().flat_map(|reason| reason.write.clone()).collect(),
        Refusal::Damaged(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::conf::{BackendKind, ProcessConf};
    use crate::object::PoolObject;
    use crate::pool::manager::MemoryPoolMgr;
    use crate::units::{Bytes, Key};

    mod old {
        use super::*;

        #[repr(C)]
        #[derive(Clone, Copy, PoolObject)]
        #[pool(id = 1, name = "spark")]
        pub(super) struct Spark {
            pub(super) heat: u64,
        }
    }

    mod new {
        use super::*;

        #[repr(C)]
        #[derive(Clone, Copy, PoolObject)]
        #[pool(id = 1, name = "spark")]
        pub(super) struct Spark {
            heat: u64,
            #[pool(default = 7)]
            more: u64,
        }
    }

    /// All such slots share one piece of memory, so a header in one would be in many.
    #[test]
    fn slots_that_get_no_memory_stay_zero() {
        let mut conf = ProcessConf::new("hollow", Key(0x4850_0f71), Bytes(1 << 20), &[Key(0x4850_0f72)]);
        conf.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<old::Spark>().unwrap();
        let ids: Vec<_> = (0..10_000).map(|heat| pool.alloc(old::Spark { heat }).unwrap()).collect();
        ids.iter().skip(1).for_each(|id| assert!(pool.free(*id)));
        pool.ready().unwrap();
        drop(pool);
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<new::Spark>().unwrap();
        let slots = &pool.types.of::<new::Spark>().unwrap().slots;
        let hollow = (0..slots.capacity()).filter(|index| slots.is_hollow(*index));
        let headers: Vec<u64> = hollow.map(|index| slots.slot(index).unwrap().header().load()).collect();
        assert!(headers.len() > 1000 && headers.iter().all(|header| *header == 0), "{}", headers.len());
        assert_eq!(pool.len::<new::Spark>(), 1);
        pool.destroy().unwrap();
    }
}
