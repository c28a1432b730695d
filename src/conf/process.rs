//! The validated configuration of one process, as plain data.

use super::memory::MemoryConf;
use super::nearest::nearest;
use super::resume::ResumeConf;
use super::snapshots::SnapshotConf;
use crate::limits;
use crate::units::{Bytes, Key};
use std::fmt;
use std::path::PathBuf;

/// The position of a setting: file, line, section and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The ini; empty if a program created the configuration.
    pub file: PathBuf,
    /// Line, from 1; 0 if there is none.
    pub line: usize,
    /// Section without its brackets.
    pub section: String,
    /// Key; empty if the section itself is meant.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line != 0 {
            write!(f, "{}:{}: ", self.file.display(), self.line)?;
        }
        match self.key.as_str() {
            "" => write!(f, "[{}]", self.section),
            key => write!(f, "[{}] {key}", self.section),
        }
    }
}

/// The kind of memory of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendKind {
    /// System V shared memory; the default.
    #[default]
    Sysv,
    /// POSIX shared memory, `/dev/shm`.
    Posix,
    /// Mapped files in the folder `Dir`.
    File,
    /// Memory of the process itself, which does not outlive it: for tests, and to turn shared
    /// memory off.
    Heap,
}

impl BackendKind {
    /// All values, in the order in which they are documented.
    pub const ALL: [Self; 4] = [Self::Sysv, Self::Posix, Self::File, Self::Heap];

    /// Returns the word for this value in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sysv => "sysv",
            Self::Posix => "posix",
            Self::File => "file",
            Self::Heap => "heap",
        }
    }
}

/// Which parts of a pool the core dump of its owner contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreDump {
    /// No part.
    #[default]
    None,
    /// The base segment.
    Header,
    /// The base segment and all blocks.
    Full,
}

impl CoreDump {
    /// All values, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::None, Self::Header, Self::Full];

    /// Returns the word for this value in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Header => "header",
            Self::Full => "full",
        }
    }
}

/// The ini entry of one type (`[zone.types]`, `player = 5000 x 12K`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeConf {
    /// Name of the type.
    pub name: String,
    /// Number of objects for which `add_type` allocates memory.
    ///
    /// A program can allocate more while the blocks have room.
    pub capacity: u32,
    /// Size of one object in bytes, if the ini states it; `add_type` compares it with the
    /// program's.
    pub object_bytes: Option<u64>,
    /// Position of the entry.
    pub place: Place,
}

/// A field of a type that had another name (`[zone.types]`, `Hero.health = was hp`).
///
/// It says what `#[pool(was = "hp")]` says in the source, so that a rename can be deployed without a
/// new build of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenameConf {
    /// Name of the type in the pool, or the same in the form of a struct's name.
    pub type_name: String,
    /// Name of the field in this build, preceded by those of the structs that it is in: `pos.x`.
    pub field: String,
    /// Former names, which are tried in their order.
    pub was: Vec<String>,
    /// Position of the entry.
    pub place: Place,
    /// Column of the entry, from 1; 0 if a program created the configuration.
    pub column: usize,
}

impl RenameConf {
    /// Creates the entry of a configuration that a program makes.
    fn new(section: String, type_name: &str, field: &str, was: &str) -> Self {
        let place = Place { section, key: format!("{type_name}.{field}"), ..Place::default() };
        let was = vec![was.to_owned()];
        RenameConf { type_name: type_name.into(), field: field.into(), was, place, column: 0 }
    }

    /// Returns whether the line is about the type that has this name in the pool.
    ///
    /// `Hero` and `MagicItem` mean `hero` and `magic_item`.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        let is_camel = self.type_name.starts_with(|first: char| first.is_ascii_uppercase());
        self.type_name == name || (is_camel && name.replace('_', "").eq_ignore_ascii_case(&self.type_name))
    }

    /// Returns the field that was probably meant.
    pub(crate) fn nearest(&self, fields: &[String]) -> Option<String> {
        nearest(&self.field, fields.iter().map(String::as_str))
    }
}

/// Displays as `zone.ini:12:1: [zone.types] Hero.health`.
impl fmt::Display for RenameConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, section, key } = &self.place;
        if *line != 0 {
            write!(f, "{}:{line}:{}: ", file.display(), self.column)?;
        }
        write!(f, "[{section}] {key}")
    }
}

