//! Adds types to a pool, and compares them with the entries in the segment.

use crate::commits::Commit;
use crate::conf::{Place, ProcessConf};
use crate::layout::{FLAG_KEYED, TypeInfo, fill_text};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::object::diff;
use crate::pool::error::PoolError;
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::extents::Space;
use crate::pool::store::renames::Renames;
use crate::pool::store::schema_texts;
use crate::pool::store::shape::{check, index_bytes, plan_groups, plan_slots};
use crate::pool::store::wanted::Wanted;
use crate::region::At;
use crate::units::{Bytes, Key};

/// The parts of a pool that are needed to add a type.
pub(crate) struct Setting<'a> {
    pub(crate) base: &'a Base,
    pub(crate) space: &'a Space,
    pub(crate) chains: &'a Chains,
    pub(crate) conf: &'a ProcessConf,
    pub(crate) last_generation: u32,
}

impl Setting<'_> {
    fn key(&self) -> Key {
        self.conf.base_key
    }
}

/// What the pool has of a type that this build adds.
pub(crate) enum Standing {
    /// Nothing.
    New,
    /// Its form in force is that of this build.
    Same(At<TypeInfo>),
    /// Its form in force is another one. With the entry that the list of types names.
    Changed(At<TypeInfo>),
}

/// Compares a type of this build with the pool, without a change.
pub(crate) fn find(setting: &Setting<'_>, wanted: &Wanted) -> Result<Standing, PoolError> {
    check_fit(setting, wanted)?;
    let base = setting.base;
    let id = u32::from(wanted.id);
    let Some(listed) = base.listed_types().find(|info| info.id.load() == id) else {
        // The ini and the tools identify a type by its name.
        if let Some(other) = base.used_types().find(|other| other.name() == wanted.name) {
            let (name, id, other) = (wanted.name, wanted.id, other.id.load());
            return Err(PoolError::TypeNameTaken { name, id, other, key: setting.key() });
        }
        return Ok(Standing::New);
    };
    let info = base.in_force(listed);
    for form in [&info, &listed] {
        let checked = check(form, form.place(), base.block_bytes());
        checked.map_err(|what| damaged(setting, wanted, what.as_str()))?;
    }
    let (name, id, stored, key) = (wanted.name, wanted.id, info.name(), setting.key());
    match (stored == name, is_form_of(&info, wanted)) {
        (true, true) => Ok(Standing::Same(info)),
        (true, false) => Ok(Standing::Changed(listed)),
        (false, true) => Err(PoolError::TypeRenamed { name, id, stored, key }),
        (false, false) => Err(PoolError::TypeIdTaken { name, id, other: stored, key }),
    }
}

/// Returns whether an entry describes the struct of this build.
pub(crate) fn is_form_of(info: &TypeInfo, wanted: &Wanted) -> bool {
    info.fingerprint.load() == wanted.fingerprint
        && info.size.load() == wanted.size as u64
        && info.align.load() == wanted.align as u32
        && Some(info.stride.load()) == wanted.stride()
        && info.keyed() == wanted.keyed
}

fn damaged(setting: &Setting<'_>, wanted: &Wanted, what: &str) -> PoolError {
    let what = format!("type `{}`: {what}", wanted.name);
    PoolError::Corrupt { process: setting.conf.name.clone(), key: setting.key(), what }
}

/// Returns the error for a type number that no table has.
pub(crate) fn unfit_number(wanted: &Wanted) -> PoolError {
    unfit(wanted, "its number is above 1023")
}

fn unfit(wanted: &Wanted, why: &str) -> PoolError {
    PoolError::TypeUnfit { name: wanted.name, why: why.into() }
}

/// Refuses types that no pool can hold, and types that contradict the ini.
fn check_fit(setting: &Setting<'_>, wanted: &Wanted) -> Result<(), PoolError> {
    if wanted.id == 0 || wanted.id > limits::MAX_TYPE_ID {
        return Err(unfit(wanted, "its number must be 1 to 1023"));
    }
    if wanted.name.is_empty() || wanted.name.len() > limits::MAX_TYPE_NAME {
        return Err(unfit(wanted, "its name must have 1 to 47 bytes"));
    }
    if wanted.size == 0 {
        return Err(unfit(wanted, "it has no bytes"));
    }
    if wanted.align > limits::MAX_ALIGN {
        return Err(unfit(wanted, "its alignment is above a page"));
    }
    if !setting.conf.renames.is_empty() {
        Renames::of(setting.conf, wanted.name, &wanted.field_names())?;
    }
    let found = wanted.size as u64;
    match setting.conf.type_conf(wanted.name) {
        Some(conf) if conf.object_bytes.is_some_and(|bytes| bytes != found) => Err(PoolError::ObjectSize {
            place: conf.place.clone(),
            wanted: conf.object_bytes.unwrap_or(0),
            found,
        }),
        _ => Ok(()),
    }
}

