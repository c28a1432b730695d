//! What a build will do with the types of a pool, told before it starts.
//!
//! The pool is only read, and its owner may run meanwhile. A start decides by the same functions:
//! `Plan` for the fields, `Renames` for the ini, `plan_slots` for the memory.

use crate::conf::ProcessConf;
use crate::inspect::describe::{self, DescribeError, Description};
use crate::inspect::room::Room;
use crate::inspect::spare::Extents;
use crate::layout::{Broken, TypeInfo};
use crate::limits;
use crate::object::{Plan, Schemas, TypeSchema};
use crate::pool::store::base::Base;
use crate::pool::store::index::groups_for;
use crate::pool::store::renames::Renames;
use crate::pool::store::schema_texts;
use crate::pool::store::shape::{head_bytes, index_bytes, plan_groups, plan_slots, stride_bytes};
use crate::region::At;
use crate::share::{Home, Observed};
use crate::units::{Bytes, Key, plural};
use std::fmt;
use std::time::Duration;

/// Nanoseconds in which a migration writes a byte of the new form, rounded up from the slower of the
/// two measurements in `docs/migration.md`.
pub const NANOS_PER_BYTE: u64 = 3;

/// What a build will do with the types of a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compat {
    /// Header of the base, its owner, blocks and types.
    pub pool: Description,
    /// The types: those of the build in their order, then those that only the pool has.
    pub types: Vec<TypeCompat>,
    /// Bytes that are free for new forms.
    pub free: Bytes,
}

/// What a build will do with a type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypeCompat {
    /// Type number.
    pub id: u16,
    /// Name of the type in the pool.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Live objects in the pool.
    pub objects: u64,
    /// What happens to each field, a line each.
    pub fields: Vec<String>,
    /// Why it is refused, or what else there is to say, a line each.
    pub notes: Vec<String>,
    /// Bytes that the start allocates for it.
    pub needs: Bytes,
    /// How long its migration is expected to take, at [`NANOS_PER_BYTE`].
    pub time: Duration,
}

/// What a start will do with a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The pool has it in the form of the build.
    Same,
    /// The pool does not have it.
    New,
    /// Its objects will be migrated.
    Migrated,
    /// `add_type` will refuse it.
    Refused,
    /// The build does not have it; its objects stay.
    Kept,
}

impl Verdict {
    /// Returns the word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::New => "new",
            Verdict::Migrated => "migrate",
            Verdict::Refused => "refused",
            Verdict::Kept => "kept",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Compares the types of a build with those of the pool under `key`.
///
/// The base is attached for reading, as an observer, and nothing is stored. `conf` is the ini of the
/// build, whose renames, capacities and blocks count.
///
/// A verdict says what a start that begins now would do, if it adds the types in the order of the
/// build. Some of it depends on the objects: whether a text fits a smaller capacity is not checked
/// here.
///
/// # Errors
///
/// Fails if there is no pool of this layout under the key, if it may not be read, or if the base is
/// damaged.
pub fn compat_pool(
    key: Key,
    home: &Home,
    build: &Schemas,
    conf: Option<&ProcessConf>,
) -> Result<Compat, DescribeError> {
    Observed::steadily(key, home, |observed| {
        let pool = describe::describe_observed(key, observed)?;
        let damaged = |what: Broken| DescribeError::Corrupt { key, what: what.as_str() };
        let base = Base::find(observed.base()).map_err(damaged)?;
        let (room, chains) = Room::of(&base, conf).map_err(damaged)?;
        let (free, extents) = (Bytes(room.free()), Extents::of(&base, chains, observed));
        let mut judge = Judge { base: &base, pool: &pool, conf, room, extents, settled: Vec::new() };
        let mut types: Vec<TypeCompat> = build.types.iter().map(|one| judge.verdict(one)).collect();
        types.extend(kept(&pool, build));
        Ok(Compat { types, free, pool })
    })
}

/// Returns the types that only the pool has.
fn kept<'a>(pool: &'a Description, build: &'a Schemas) -> impl Iterator<Item = TypeCompat> + 'a {
    let rest = pool.types.iter().filter(|of| build.types.iter().all(|one| one.id != of.id));
    rest.map(|of| {
        let note = format!("this build does not have it; {} and its memory stay", plural(of.live, "object"));
        let notes = vec![note];
        TypeCompat { name: of.name.clone(), notes, objects: of.live, ..TypeCompat::of(of.id, Verdict::Kept) }
    })
}

impl TypeCompat {
    fn of(id: u16, verdict: Verdict) -> Self {
        let (name, fields, notes) = (String::new(), Vec::new(), Vec::new());
        TypeCompat { id, name, verdict, objects: 0, fields, notes, needs: Bytes(0), time: Duration::ZERO }
    }
}

/// A pool, and what is left of its memory.
struct Judge<'a> {
    base: &'a Base,
    pool: &'a Description,
    conf: Option<&'a ProcessConf>,
    room: Room,
    extents: Extents,
    /// The types that the start has added in a form that they had, and whose extents without objects
    /// it can reclaim: each with the slots that it keeps.
    settled: Vec<(At<TypeInfo>, u64)>,
}