/// The configuration of one process.
///
/// [`ConfMgr`](crate::ConfMgr) reads it from an ini. A program that has none begins with
/// [`new`](ProcessConf::new) and sets what differs from the defaults. `MemoryPoolMgr::open` checks
/// the values, wherever they are from.
///
/// # Examples
///
/// ```
/// use hotpool::conf::{BackendKind, ProcessConf};
/// use hotpool::units::{Bytes, Key};
///
/// let conf = ProcessConf::new("zone", Key(0x4850_0100), Bytes(64 << 20), &[Key(0x4850_0101)])
///     .backend(BackendKind::File)
///     .dir("/var/lib/game")
///     .mode(0o660);
/// conf.validate()?;
/// assert_eq!(conf.owner_wait_ms, 6000); // the default
/// # Ok::<(), hotpool::conf::ConfError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessConf {
    /// Process name, which is the name of its section.
    pub name: String,
    /// Process name when the pool was created, if it has changed since.
    pub former_name: Option<String>,
    /// Segment key of the base segment, and key of the owner semaphores.
    pub base_key: Key,
    /// Size of every block.
    pub block_size: Bytes,
    /// Segment keys of the blocks.
    pub shm_keys: Vec<Key>,
    /// Kind of memory.
    pub backend: BackendKind,
    /// Folder of the segments for the `file` backend.
    pub dir: PathBuf,
    /// Permission bits of segments and semaphores.
    pub mode: u32,
    /// Milliseconds that a start waits for a dying owner.
    pub owner_wait_ms: u64,
    /// Parts of the pool in a core dump.
    pub core_dump: CoreDump,
    /// Room for the undo log of a transaction. Takes effect when a pool is created.
    pub undo_size: Bytes,
    /// Kind of pages, and when they are populated.
    pub memory: MemoryConf,
    /// How a start treats crash loops, torn objects and missing pools.
    pub resume: ResumeConf,
    /// When and where the running pool writes snapshots.
    pub snapshots: SnapshotConf,
    /// Types that the ini mentions.
    pub types: Vec<TypeConf>,
    /// Fields that had other names.
    pub renames: Vec<RenameConf>,
    /// Positions of the section, `BaseKey`, `BlockSize` and `ShmKeys`.
    pub places: Places,
}

/// The positions of the parts of a [`ProcessConf`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Position of the section.
    pub section: Place,
    /// Position of `BaseKey`.
    pub base_key: Place,
    /// Position of `BlockSize`.
    pub block_size: Place,
    /// Position of `ShmKeys`.
    pub shm_keys: Place,
}

impl ProcessConf {
    /// Creates a configuration with the default of every optional key.
    pub fn new(name: &str, base_key: Key, block_size: Bytes, shm_keys: &[Key]) -> Self {
        let place = |key: &str| Place { section: name.into(), key: key.into(), ..Place::default() };
        ProcessConf {
            name: name.into(),
            former_name: None,
            base_key,
            block_size,
            shm_keys: shm_keys.to_vec(),
            backend: BackendKind::Sysv,
            dir: PathBuf::new(),
            mode: 0o600,
            owner_wait_ms: limits::OWNER_WAIT_MS,
            core_dump: CoreDump::None,
            undo_size: Bytes(limits::UNDO_BYTES),
            memory: MemoryConf::default(),
            resume: ResumeConf::default(),
            snapshots: SnapshotConf::default(),
            types: Vec::new(),
            renames: Vec::new(),
            places: Places {
                section: place(""),
                base_key: place("BaseKey"),
                block_size: place("BlockSize"),
                shm_keys: place("ShmKeys"),
            },
        }
    }

    /// Sets the name that the process had when its pool was created.
    #[must_use]
    pub fn former_name(self, name: &str) -> Self {
        ProcessConf { former_name: Some(name.into()), ..self }
    }

    /// Sets the kind of memory.
    #[must_use]
    pub fn backend(self, backend: BackendKind) -> Self {
        ProcessConf { backend, ..self }
    }

    /// Sets the folder of the segments, which only the `file` backend has.
    #[must_use]
    pub fn dir(self, dir: impl Into<PathBuf>) -> Self {
        ProcessConf { dir: dir.into(), ..self }
    }

    /// Sets the permission bits of segments and semaphores.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        ProcessConf { mode, ..self }
    }

    /// Sets how many milliseconds a start waits for a dying owner.
    #[must_use]
    pub fn owner_wait_ms(self, owner_wait_ms: u64) -> Self {
        ProcessConf { owner_wait_ms, ..self }
    }

    /// Sets which parts of the pool a core dump contains.
    #[must_use]
    pub fn core_dump(self, core_dump: CoreDump) -> Self {
        ProcessConf { core_dump, ..self }
    }

    /// Sets the room for the undo log of a transaction, for a new pool.
    #[must_use]
    pub fn undo_size(self, undo_size: Bytes) -> Self {
        ProcessConf { undo_size, ..self }
    }

    /// Sets the kind of pages, and when they are populated.
    #[must_use]
    pub fn memory(self, memory: MemoryConf) -> Self {
        ProcessConf { memory, ..self }
    }

    /// Sets how a start treats crash loops, torn objects and missing pools.
    #[must_use]
    pub fn resume(self, resume: ResumeConf) -> Self {
        ProcessConf { resume, ..self }
    }

    /// Sets when and where the running pool writes snapshots.
    #[must_use]
    pub fn snapshots(self, snapshots: SnapshotConf) -> Self {
        ProcessConf { snapshots, ..self }
    }

    /// Adds a type for whose objects `add_type` allocates memory.
    #[must_use]
    pub fn capacity(mut self, type_name: &str, capacity: u32) -> Self {
        let section = format!("{}.types", self.name);
        let place = Place { section, key: type_name.into(), ..Place::default() };
        self.types.push(TypeConf { name: type_name.into(), capacity, object_bytes: None, place });
        self
    }

    /// Says that a field of a type had another name, as `#[pool(was = "..")]` does in the source.
    #[must_use]
    pub fn rename(mut self, type_name: &str, field: &str, was: &str) -> Self {
        let section = format!("{}.types", self.name);
        self.renames.push(RenameConf::new(section, type_name, field, was));
        self
    }

    /// Returns the ini entry of the type `name`.
    pub fn type_conf(&self, name: &str) -> Option<&TypeConf> {
        self.types.iter().find(|t| t.name == name)
    }
}
