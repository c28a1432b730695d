//! Compares an ini with the pool that waits for it, rule by rule of `disagreement.rs`.

use crate::conf::{BackendKind, HugePages, Place, ProcessConf};
use crate::layout::{BLOCK_VACANT, text};
use crate::limits::{self, HUGE_PAGE};
use crate::pool::change::undo::{record_bytes, record_room, undo_size_for};
use crate::pool::error::PoolError;
use crate::pool::start::disagreement::{
    BLOCK_DROPPED, BLOCK_GIVEN_UP, BLOCK_SIZE, Disagreement, LEFT_BEHIND, MODE, NEVER_ADDED, NEVER_UPDATED,
    OBJECT_SIZE, OTHER_PROCESS, PAGES, Rule, Severity, UNDO_SIZE,
};
use crate::pool::store::base::Base;
use crate::share::{Facts, Home};
use crate::units::{Bytes, Key};

/// The place of a key of a process.
pub(crate) fn place(conf: &ProcessConf, key: &str) -> Place {
    match key {
        "BaseKey" => conf.places.base_key.clone(),
        "BlockSize" => conf.places.block_size.clone(),
        "ShmKeys" => conf.places.shm_keys.clone(),
        key => Place { key: key.into(), ..conf.places.section.clone() },
    }
}

/// A finding about a key of the process.
pub(crate) fn found(conf: &ProcessConf, rule: &'static Rule, found: String, next: String) -> Disagreement {
    Disagreement { rule, place: place(conf, rule.key), found, next }
}

/// What the header of a pool and the kernel say of it.
pub(crate) struct Stored<'a> {
    pub(crate) base: &'a Base,
    pub(crate) facts: &'a Facts,
    /// Bytes of a page of the base.
    pub(crate) page: u64,
}

/// Everything in which an ini disagrees with the pool under its base key.
pub(crate) fn compare(conf: &ProcessConf, stored: &Stored<'_>) -> Vec<Disagreement> {
    let rules = [process, block_size, undo_size, mode, pages];
    let one = rules.into_iter().filter_map(|rule| rule(conf, stored));
    let large = stored
        .base
        .used_types()
        .filter_map(|info| never_updated(conf, stored.base, &info.name(), info.size.load()));
    one.chain(large).chain(blocks(conf, stored)).chain(object_sizes(conf, stored)).collect()
}

/// Refuses what has to be refused; logs and returns the rest.
pub(crate) fn judge(found: Vec<Disagreement>) -> Result<Vec<Disagreement>, PoolError> {
    if let Some(refusal) = found.iter().find(|one| one.rule.severity == Severity::Refused) {
        return Err(PoolError::Disagrees(Box::new(refusal.clone())));
    }
    for one in &found {
        log::warn!("{one}");
    }
    Ok(found)
}

/// The arguments by which `rm` finds a pool.
pub(crate) fn removal(conf: &ProcessConf) -> String {
    match conf.places.section.file.as_os_str().is_empty() {
        _ if matches!(conf.backend, BackendKind::Sysv | BackendKind::Heap) => {
            format!("`hotpool rm --key {}`", conf.base_key)
        }
        true => format!("`hotpool rm --conf` of its ini, process {}", conf.name),
        false => {
            format!("`hotpool rm --conf {} --process {}`", conf.places.section.file.display(), conf.name)
        }
    }
}

fn process(conf: &ProcessConf, stored: &Stored<'_>) -> Option<Disagreement> {
    let name = text(&stored.base.header.geometry.process);
    if name == conf.name || conf.former_name.as_ref() == Some(&name) {
        return None;
    }
    let said =
        format!("the pool under {} is that of the process {name:?}, not of {:?}", conf.base_key, conf.name);
    let next = format!(
        "give each process the BaseKey of its own pool; if {name:?} was renamed, write FormerName = {name}; if the \
         pool is of no use any more, run {}",
        removal(conf)
    );
    Some(Disagreement { place: conf.places.base_key.clone(), ..found(conf, &OTHER_PROCESS, said, next) })
}

