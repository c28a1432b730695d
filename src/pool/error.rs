//! The errors of a pool, each with what to do about it.

use crate::conf::{ConfError, Place, ProcessConf};
use crate::object::Handle;
#[cfg(feature = "snapshots")]
use crate::pool::saver::SnapshotError;
use crate::pool::start::disagreement::Disagreement;
use crate::share::ShareError;
#[cfg(feature = "snapshots")]
use crate::snapshot::SetError;
use crate::units::{Bytes, Key, plural};
#[cfg(feature = "snapshots")]
use std::path::{Path, PathBuf};

/// Reasons why a pool could not be opened, or a type not be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The configuration breaks a rule of the ini.
    #[error("{0}")]
    Conf(#[from] ConfError),

    /// The segments could not be attached or created.
    #[error(transparent)]
    Share(#[from] ShareError),

    /// The ini names a folder for snapshots, which this build cannot write.
    #[error(
        "{place}: this program cannot write snapshots; build it with the feature `snapshots` of hotpool, or remove the line"
    )]
    NoSnapshots {
        /// Position of `SnapshotDir`.
        place: Place,
    },

    /// The pool does not exist, and its latest snapshot does not fit the configuration or the host.
    #[cfg(feature = "snapshots")]
    #[error(
        "there is no pool under {key}, and the latest snapshot was not restored: {why}; nothing was changed; to start without it, set OnMissing = cold"
    )]
    NotRestored {
        /// Base key.
        key: Key,
        /// Why it was not restored, and what to do.
        why: String,
    },

    /// The pool does not exist, and all of its snapshots are damaged.
    #[cfg(feature = "snapshots")]
    #[error(
        "there is no pool under {key}, and {} damaged, the latest because: {why}; nothing was changed; examine them with \
         `hotpool snapshots --verify {}`; to start without them, set OnMissing = cold",
        are_sets(*sets, dir),
        dir.display()
    )]
    NoWholeSet {
        /// Base key.
        key: Key,
        /// Folder of the sets.
        dir: PathBuf,
        /// Number of sets.
        sets: usize,
        /// What is wrong with the latest.
        why: String,
    },

    /// The folder of the snapshots cannot be listed.
    #[cfg(feature = "snapshots")]
    #[error("there is no pool under {key}, and its snapshots cannot be found: {source}; nothing was changed")]
    NoShelf {
        /// Base key.
        key: Key,
        /// Reason of the system.
        source: Box<SetError>,
    },

    /// The pool was closed, but its last snapshot could not be written.
    #[cfg(feature = "snapshots")]
    #[error("the pool is closed, and its last snapshot is absent: {0}")]
    LastSnapshot(#[from] SnapshotError),

    /// The base segment holds bytes that no pool has.
    #[error(
        "the base segment {key} of `{process}` is damaged: {what}; nothing was changed; examine it with `hotpool inspect --key {key}`, or give it up with `hotpool rm --key {key}`"
    )]
    Corrupt {
        /// Process name.
        process: String,
        /// Base key.
        key: Key,
        /// Rule that the bytes break.
        what: String,
    },

    /// The ini and the pool disagree in a way that would hide objects, or hand them to another process.
    #[error("{0}")]
    Disagrees(Box<Disagreement>),

    /// A file of the pool has a hole where it had bytes.
    #[error(
        "the file of segment {key} of `{process}` has a hole of {bytes} at offset {at:#x}, where bytes of the pool were: \
         it was truncated and made longer again, or copied without its zeros; nothing was changed; after such a copy, \
         copy it again with `cp --sparse=never`; otherwise restore a snapshot, or give up the objects with `hotpool rm` and \
         BaseKey {base}"
    )]
    Hole {
        /// Process name.
        process: String,
        /// Base key.
        base: Key,
        /// Segment key.
        key: Key,
        /// Offset of the hole.
        at: u64,
        /// Length of the hole, as far as the pool has allocated it.
        bytes: Bytes,
    },

    /// The base of a pool was removed, but some of its blocks exist.
    #[error(
        "{place}: there is no base under {base}, but {blocks} of a pool whose base is gone; nothing was changed; restore \
         its base from a snapshot if you have one; otherwise give up its objects with `{next}`",
        blocks = these(blocks)
    )]
    Orphans {
        /// Position of the blocks in the ini.
        place: Place,
        /// Base key.
        base: Key,
        /// Segment keys of the existing blocks.
        blocks: Vec<Key>,
        /// Command that removes them.
        next: String,
    },

    /// The ini names more blocks than a pool can have.
    #[error("{place}: {found} blocks, including earlier blocks of the pool, exceed the limit of {limit}")]
    TooManyBlocks {
        /// Position of the blocks in the ini.
        place: Place,
        /// Number of blocks.
        found: usize,
        /// Largest number of blocks.
        limit: u32,
    },

    /// One owner after another died before it was ready.
    #[error(
        "{place}: {} in a row died before ready(), the first {since} s ago, and OnCrashLoop = fail; nothing was changed; run `hotpool postmortem --key {key}`, then wait {wait} s, or start with OnCrashLoop = quarantine or cold",
        plural((*crashes).into(), "owner")
    )]
    CrashLoop {
        /// Section of the process.
        place: Place,
        /// Base key.
        key: Key,
        /// Number of owners.
        crashes: u32,
        /// Seconds since the first of them attached.
        since: u64,
        /// Seconds until the breaker allows another start.
        wait: u64,
    },

    /// The pool cannot be moved aside, because its post-mortem keys are in use.
    #[error(
        "`{process}` is in a crash loop and cannot be moved aside: {found}; if that is an earlier copy of this pool, the new pool has crashed as well, so the objects are not the cause: run `hotpool postmortem --key {base}`, then remove the copy with `hotpool rm --key {base}`"
    )]
    AsideTaken {
        /// Process name.
        process: String,
        /// Post-mortem key of the base.
        base: Key,
        /// Description of the segment under a post-mortem key.
        found: String,
    },

    /// The start would be cold, which `MustBeHot` refuses.
    #[error(
        "{place} = yes refuses a cold start, but {found}; to start cold on purpose, start once with MustBeHot = no"
    )]
    NotHot {
        /// Position of `MustBeHot`.
        place: Place,
        /// Description of what was found.
        found: String,
    },

    /// A struct differs from the one whose objects are in the pool.
    #[error("type `{name}` ({id}) of the pool under {key} has changed: {}; {} unchanged; start the build that used them last, or {}", differences.join("; "), kept(*objects), say(write))]
    TypeChanged {
        /// Name of the type.
        name: String,
        /// Type number.
        id: u16,
        /// Base key.
        key: Key,
        /// Differences, field by field.
        differences: Vec<String>,
        /// What to write in the source so that the objects are migrated: attributes, a line each, or
        /// one text with a `migration!`. Empty if nothing can convert them.
        write: Vec<String>,
        /// Number of objects of the type in the pool.
        objects: u64,
    },

    /// A line of the ini renames a field that a type does not have.
    #[error("{line}: {what}; correct or remove the line; nothing was changed")]
    BadRename {
        /// The line: file, line, column, section and key.
        line: String,
        /// What was found.
        what: String,
    },

    /// There is no memory for the new form of a changed type.
    #[error(
        "cannot migrate {} of `{name}` ({id}) in the pool under {key}: the new form needs {needs}, {free} are free; {remedy}; nothing was changed",
        plural(*objects, "object")
    )]
    NoRoomToMigrate {
        /// Name of the type.
        name: &'static str,
        /// Type number.
        id: u16,
        /// Base key.
        key: Key,
        /// Number of objects of the type.
        objects: u64,
        /// Bytes that the new form needs, in whole extents.
        needs: Bytes,
        /// Bytes of the blocks that are free.
        free: Bytes,
        /// What to do.
        remedy: String,
    },

    /// Objects of a changed type do not fit into their new form.
    #[error(
        "cannot migrate `{name}` ({id}) in the pool under {key}: {} of it do not fit into the new form; the first is {first}; change or free them with the build that created them; nothing was changed",
        plural(*objects, "object")
    )]
    DoesNotMigrate {
        /// Name of the type.
        name: &'static str,
        /// Type number.
        id: u16,
        /// Base key.
        key: Key,
        /// Number of such objects.
        objects: u64,
        /// The first of them, and why.
        first: String,
    },

    /// The struct of a type was renamed.
    #[error(
        "type {id} of the pool under {key} is called `{stored}`, but has the fields of `{name}`; if the struct was renamed, \
         keep the old name: #[pool(id = {id}, name = \"{stored}\")]; if it is another type, it needs another number"
    )]
    TypeRenamed {
        /// Name of the type that is being added.
        name: &'static str,
        /// Its type number.
        id: u16,
        /// Name of the type in the pool.
        stored: String,
        /// Base key.
        key: Key,
    },

    /// Another type has the type number.
    #[error(
        "type number {id} belongs to `{other}` in the pool under {key}; `{name}` needs another: #[pool(id = N)]"
    )]
    TypeIdTaken {
        /// Name of the type that is being added.
        name: &'static str,
        /// Its type number.
        id: u16,
        /// Name of the type that has the number.
        other: String,
        /// Base key.
        key: Key,
    },

    /// Another type of the pool has the name.
    #[error(
        "cannot add type {id}: the pool under {key} already has a type `{name}` with the number {other}; for the same \
         struct, keep that number: #[pool(id = {other})]; another struct needs another name: #[pool(id = {id}, name = \"…\")]"
    )]
    TypeNameTaken {
        /// Name of both types.
        name: &'static str,
        /// Number of the type that is being added.
        id: u16,
        /// Number of the type that has the name.
        other: u32,
        /// Base key.
        key: Key,
    },

    /// Objects of a type hold bytes that are no value of it, and cannot be put into quarantine.
    #[error(
        "cannot use type `{name}` ({id}) of the pool under {key}: {} hold bytes that are no value of it; the first is {first}, \
         and {why}; nothing was changed; restore a snapshot, or give up the pool with `hotpool rm --key {key}`",
        plural(*objects, "object")
    )]
    BadValues {
        /// Name of the type.
        name: &'static str,
        /// Type number.
        id: u16,
        /// Base key.
        key: Key,
        /// Number of such objects.
        objects: u64,
        /// Slot, field and content of the first.
        first: String,
        /// Why they cannot be put into quarantine.
        why: String,
    },

    /// No pool can hold objects of the type.
    #[error("type `{name}` cannot be kept in a pool: {why}")]
    TypeUnfit {
        /// Name of the type.
        name: &'static str,
        /// Reason.
        why: String,
    },

    /// One object does not fit into a block.
    #[error(
        "{place}: a slot of type `{name}` needs {needs} bytes, but a block of {block} has room for {room}; set BlockSize to at least {at_least}"
    )]
    BlockTooSmall {
        /// Position of the block size in the ini.
        place: Place,
        /// Name of the type.
        name: &'static str,
        /// Bytes of a slot with its share of the map.
        needs: u64,
        /// Block size.
        block: Bytes,
        /// Bytes of a block that slots can use.
        room: u64,
        /// Smallest sufficient block size.
        at_least: Bytes,
    },

    /// The object size in the ini differs from that of the program.
    #[error("{place}: states an object size of {wanted} bytes, but in this build it is {found} bytes")]
    ObjectSize {
        /// Position of the size in the ini.
        place: Place,
        /// Bytes in the ini.
        wanted: u64,
        /// Bytes in the program.
        found: u64,
    },

    /// The blocks have no room for the capacity that the ini requires.
    #[error("{place}: no room for {} of `{name}`: {source}", plural((*capacity).into(), "object"))]
    Capacity {
        /// Position of the capacity in the ini.
        place: Place,
        /// Name of the type.
        name: String,
        /// Required capacity.
        capacity: u32,
        /// What is missing.
        #[source]
        source: AllocError,
    },
}

