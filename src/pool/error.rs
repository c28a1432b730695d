//! What can go wrong in a pool, and what to do about it.

use crate::conf::{ConfError, Place, ProcessConf};
use crate::object::Handle;
use crate::pool::start::disagreement::Disagreement;
use crate::share::ShareError;
use crate::units::{Bytes, Key};

/// Why a pool could not be opened, or a type not be added to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The configuration breaks a rule of the ini.
    #[error("{0}")]
    Conf(#[from] ConfError),

    /// The segments could not be had.
    #[error(transparent)]
    Share(#[from] ShareError),

    /// The base segment holds bytes that no pool of ours has.
    #[error(
        "the base segment {key} of `{process}` is damaged: {what}; nothing was changed; keep it for a look with `hotpool ls`, or give it up with `hotpool rm --key {key}`"
    )]
    Corrupt {
        /// Process of the ini.
        process: String,
        /// Key of the base segment.
        key: Key,
        /// What makes no sense.
        what: String,
    },

    /// The ini and the pool disagree in a way that would hide objects, or hand them to another process.
    #[error("{0}")]
    Disagrees(Box<Disagreement>),

    /// A file of the pool has a hole where bytes of it were.
    #[error(
        "the file of segment {key} of `{process}` has a hole of {bytes} at offset {at:#x}, where bytes of the pool were: \
         it was truncated and made longer again, or copied without its zeros; nothing was changed; after such a copy, \
         copy it again with `cp --sparse=never`; else restore a snapshot, or give the objects up with `hotpool rm` and \
         BaseKey {base}"
    )]
    Hole {
        /// Process of the ini.
        process: String,
        /// Key of the base segment.
        base: Key,
        /// Key of the segment.
        key: Key,
        /// Where the hole begins.
        at: u64,
        /// Its length, as far as the pool has taken it.
        bytes: Bytes,
    },

    /// The base of a pool was removed, and blocks of it are still there.
    #[error(
        "{place}: there is no base under {base}, and {blocks} of a pool whose base is gone; nothing was changed; if it can \
         be restored from a snapshot, do that; else give its objects up with `{next}`",
        blocks = these(blocks)
    )]
    Orphans {
        /// Where the ini names the blocks.
        place: Place,
        /// Key of the base segment.
        base: Key,
        /// The blocks that are there.
        blocks: Vec<Key>,
        /// The command that removes them.
        next: String,
    },

    /// The ini names more blocks than a pool can have.
    #[error(
        "{place}: {found} blocks, counting those the pool has had, are more than the {limit} a pool can have"
    )]
    TooManyBlocks {
        /// Where the ini names the blocks.
        place: Place,
        /// Number of blocks.
        found: usize,
        /// The most there can be.
        limit: u32,
    },

    /// One owner after the other has died before it was ready.
    #[error(
        "{place}: {crashes} owners in a row died before they were ready, the first {since} s ago, and OnCrashLoop = fail; nothing was changed; look with `hotpool postmortem --key {key}`, then wait {wait} s, or start with OnCrashLoop = quarantine or cold"
    )]
    CrashLoop {
        /// Section of the process.
        place: Place,
        /// Key of the base segment.
        key: Key,
        /// How many.
        crashes: u32,
        /// Seconds since the first of them attached.
        since: u64,
        /// Seconds until so few of them are in the window that a start is tried again.
        wait: u64,
    },

    /// The pool cannot be moved aside: what an earlier crash loop left is still there.
    #[error(
        "`{process}` is in a crash loop and cannot be moved aside: {found}; if that is an earlier state of it, a new pool has crashed as well, so the objects are not the cause: look with `hotpool postmortem --key {base}`, then remove it with `hotpool rm --key {base}`"
    )]
    AsideTaken {
        /// Process of the ini.
        process: String,
        /// Post-mortem key of the base.
        base: Key,
        /// What is under a post-mortem key.
        found: String,
    },

    /// The start would be cold, and must not be.
    #[error(
        "{place} = yes refuses a cold start, and {found}; to start cold on purpose, start once with MustBeHot = no"
    )]
    NotHot {
        /// `MustBeHot` of the process.
        place: Place,
        /// What was found.
        found: String,
    },

    /// A struct is not what it was when the objects were made.
    #[error("type `{name}` ({id}) of the pool in {key} has changed: {}; its {objects} objects are kept and not touched; start the build that made them, or free them with it first", differences.join("; "))]
    TypeChanged {
        /// Name of the type.
        name: String,
        /// Number of the type.
        id: u16,
        /// Key of the base segment.
        key: Key,
        /// Field by field.
        differences: Vec<String>,
        /// Objects of it in the pool.
        objects: u64,
    },

    /// The struct of a type was renamed.
    #[error(
        "type {id} of the pool in {key} is called `{stored}` and has the fields of `{name}`; if the struct was renamed, \
         keep the old name: #[pool(id = {id}, name = \"{stored}\")]; if it is another type, it needs another number"
    )]
    TypeRenamed {
        /// The type being added.
        name: &'static str,
        /// Its number.
        id: u16,
        /// The name in the pool.
        stored: String,
        /// Key of the base segment.
        key: Key,
    },

    /// Another type has the number.
    #[error(
        "type number {id} belongs to `{other}` in the pool in {key}; `{name}` needs another: #[pool(id = N)]"
    )]
    TypeIdTaken {
        /// The type being added.
        name: &'static str,
        /// Its number.
        id: u16,
        /// The type that has it.
        other: String,
        /// Key of the base segment.
        key: Key,
    },

    /// Another type of the pool has the name.
    #[error(
        "cannot add type {id}: the pool in {key} has a type `{name}` already, with the number {other}; for the same \
         struct keep that number: #[pool(id = {other})]; another struct needs another name: #[pool(id = {id}, name = \"…\")]"
    )]
    TypeNameTaken {
        /// Name of both.
        name: &'static str,
        /// Number of the type being added.
        id: u16,
        /// Number of the type that has the name.
        other: u32,
        /// Key of the base segment.
        key: Key,
    },

    /// The type cannot be kept in any pool.
    #[error("type `{name}` cannot be kept in a pool: {why}")]
    TypeUnfit {
        /// Name of the type.
        name: &'static str,
        /// Why not.
        why: String,
    },

    /// One object does not fit into a block.
    #[error(
        "{place}: a slot of type `{name}` takes {needs} bytes, a block of {block} has {room}; set BlockSize to at least {at_least}"
    )]
    BlockTooSmall {
        /// Where the ini says the block size.
        place: Place,
        /// Name of the type.
        name: &'static str,
        /// Bytes of a slot with its share of the map.
        needs: u64,
        /// Block size.
        block: Bytes,
        /// What of it slots can have.
        room: u64,
        /// The smallest block size that would do.
        at_least: Bytes,
    },

    /// The ini says another object size than the program.
    #[error("{place}: says that an object has {wanted} bytes, in this build it has {found}")]
    ObjectSize {
        /// Where the ini says it.
        place: Place,
        /// Bytes in the ini.
        wanted: u64,
        /// Bytes in the program.
        found: u64,
    },

    /// There is no memory for the capacity that the ini asks for.
    #[error("{place}: no room for {capacity} objects of `{name}`: {source}")]
    Capacity {
        /// Where the ini says it.
        place: Place,
        /// Name of the type.
        name: String,
        /// Objects asked for.
        capacity: u32,
        /// What was missing.
        #[source]
        source: AllocError,
    },
}