fn block_size(conf: &ProcessConf, stored: &Stored<'_>) -> Option<Disagreement> {
    let (key, has, wanted) = (conf.base_key, Bytes(stored.base.block_bytes()), conf.block_size);
    let said = || format!("the blocks of the pool in {key} are of {has}, the ini says {wanted}");
    let next = || format!("set it back to {has}, or empty the pool with {} and start cold", removal(conf));
    (has != wanted).then(|| found(conf, &BLOCK_SIZE, said(), next()))
}

fn undo_size(conf: &ProcessConf, stored: &Stored<'_>) -> Option<Disagreement> {
    let has = Bytes(stored.base.header.geometry.lanes_bytes.load());
    let said = || {
        format!(
            "the pool under {} keeps its undo log of {has}, the ini says {}",
            conf.base_key, conf.undo_size
        )
    };
    let next = || format!("set UndoSize = {has}, or empty the pool with {} and start cold", removal(conf));
    (has != conf.undo_size).then(|| found(conf, &UNDO_SIZE, said(), next()))
}

fn mode(conf: &ProcessConf, stored: &Stored<'_>) -> Option<Disagreement> {
    // A wider one is refused by the verdict, before anything of the segment is believed.
    let has = stored.facts.segment.as_ref()?.mode;
    let said = || {
        format!(
            "the segment under {} keeps its mode {has:04o}, the ini says {:04o}",
            conf.base_key, conf.mode
        )
    };
    let next = || format!("set Mode = {has:04o}, or empty the pool with {} and start cold", removal(conf));
    (conf.backend != BackendKind::Heap && conf.mode & !has != 0).then(|| found(conf, &MODE, said(), next()))
}

fn pages(conf: &ProcessConf, stored: &Stored<'_>) -> Option<Disagreement> {
    let reserved = stored.page >= HUGE_PAGE;
    let wanted = conf.memory.huge_pages;
    let (is, says) = match (wanted, reserved) {
        (HugePages::On, false) => ("small pages", "on"),
        (HugePages::Off, true) => ("reserved pages of 2 MiB", "off"),
        _ => return None,
    };
    let said = format!("the pool under {} keeps its {is}, the ini says {says}", conf.base_key);
    let next = format!("empty the pool with {} and start cold, or leave it", removal(conf));
    (conf.backend == BackendKind::Sysv).then(|| found(conf, &PAGES, said, next))
}

/// Blocks of the pool that the ini does not name. The order of `ShmKeys` means nothing, and a key that the pool does not
/// have is an order to grow.
fn blocks(conf: &ProcessConf, stored: &Stored<'_>) -> Vec<Disagreement> {
    let base = stored.base;
    let blocks = (0..base.nblocks()).filter_map(|number| Some((number, base.blocks.get(number)?)));
    let unnamed = blocks.filter(|(_, block)| !conf.shm_keys.contains(&Key(block.key.load())));
    let dropped = unnamed.filter_map(|(number, block)| {
        let (key, used) = (Key(block.key.load()), base.taken(number as u32));
        if used != 0 {
            return Some(dropped(conf, key, used));
        }
        let said = || format!("block {key} is empty and not named any more: the pool gives it up");
        let next = || format!("put it back, or remove its segment with `hotpool rm --key {key}`");
        (block.state.load() != BLOCK_VACANT).then(|| found(conf, &BLOCK_GIVEN_UP, said(), next()))
    });
    dropped.collect()
}

/// A block in use that the ini does not name.
pub(crate) fn dropped(conf: &ProcessConf, block: Key, used: u64) -> Disagreement {
    let (base, used) = (conf.base_key, Bytes(used));
    let said = format!("block {block}, which the pool in {base} uses ({used} taken), is not named any more");
    found(conf, &BLOCK_DROPPED, said, "put it back".into())
}

fn object_sizes(conf: &ProcessConf, stored: &Stored<'_>) -> Vec<Disagreement> {
    let types = stored.base.used_types().filter_map(|info| {
        let of = conf.type_conf(&info.name())?;
        let (says, has) = (of.object_bytes?, info.size.load());
        let said = || {
            format!("objects of {} in the pool under {} have {has} bytes, the ini says {says}", of.name, conf.base_key)
        };
        let next = || {
            format!("write the size of the build that is started; objects of {has} bytes need the build that made them")
        };
        (says != has).then(|| Disagreement { place: of.place.clone(), ..found(conf, &OBJECT_SIZE, said(), next()) })
    });
    types.collect()
}

