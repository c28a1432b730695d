//! Compares an ini with a waiting pool, rule by rule of `disagreement.rs`.

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
use crate::units::{Bytes, Key, plural};
use std::cell::LazyCell;
use std::collections::HashSet;

/// Returns the position of an ini key of the process.
pub(crate) fn place(conf: &ProcessConf, key: &str) -> Place {
    match key {
        "BaseKey" => conf.places.base_key.clone(),
        "BlockSize" => conf.places.block_size.clone(),
        "ShmKeys" => conf.places.shm_keys.clone(),
        key => Place { key: key.into(), ..conf.places.section.clone() },
    }
}

/// Creates a disagreement about an ini key of the process.
pub(crate) fn found(conf: &ProcessConf, rule: &'static Rule, found: String, next: String) -> Disagreement {
    Disagreement { rule, place: place(conf, rule.key), found, next }
}

/// The facts about a pool that an ini is compared with.
pub(crate) struct Stored<'a> {
    pub(crate) base: &'a Base,
    pub(crate) facts: &'a Facts,
    /// Size of a page of the base in bytes.
    pub(crate) page: u64,
}

/// Returns every disagreement of an ini with the pool under its base key.
pub(crate) fn compare(conf: &ProcessConf, stored: &Stored<'_>) -> Vec<Disagreement> {
    let rules = [process, block_size, undo_size, mode, pages];
    let one = rules.into_iter().filter_map(|rule| rule(conf, stored));
    let large = stored
        .base
        .used_types()
        .filter_map(|info| never_updated(conf, stored.base, &info.name(), info.size.load()));
    one.chain(large).chain(blocks(conf, stored)).chain(object_sizes(conf, stored)).collect()
}

/// Refuses the start if a disagreement requires it; otherwise logs and returns all.
pub(crate) fn judge(found: Vec<Disagreement>) -> Result<Vec<Disagreement>, PoolError> {
    if let Some(refusal) = found.iter().find(|one| one.rule.severity == Severity::Refused) {
        return Err(PoolError::Disagrees(Box::new(refusal.clone())));
    }
    for one in &found {
        log::warn!("{one}");
    }
    Ok(found)
}

/// Returns the command that removes a pool.
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
        format!("the pool under {} belongs to the process {name:?}, not to {:?}", conf.base_key, conf.name);
    let next = format!(
        "give each process the BaseKey of its own pool; if {name:?} was renamed, write FormerName = {name}; if the \
         pool is no longer needed, run {}",
        removal(conf)
    );
    Some(Disagreement { place: conf.places.base_key.clone(), ..found(conf, &OTHER_PROCESS, said, next) })
}

fn block_size(conf: &ProcessConf, stored: &Stored<'_>) -> Option<Disagreement> {
    let (key, has, wanted) = (conf.base_key, Bytes(stored.base.block_bytes()), conf.block_size);
    let said = || format!("the blocks of the pool under {key} have {has}, but the ini requires {wanted}");
    let next = || format!("set it back to {has}, or empty the pool with {} and start cold", removal(conf));
    (has != wanted).then(|| found(conf, &BLOCK_SIZE, said(), next()))
}

fn undo_size(conf: &ProcessConf, stored: &Stored<'_>) -> Option<Disagreement> {
    let has = Bytes(stored.base.header.geometry.lanes_bytes.load());
    let said = || {
        format!(
            "the pool under {} keeps its undo log of {has}, but the ini requires {}",
            conf.base_key, conf.undo_size
        )
    };
    let next = || format!("set UndoSize = {has}, or empty the pool with {} and start cold", removal(conf));
    (has != conf.undo_size).then(|| found(conf, &UNDO_SIZE, said(), next()))
}