impl PoolError {
    /// Returns the error of a base whose bytes make no sense.
    #[cold]
    pub(crate) fn corrupt(conf: &ProcessConf, what: &str) -> Self {
        PoolError::Corrupt { process: conf.name.clone(), key: conf.base_key, what: what.into() }
    }
}

/// Blocks by their keys, the first few of them.
fn these(blocks: &[Key]) -> String {
    const MOST: usize = 4;
    let named: Vec<String> = blocks.iter().take(MOST).map(Key::to_string).collect();
    let more = if blocks.len() > MOST { ", …" } else { "" };
    match blocks.len() {
        1 => format!("{} is 1 block", named.join("")),
        count => format!("{}{more} are {count} blocks", named.join(", ")),
    }
}

/// Why an object could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocError {
    /// There is no room for another object of the type.
    #[error("{0}")]
    Full(Box<Full>),
    /// An object with that key is there already.
    #[error("object {holder} has the key {key}")]
    KeyExists {
        /// The key.
        key: u64,
        /// The object that has it.
        holder: Handle,
    },
    /// The index has no place for a key, however large it grows.
    #[error(
        "cannot add the key {key} to `{type_name}`: the places that the index has for it are full of keys with the same hash; an object freed in a transaction keeps its place until the commit, so commit before the key is made again, or use other keys"
    )]
    Crowded {
        /// Name of the type.
        type_name: Box<str>,
        /// The key.
        key: u64,
    },
    /// `add_type` was not called for the type, or failed.
    #[error("type `{0}` was not added to the pool; call add_type first")]
    NotAdded(&'static str),
}

/// A pool that has no room for another object of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no room for another `{type_name}`: {len} live and {retired} used up of {capacity} slots, {free} free in {blocks} blocks; {remedy}"
)]
pub struct Full {
    /// Name of the type.
    pub type_name: String,
    /// Live objects of it.
    pub len: u64,
    /// Slots whose generations are used up.
    pub retired: u64,
    /// Slots it has.
    pub capacity: u32,
    /// Bytes that no type has taken.
    pub free: Bytes,
    /// Blocks of the pool.
    pub blocks: usize,
    /// What to do.
    pub remedy: String,
}