/// Memory that a start allocates for a type.
struct Need {
    slots: u64,
    slot_bytes: u64,
    groups: u64,
    group_bytes: u64,
    align: u64,
}

/// Why a type is refused, a line each.
type Refused = Vec<String>;

impl Judge<'_> {
    fn verdict(&mut self, one: &TypeSchema) -> TypeCompat {
        let objects = self.pool.types.iter().find(|of| of.id == one.id).map_or(0, |of| of.live);
        let mut told = TypeCompat { objects, name: one.name.clone(), ..TypeCompat::of(one.id, Verdict::New) };
        let done = self.judge(one, &mut told);
        if let Err(why) = done {
            told.verdict = Verdict::Refused;
            told.notes = why;
        }
        told
    }

    fn judge(&mut self, one: &TypeSchema, told: &mut TypeCompat) -> Result<(), Refused> {
        self.fits(one)?;
        let base = self.base;
        let Some(listed) = base.listed_types().find(|info| info.id.load() == u32::from(one.id)) else {
            if let Some(other) = base.used_types().find(|other| other.name() == one.name) {
                return refuse(format!(
                    "the pool has a type of this name with the number {}",
                    other.id.load()
                ));
            }
            let need = self.need(one, None)?;
            return self.take(&need, told);
        };
        let info = base.in_force(listed);
        let (stored, is_same) = (info.name(), is_form_of(&info, one));
        match (stored == one.name, is_same) {
            (true, true) => {
                told.verdict = Verdict::Same;
                let need = self.growth(one, &info);
                self.settled.push((info, self.capacity(one).into()));
                self.take(&need, told)
            }
            (true, false) => self.changed(one, listed, told),
            (false, true) => refuse(format!(
                "it is called `{stored}` in the pool: keep that name, #[pool(name = \"{stored}\")]"
            )),
            (false, false) => refuse(format!("its number belongs to `{stored}` in the pool")),
        }
    }

    /// Refuses what no pool can hold, and what contradicts the ini.
    fn fits(&self, one: &TypeSchema) -> Result<(), Refused> {
        let is_number = (1..=limits::MAX_TYPE_ID).contains(&one.id);
        let is_name = (1..=limits::MAX_TYPE_NAME).contains(&one.name.len());
        let is_align = one.align.is_power_of_two() && one.align as usize <= limits::MAX_ALIGN;
        if !is_number || !is_name || !is_align || one.bytes == 0 {
            return refuse("no pool can hold it: its number, name, size or alignment is out of range".into());
        }
        let Some(conf) = self.conf else { return Ok(()) };
        let of = conf.type_conf(&one.name);
        if let Some((of, bytes)) =
            of.and_then(|of| Some((of, of.object_bytes?))).filter(|(_, n)| *n != one.bytes)
        {
            let (place, has) = (&of.place, one.bytes);
            return refuse(format!("{place} states an object size of {bytes} bytes, but it is {has} bytes"));
        }
        Renames::of(conf, &one.name, &one.names()).map_err(|error| vec![error.to_string()]).map(drop)
    }

    fn changed(
        &mut self,
        one: &TypeSchema,
        listed: At<TypeInfo>,
        told: &mut TypeCompat,
    ) -> Result<(), Refused> {
        let dropped = [listed.newer.load(), listed.filling.load()].into_iter().filter(|place| *place != 0);
        let memory: Vec<_> = dropped.flat_map(|place| self.extents.all_of(place as u16)).collect();
        self.room.give(&memory);
        if is_form_of(&listed, one) {
            told.verdict = Verdict::Same;
            told.notes.push("a migration that no start has completed with ready() is undone".into());
            let need = self.growth(one, &listed);
            self.settled.push((listed, self.capacity(one).into()));
            return self.take(&need, told);
        }
        told.verdict = Verdict::Migrated;
        let need = self.need(one, Some(&listed))?;
        let (live, parked) = self.extents.objects(&listed);
        told.objects = live;
        if live + parked == 0 && !self.has_parked(one.id) {
            told.notes.push("it has no objects, so it just takes the new form".into());
            return self.take(&need, told);
        }
        if listed.keyed() != one.keyed {
            let word = if one.keyed { "now has" } else { "no longer has" };
            return refuse(format!("an object {word} a user key: no migration adds or removes one"));
        }
        let Some(fields) = schema_texts::read(self.base, &listed) else {
            return refuse("the pool had no room for its fields, so its objects cannot be converted".into());
        };
        let renames = self.conf.map(|conf| Renames::of(conf, &one.name, &one.names()));
        let renames = renames.transpose().map_err(|error| vec![error.to_string()])?;
        let changes = renames.as_ref().map(Renames::changes).unwrap_or_default();
        let steps = Plan::steps_of(&fields, listed.size.load(), one, &changes)
            .map_err(|refusal| refusal.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
        told.fields = steps.iter().map(ToString::to_string).collect();
        let stride = stride_bytes(one.keyed, one.align as usize, one.bytes as usize).unwrap_or(0);
        let nanos = told.objects.saturating_mul(stride).saturating_mul(NANOS_PER_BYTE);
        told.time = Duration::from_nanos(nanos);
        self.take(&need, told)
    }

    fn has_parked(&self, id: u16) -> bool {
        let handles = self.base.header.quarantine.iter();
        { handles }
            .filter_map(|word| crate::object::Handle::from_bits(word.load()))
            .any(|h| h.type_id() == id)
    }

    /// Returns what a new form needs for the objects of the old one, and for the slots that the ini
    /// wants.
    fn need(&self, one: &TypeSchema, old: Option<&TypeInfo>) -> Result<Need, Refused> {
        let (pool_bytes, block) = (self.room.pool_bytes(), self.base.block_bytes());
        let (align, room) = (u64::from(one.align), block - limits::PAGE);
        let too_large = || vec![format!("no block of {} has room for an object", Bytes(block))];
        let stride = usize::try_from(one.bytes).ok();
        let stride = stride.and_then(|size| stride_bytes(one.keyed, one.align as usize, size));
        let stride = stride.filter(|stride| *stride <= room).ok_or_else(too_large)?;
        let plan = plan_slots(stride, align, pool_bytes, block).ok_or_else(too_large)?;
        let used = old.map_or(0, |old| self.extents.in_use(old, plan.shift));
        let wanted = self.capacity(one);
        let shift = old.map_or_else(|| plan_groups(pool_bytes, block), |old| old.group_shift.load());
        let kept = old.map_or(0, |old| self.extents.of_index(old));
        let groups = if one.keyed { kept.max(extents_of(groups_for_capacity(wanted), shift)) } else { 0 };
        let slots = used.max(extents_of(wanted.into(), plan.shift));
        Ok(Need { slots, slot_bytes: plan.bytes, groups, group_bytes: index_bytes(shift.min(40)), align })
    }

    /// Returns what a form that stays needs for the capacity that the ini wants.
    fn growth(&self, one: &TypeSchema, info: &TypeInfo) -> Need {
        let wanted = self.capacity(one);
        let more = u64::from(wanted).saturating_sub(self.extents.slots_of(info));
        let shift = info.group_shift.load();
        let groups = extents_of(groups_for_capacity(wanted), shift);
        let groups = groups.saturating_sub(self.extents.of_index(info));
        Need {
            slots: extents_of(more, info.shift.load()),
            slot_bytes: info.extent_bytes.load(),
            groups: if one.keyed { groups } else { 0 },
            group_bytes: index_bytes(shift.min(40)),
            align: one.align.into(),
        }
    }

    /// Returns the capacity that the ini gives a type.
    fn capacity(&self, one: &TypeSchema) -> u32 {
        self.conf.and_then(|conf| conf.type_conf(&one.name)).map_or(0, |of| of.capacity)
    }

    /// Takes the memory, so that what is left counts for the next type.
    fn take(&mut self, need: &Need, told: &mut TypeCompat) -> Result<(), Refused> {
        let Need { slots, slot_bytes, groups, group_bytes, align } = *need;
        told.needs =
            Bytes(slots.saturating_mul(slot_bytes).saturating_add(groups.saturating_mul(group_bytes)));
        let before = self.room.clone();
        let mut free = before.free();
        let (mut missing, mut rest) = self.try_take(need);
        if missing + rest != 0
            && let Some(room) = self.reclaimed(before)
        {
            let more = Bytes(room.free() - free);
            told.notes.push(format!("the start reclaims {more} from extents of other types without objects"));
            free += more.0;
            self.room = room;
            (missing, rest) = self.try_take(need);
        }
        if missing + rest == 0 {
            return Ok(());
        }
        let blocks =
            self.room.blocks_for(missing, slot_bytes, align) + self.room.blocks_for(rest, group_bytes, align);
        let (needs, free) = (told.needs, Bytes(free));
        let more = plural(blocks.max(1), "key");
        refuse(format!("it needs {needs}, and {free} are free: add {more} to ShmKeys"))
    }

    /// Takes the memory; returns how many extents of slots and of the index did not fit.
    fn try_take(&mut self, need: &Need) -> (u64, u64) {
        let missing = self.room.take(need.slots, need.slot_bytes, need.align);
        (missing, self.room.take(need.groups, need.group_bytes, need.align))
    }

    /// Reclaims extents without objects of the types that were added so far; `None` if there are none.
    fn reclaimed(&mut self, mut room: Room) -> Option<Room> {
        let extents = &self.extents;
        let of =
            |(info, keep): (At<TypeInfo>, u64)| extents.reclaimable(&info, keep, extents.objects(&info).0);
        let pieces: Vec<_> = self.settled.drain(..).flat_map(of).collect();
        room.give(&pieces);
        (!pieces.is_empty()).then_some(room)
    }
}

impl TypeSchema {
    /// Returns the names of the fields, as the schema text has them.
    fn names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name.clone()).collect()
    }
}

fn refuse(why: String) -> Result<(), Refused> {
    Err(vec![why])
}

/// Returns whether an entry describes the struct of the build.
fn is_form_of(info: &TypeInfo, one: &TypeSchema) -> bool {
    let stride = usize::try_from(one.bytes).ok();
    let stride = stride.and_then(|size| stride_bytes(one.keyed, one.align as usize, size));
    info.fingerprint.load() == one.fingerprint
        && info.size.load() == one.bytes
        && info.align.load() == one.align
        && info.head.load() as usize == head_bytes(one.keyed, one.align as usize)
        && Some(info.stride.load()) == stride
        && info.keyed() == one.keyed
}

/// Returns how many extents of `1 << shift` things have room for `count`.
fn extents_of(count: u64, shift: u32) -> u64 {
    count.div_ceil(1 << shift.min(40))
}

fn groups_for_capacity(capacity: u32) -> u64 {
    if capacity == 0 { 0 } else { groups_for(capacity) }
}