fn mode(conf: &ProcessConf, stored: &Stored<'_>) -> Option<Disagreement> {
    // The verdict has refused a wider mode already, before any byte of the segment was trusted.
    let has = stored.facts.segment.as_ref()?.mode;
    let said = || {
        format!(
            "the segment under {} keeps its mode {has:04o}, but the ini requires {:04o}",
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
    let said = format!("the pool under {} keeps its {is}, but the ini has HugePages = {says}", conf.base_key);
    let next = format!("empty the pool with {} and start cold, or leave it", removal(conf));
    (conf.backend == BackendKind::Sysv).then(|| found(conf, &PAGES, said, next))
}

/// Returns disagreements about blocks that the ini does not name.
///
/// The order of `ShmKeys` has no meaning, and a key that the pool does not have makes it grow.
fn blocks(conf: &ProcessConf, stored: &Stored<'_>) -> Vec<Disagreement> {
    let base = stored.base;
    let named: HashSet<u32> = conf.shm_keys.iter().map(|key| key.0).collect();
    let taken = LazyCell::new(|| base.taken());
    let blocks = (0..base.nblocks()).filter_map(|number| Some((number, base.blocks.get(number)?)));
    let unnamed = blocks.filter(|(_, block)| !named.contains(&block.key.load()));
    let dropped = unnamed.filter_map(|(number, block)| {
        let (key, used) = (Key(block.key.load()), taken.of(number as u32));
        if used != 0 {
            return Some(dropped(conf, key, used));
        }
        let said = || format!("the ini no longer names block {key}, which is empty: the pool gives it up");
        let next = || format!("put it back, or remove its segment with `hotpool rm --key {key}`");
        (block.state.load() != BLOCK_VACANT).then(|| found(conf, &BLOCK_GIVEN_UP, said(), next()))
    });
    dropped.collect()
}

/// Returns the disagreement about a block in use that the ini does not name.
pub(crate) fn dropped(conf: &ProcessConf, block: Key, used: u64) -> Disagreement {
    let base = conf.base_key;
    let said = format!(
        "the ini no longer names block {block}, of which the pool under {base} uses {}",
        plural(used, "byte")
    );
    found(conf, &BLOCK_DROPPED, said, "put it back".into())
}

fn object_sizes(conf: &ProcessConf, stored: &Stored<'_>) -> Vec<Disagreement> {
    let types = stored.base.used_types().filter_map(|info| {
        let of = conf.type_conf(&info.name())?;
        let (says, has) = (of.object_bytes?, info.size.load());
        let said = || {
            format!(
                "objects of {} in the pool under {} have {has} bytes, but the ini states {says}",
                of.name, conf.base_key
            )
        };
        let next = || {
            format!(
                "write the object size of this build; objects of {has} bytes need the build that created them"
            )
        };
        (says != has)
            .then(|| Disagreement { place: of.place.clone(), ..found(conf, &OBJECT_SIZE, said(), next()) })
    });
    types.collect()
}

/// Returns the disagreement if the undo log is too small for the type, so that every `update` would
/// fail.
#[cold]
pub(crate) fn never_updated(conf: &ProcessConf, base: &Base, name: &str, size: u64) -> Option<Disagreement> {
    let lane = base.header.geometry.lanes_bytes.load();
    let needs = record_bytes(size);
    if needs <= record_room(lane) {
        return None;
    }
    let (has, max) = (Bytes(lane), Bytes(limits::MAX_UNDO_BYTES));
    let said = format!(
        "an object of {name} has {size} bytes, but the undo log of the pool under {} has {has}: `update` and \
         `Tx::get_mut` always fail for this type",
        conf.base_key
    );
    let next = match undo_size_for(needs) {
        None => {
            format!("write them through `get_mut` only, or make them smaller: the largest UndoSize is {max}")
        }
        Some(enough) => format!(
            "set UndoSize = {} and create the pool anew (empty it with {}), or write them through `get_mut` only",
            enough.max(conf.undo_size),
            removal(conf)
        ),
    };
    Some(found(conf, &NEVER_UPDATED, said, next))
}

/// Returns types that the ini names and the program has not added; it has added those of `names`.
pub(crate) fn never_added(conf: &ProcessConf, names: &[String]) -> Vec<Disagreement> {
    let missing = conf.types.iter().filter(|of| !names.contains(&of.name));
    let tell = |of: &crate::conf::TypeConf| {
        let said = format!("the program has not added a type {}, so this line has no effect", of.name);
        let next = "correct the name, or remove the line".into();
        Disagreement { place: of.place.clone(), ..found(conf, &NEVER_ADDED, said, next) }
    };
    let renames = conf.renames.iter().filter(|one| !names.iter().any(|name| one.is_of(name))).map(|one| {
        let said = format!("the program has not added a type {}, so this line has no effect", one.type_name);
        let next = "correct the name of the type, or remove the line".into();
        Disagreement { place: one.place.clone(), ..found(conf, &NEVER_ADDED, said, next) }
    });
    missing.map(tell).chain(renames).collect()
}

/// Returns the disagreement about a type of which the pool holds objects, and which the program has
/// not added.
pub(crate) fn left_behind(conf: &ProcessConf, name: &str, objects: u64) -> Disagreement {
    let said = format!(
        "the pool under {} holds {} of {name}, but the program has not added the type",
        conf.base_key,
        plural(objects, "object")
    );
    let next = "add the type, or free its objects with a build that has it: they keep their memory".into();
    found(conf, &LEFT_BEHIND, said, next)
}

/// Compares the types of the ini with those of the pool, for a tool.
///
/// A tool cannot see which types a program adds.
pub(crate) fn compare_types(conf: &ProcessConf, base: &Base) -> Vec<Disagreement> {
    let used: Vec<String> = base.used_types().map(|info| info.name()).collect();
    let mut all = Vec::new();
    if base.header.ready_wall.load() != 0 {
        all = never_added(conf, &used);
    }
    let unnamed = base.used_types().filter(|info| conf.type_conf(&info.name()).is_none());
    // An ini without types makes no statement about any.
    for info in unnamed.filter(|info| !conf.types.is_empty() && info.len(false) != 0) {
        let (name, objects) = (info.name(), plural(info.len(false), "object"));
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

/// Returns where segments are, for a message: `System V memory`, `/dev/shm`, or a folder.
pub(crate) fn where_is(home: &Home) -> String {
    match home.backend {
        BackendKind::Sysv => "System V memory".into(),
        BackendKind::Posix => "/dev/shm".into(),
        BackendKind::File => home.dir.display().to_string(),
        BackendKind::Heap => "memory of this process".into(),
    }
}
