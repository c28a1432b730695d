//! What one process of a deployment is given: plain data, validated.

use super::memory::MemoryConf;
use super::resume::ResumeConf;
use crate::limits;
use crate::units::{Bytes, Key};
use std::fmt;
use std::path::PathBuf;

/// Where something was said: file, line, section and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The ini; empty if the configuration was made by a program.
    pub file: PathBuf,
    /// Line, from 1; 0 if there is none.
    pub line: usize,
    /// Section without its brackets.
    pub section: String,
    /// Key, empty where the section itself is meant.
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

/// Where the memory of a pool comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendKind {
    /// System V shared memory; the default.
    #[default]
    Sysv,
    /// POSIX shared memory, `/dev/shm`.
    Posix,
    /// Files in `Dir`, mapped.
    File,
    /// Memory of the process itself: nothing survives it. For tests, and to turn shared
    /// memory off.
    Heap,
}

impl BackendKind {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 4] = [Self::Sysv, Self::Posix, Self::File, Self::Heap];

    /// The word that stands for it in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sysv => "sysv",
            Self::Posix => "posix",
            Self::File => "file",
            Self::Heap => "heap",
        }
    }
}

/// What of a pool goes into the core dump of its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreDump {
    /// Nothing.
    #[default]
    None,
    /// The base segment.
    Header,
    /// The base segment and all blocks.
    Full,
}

impl CoreDump {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::None, Self::Header, Self::Full];

    /// The word that stands for it in the ini.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Header => "header",
            Self::Full => "full",
        }
    }
}

/// What the ini says of one type (`[zone.types]`, `player = 5000 x 12K`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeConf {
    /// Name of the type.
    pub name: String,
    /// Objects for which memory is taken when the type is added. More can be made as long as
    /// the blocks have room.
    pub capacity: u32,
    /// Bytes of one object, if the ini says so: then it is compared with the program's.
    pub object_bytes: Option<u64>,
    /// Where it is said.
    pub place: Place,
}

/// What one process of a deployment is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessConf {
    /// Name of the process, its section.
    pub name: String,
    /// Name that the process had when its pool was made, if it has another one since.
    pub former_name: Option<String>,
    /// Key of the base segment and of the owner semaphore.
    pub base_key: Key,
    /// Size of every block.
    pub block_size: Bytes,
    /// Keys of the blocks.
    pub shm_keys: Vec<Key>,
    /// Where the memory comes from.
    pub backend: BackendKind,
    /// Folder of the segments of the `file` backend.
    pub dir: PathBuf,
    /// Permission bits of segments and semaphore.
    pub mode: u32,
    /// How long a start waits for a dying owner, in milliseconds.
    pub owner_wait_ms: u64,
    /// What goes into a core dump.
    pub core_dump: CoreDump,
    /// Room for the undo log of a transaction. Takes effect when a pool is made.
    pub undo_size: Bytes,
    /// What its memory is like.
    pub memory: MemoryConf,
    /// What a start does with a pool that keeps killing its owner, or that is not there.
    pub resume: ResumeConf,
    /// Types of which the ini says something.
    pub types: Vec<TypeConf>,
    /// Where the section, `BaseKey`, `BlockSize` and each of `ShmKeys` is said.
    pub places: Places,
}

/// Where the parts of a [`ProcessConf`] are said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The section.
    pub section: Place,
    /// `BaseKey`.
    pub base_key: Place,
    /// `BlockSize`.
    pub block_size: Place,
    /// `ShmKeys`.
    pub shm_keys: Place,
}

impl ProcessConf {
    /// A configuration made by a program, with the default of every optional key.
    ///
    /// ```
    /// use hotpool::conf::ProcessConf;
    /// use hotpool::units::{Bytes, Key};
    ///
    /// let conf = ProcessConf::new("zone", Key(0x4850_0100), Bytes(64 << 20), &[Key(0x4850_0101)]);
    /// assert_eq!(conf.mode, 0o600);
    /// ```
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
            types: Vec::new(),
            places: Places {
                section: place(""),
                base_key: place("BaseKey"),
                block_size: place("BlockSize"),
                shm_keys: place("ShmKeys"),
            },
        }
    }

    /// What the ini says of the type `name`.
    pub fn type_conf(&self, name: &str) -> Option<&TypeConf> {
        self.types.iter().find(|t| t.name == name)
    }
}