impl PoolError {
    /// Returns the error if there is no address space for extents without memory.
    #[cold]
    pub(crate) fn no_zeros(conf: &ProcessConf, source: std::io::Error) -> Self {
        let (key, bytes) = (conf.base_key, conf.block_size);
        ShareError::System { key, bytes, call: "map zeros for", source, site: None }.into()
    }

    /// Creates the error of a damaged base.
    #[cold]
    pub(crate) fn corrupt(conf: &ProcessConf, what: impl ToString) -> Self {
        PoolError::Corrupt { process: conf.name.clone(), key: conf.base_key, what: what.to_string() }
    }
}

#[cfg(feature = "snapshots")]
fn are_sets(sets: usize, dir: &Path) -> String {
    match sets {
        1 => format!("its snapshot in {} is", dir.display()),
        _ => format!("all {sets} snapshots of it in {} are", dir.display()),
    }
}

/// Lists the first blocks by their keys, with their number.
fn these(blocks: &[Key]) -> String {
    const MOST: usize = 4;
    let named: Vec<String> = blocks.iter().take(MOST).map(Key::to_string).collect();
    let more = if blocks.len() > MOST { ", …" } else { "" };
    match blocks.len() {
        1 => format!("{} is 1 block", named.join("")),
        count => format!("{}{more} are {count} blocks", named.join(", ")),
    }
}