/// Returns the error of a struct that has changed in a way that needs a word in its source.
#[cold]
pub(crate) fn changed(
    setting: &Setting<'_>,
    wanted: &Wanted,
    info: &TypeInfo,
    write: Vec<String>,
) -> PoolError {
    PoolError::TypeChanged {
        name: wanted.name.into(),
        id: wanted.id,
        key: setting.key(),
        differences: differences(setting.base, wanted, info),
        write,
        objects: setting.space.objects(setting.chains, info),
    }
}

/// Returns the differences, field by field as far as the segment has the fields.
fn differences(base: &Base, wanted: &Wanted, info: &TypeInfo) -> Vec<String> {
    let mut found = Vec::new();
    if info.keyed() != wanted.keyed {
        let word = |keyed| if keyed { "has" } else { "has no" };
        found.push(format!(
            "an object had {} user key, now it {} one",
            if info.keyed() { "a" } else { "no" },
            word(wanted.keyed)
        ));
    }
    if info.align.load() != wanted.align as u32 {
        found.push(format!("its alignment was {}, is {}", info.align.load(), wanted.align));
    }
    match schema_texts::read(base, info) {
        Some(old) => found.extend(
            diff(&old, info.size.load(), wanted.fields, wanted.size as u64).iter().map(ToString::to_string),
        ),
        None => found.push(format!(
            "it had {} bytes, has {} bytes; its old fields were not kept",
            info.size.load(),
            wanted.size
        )),
    }
    if found.is_empty() {
        found.push("the fingerprint of its fields differs".into());
    }
    found
}

/// Adds a new type. The store to `ntypes` commits.
///
/// If killed before that store, no table refers to the entry, and the next add of the type writes
/// it again.
pub(crate) fn add(setting: &Setting<'_>, wanted: &Wanted) -> Result<At<TypeInfo>, PoolError> {
    let base = setting.base;
    let count = base.header.ntypes.load();
    if count >= limits::MAX_TYPE_ID.into() {
        return Err(damaged(setting, wanted, "the pool has no room for another type"));
    }
    if planted(Mutant::TypeCountsFirst) {
        Commit::Type.store(&base.header.ntypes, count + 1);
    }
    let info = describe(setting, wanted, None)?;
    if let Some(entry) = base.header.order.get(count as usize) {
        entry.fill(info.place().into());
    }
    Commit::Type.store(&base.header.ntypes, count + 1);
    Ok(info)
}

/// Writes the entry of a form in an unused place. `group_shift` is that of another form whose index
/// it will have.
pub(crate) fn describe(
    setting: &Setting<'_>,
    wanted: &Wanted,
    group_shift: Option<u32>,
) -> Result<At<TypeInfo>, PoolError> {
    let (base, block) = (setting.base, setting.base.block_bytes());
    let place = base.unused_place(wanted.id);
    let place = place.ok_or_else(|| damaged(setting, wanted, "the table of types has no unused entry"))?;
    let info = base.types.at(place.into()).ok_or_else(|| unfit_number(wanted))?;
    let align = wanted.align as u64;
    let stride = wanted.stride().ok_or_else(|| unfit(wanted, "it is too large"))?;
    let pool_bytes = setting.space.bytes();
    let plan =
        plan_slots(stride, align, pool_bytes, block).ok_or_else(|| too_large(setting, wanted, stride))?;
    let group_shift = group_shift.unwrap_or_else(|| plan_groups(pool_bytes, block));
    info.id.fill(wanted.id.into());
    info.flags.fill(if wanted.keyed { FLAG_KEYED } else { 0 });
    info.fingerprint.fill(wanted.fingerprint);
    info.size.fill(wanted.size as u64);
    info.stride.fill(stride);
    info.head.fill(wanted.head() as u32);
    info.align.fill(align as u32);
    info.shift.fill(plan.shift);
    info.group_shift.fill(group_shift);
    info.extent_bytes.fill(plan.bytes);
    info.map_bytes.fill(plan.map_bytes);
    info.index_bytes.fill(index_bytes(group_shift));
    info.last_generation.fill(setting.last_generation);
    fill_text(&info.name, wanted.name);
    info.place.fill(if place == wanted.id { 0 } else { place.into() });
    schema_texts::write(base, wanted, &info);
    info.check.fill(info.sum());
    let counts = [&info.tally, &info.high_water, &info.retired, &info.groups, &info.hollow];
    for word in counts.into_iter().chain([&info.filling, &info.newer]) {
        word.fill(0);
    }
    Ok(info)
}

fn too_large(setting: &Setting<'_>, wanted: &Wanted, stride: u64) -> PoolError {
    let needs = stride + (wanted.align as u64).max(64);
    let at_least = needs.next_multiple_of(limits::PAGE) + limits::PAGE;
    PoolError::BlockTooSmall {
        place: setting.conf.places.block_size.clone(),
        name: wanted.name,
        needs,
        block: Bytes(setting.base.block_bytes()),
        room: setting.base.block_bytes() - limits::PAGE,
        at_least: Bytes(at_least),
    }
}

/// Returns the capacity that the ini requires, and its position.
pub(crate) fn wanted_capacity(conf: &ProcessConf, name: &str) -> Option<(u32, Place)> {
    conf.type_conf(name).map(|conf| (conf.capacity, conf.place.clone()))
}