/// Objects of a type whose old bytes the undo log of the pool cannot hold: each `update` of them would fail.
#[cold]
pub(crate) fn never_updated(conf: &ProcessConf, base: &Base, name: &str, size: u64) -> Option<Disagreement> {
    let lane = base.header.geometry.lanes_bytes.load();
    let needs = record_bytes(size);
    if needs <= record_room(lane) {
        return None;
    }
    let (has, max) = (Bytes(lane), Bytes(limits::MAX_UNDO_BYTES));
    let said = format!(
        "an object of {name} has {size} bytes, and the undo log of the pool under {} is of {has}: `update` and \
         `Tx::get_mut` refuse each of them",
        conf.base_key
    );
    let next = match undo_size_for(needs) {
        None => {
            format!("write them through `get_mut` only, or make them smaller: the largest UndoSize is {max}")
        }
        Some(enough) => format!(
            "set UndoSize = {} and make the pool anew (empty it with {}), or write them through `get_mut` only",
            enough.max(conf.undo_size),
            removal(conf)
        ),
    };
    Some(found(conf, &NEVER_UPDATED, said, next))
}

/// Types of which the ini says something and which the program has not added.
pub(crate) fn never_added(conf: &ProcessConf, is_added: impl Fn(&str) -> bool) -> Vec<Disagreement> {
    let missing = conf.types.iter().filter(|of| !is_added(&of.name));
    let tell = |of: &crate::conf::TypeConf| {
        let said = format!("the program has not added a type {}, so this line has no effect", of.name);
        let next = "correct the name, or remove the line".into();
        Disagreement { place: of.place.clone(), ..found(conf, &NEVER_ADDED, said, next) }
    };
    missing.map(tell).collect()
}

/// A type of which the pool holds objects, and which the program has not added.
pub(crate) fn left_behind(conf: &ProcessConf, name: &str, objects: u64) -> Disagreement {
    let said = format!(
        "the pool under {} holds {} of {name}, which the program has not added",
        conf.base_key,
        objects_of(objects)
    );
    let next = "add the type, or free its objects with a build that has it: they keep their memory".into();
    found(conf, &LEFT_BEHIND, said, next)
}

/// What the types of the ini and those of the pool say of each other, as far as a tool can know: it does not see which
/// types a program adds.
pub(crate) fn compare_types(conf: &ProcessConf, base: &Base) -> Vec<Disagreement> {
    let is_used = |name: &str| base.used_types().any(|info| info.name() == name);
    let mut all = Vec::new();
    if base.header.ready_wall.load() != 0 {
        all = never_added(conf, is_used);
    }
    let unnamed = base.used_types().filter(|info| conf.type_conf(&info.name()).is_none());
    // An ini without types says nothing of any.
    for info in unnamed.filter(|info| !conf.types.is_empty() && info.len(false) != 0) {
        let (name, objects) = (info.name(), objects_of(info.len(false)));
        let said = format!(
            "the pool under {} holds {objects} of {name}, which the ini does not name",
            conf.base_key
        );
        let next = format!(
            "put {name} back; if the program does not add it any more, free its objects with a build that does: they \
             keep their memory"
        );
        all.push(found(conf, &LEFT_BEHIND, said, next));
    }
    all
}

fn objects_of(count: u64) -> String {
    if count == 1 { "1 object".into() } else { format!("{count} objects") }
}

/// A place for people: `System V memory`, `/dev/shm`, a folder.
pub(crate) fn where_is(home: &Home) -> String {
    match home.backend {
        BackendKind::Sysv => "System V memory".into(),
        BackendKind::Posix => "/dev/shm".into(),
        BackendKind::File => home.dir.display().to_string(),
        BackendKind::Heap => "memory of this process".into(),
    }
}