/// Reasons why an object could not be allocated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocError {
    /// The pool has no room for another object of the type.
    #[error("{0}")]
    Full(Box<Full>),
    /// An object already has this user key.
    #[error("object {holder} already has the user key {key}")]
    KeyExists {
        /// The user key.
        key: u64,
        /// Handle of that object.
        holder: Handle,
    },
    /// The index has no free entry for a user key, however large it grows.
    #[error(
        "cannot add the user key {key} to `{type_name}`: the index groups for it are full of keys with the same hash; an object that a transaction frees keeps its entry until the commit, so commit before you use the key again, or use other keys"
    )]
    Crowded {
        /// Name of the type.
        type_name: Box<str>,
        /// The user key.
        key: u64,
    },
    /// `add_type` was not called for the type, or failed.
    #[error("type `{0}` was not added to the pool; call add_type first")]
    NotAdded(&'static str),
}

/// Reasons why an object of the program could not be placed in a pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A part of it has no room in its form.
    #[error(transparent)]
    DoesNotFit(#[from] crate::object::DoesNotFit),
    /// The pool has no room for another object, or the user key exists.
    #[error(transparent)]
    Alloc(#[from] AllocError),
}

/// Returns what to do about a changed struct.
fn say(write: &[String]) -> String {
    match write {
        [] => "free them with that build first".into(),
        [function] if function.contains("migration!") => {
            let function = function.replace('\n', "\n  ").replace("\n  \n", "\n\n");
            format!("write a function to keep the values:\n  {function}")
        }
        _ => format!("say in the source what has become of each field:\n  {}", write.join("\n  ")),
    }
}

fn kept(objects: u64) -> String {
    format!("its {} {} kept", plural(objects, "object"), if objects == 1 { "is" } else { "are" })
}

/// A pool without room for another object of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no room for another `{type_name}`: {len} live and {retired} retired of {}, {free} free in {}; {remedy}",
    plural((*capacity).into(), "slot"),
    plural(*blocks as u64, "block")
)]
#[non_exhaustive]
pub struct Full {
    /// Name of the type.
    pub type_name: String,
    /// Number of live objects.
    pub len: u64,
    /// Number of retired slots.
    pub retired: u64,
    /// Number of slots that have memory.
    pub capacity: u32,
    /// Bytes of the blocks that belong to no extent.
    pub free: Bytes,
    /// Number of blocks of the pool.
    pub blocks: usize,
    /// What to do.
    pub remedy: String,
}
