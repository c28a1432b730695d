//! What can be wrong with an ini, one variant each, and the error that carries all of it.

use super::process::Place;
use crate::limits;
use crate::units::{Bytes, Key};
use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with an ini, or with several that were loaded together.
///
/// Displays one line for each problem, in the order of the files and their lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfError {
    problems: Vec<Problem>,
}

impl ConfError {
    /// `None` if nothing is wrong.
    pub(super) fn of(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(ConfError { problems })
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The problems; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfError {
    fn from(problem: Problem) -> Self {
        ConfError { problems: vec![problem] }
    }
}

impl fmt::Display for ConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let end_of_last = if i == 0 { "" } else { "\n" };
            write!(f, "{end_of_last}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfError {}

/// One thing that is wrong, and where.
///
/// Displays as `file:line:column: [section] key: what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where. Line 0 means the whole file, an empty section the text before the first.
    pub place: Place,
    /// Column in characters, from 1; 0 if there is none.
    pub column: usize,
    /// What.
    pub kind: ProblemKind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { place, column, kind } = self;
        if !place.file.as_os_str().is_empty() {
            write!(f, "{}:", place.file.display())?;
            match (place.line, column) {
                (0, _) => f.write_str(" ")?,
                (line, 0) => write!(f, "{line}: ")?,
                (line, column) => write!(f, "{line}:{column}: ")?,
            }
        }
        match (place.section.as_str(), place.key.as_str()) {
            ("", _) => {}
            (section, "") => write!(f, "[{section}]: ")?,
            (section, key) => write!(f, "[{section}] {key}: ")?,
        }
        kind.fmt(f)
    }
}

/// A piece of an ini as it is shown: quoted, cut to 40 characters, control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found(String);

impl Found {
    const SHOWN: usize = 40;

    pub(super) fn new(text: &str) -> Self {
        // One character more, to know whether there is more.
        Found(text.chars().take(Self::SHOWN + 1).collect())
    }

    /// The value as it displays.
    pub(super) fn of(value: &dyn fmt::Display) -> Self {
        Self::new(&value.to_string())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(Self::SHOWN) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// A question to be put into a message, nothing if no known name is near.
fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

/// A size that came out of a sum, in a unit that can be read.
fn rounded(size: Bytes, divide: impl Fn(u64, u64) -> u64) -> Bytes {
    let unit = [1 << 30, 1 << 20, 1 << 10].into_iter().find(|unit| size.0 >= 8 * unit).unwrap_or(1);
    Bytes(divide(size.0, unit).saturating_mul(unit))
}

/// A list in a sentence.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// What can be wrong. Each message is one sentence, with the next step where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// The file could not be opened or read.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// What the system said.
        reason: String,
    },
    /// The file is larger than any ini can be.
    #[error("is larger than {max}, which no ini of hotpool is; is it another file?")]
    TooLarge {
        /// The limit.
        max: Bytes,
    },
    /// A byte of the file is not part of any character.
    #[error("is not UTF-8 from here on; save the file as UTF-8")]
    NotUtf8,
    /// The same file was named twice in one fleet.
    #[error("is the same file as {}; name it once", first.display())]
    FileTwice {
        /// The other name.
        first: PathBuf,
    },

    /// A line that is none of what an ini has.
    #[error("{found} is neither [section], nor Key = value, nor a comment that starts with ; or #")]
    MalformedLine {
        /// The line.
        found: Found,
    },
    /// A key before the first section.
    #[error("this key stands before the first [section]; move it below the section it belongs to")]
    OutsideSection,
    /// A section that was there before.
    #[error("the section is there already, at {first}; merge the two or rename one")]
    RepeatedSection {
        /// The first one.
        first: Place,
    },
    /// A key that was there before in the same section.
    #[error("the key is there already, at {first}; remove one of the two")]
    RepeatedKey {
        /// The first one.
        first: Place,
    },
    /// A key with nothing behind its `=`.
    #[error("has no value; expected {expected}")]
    NoValue {
        /// What values look like.
        expected: &'static str,
    },

    /// `[common]` or its `ProcessList` is not there.
    #[error("there is no ProcessList; write [common] and below it, for example, ProcessList = zone, world")]
    NoProcessList,
    /// A section has the `ProcessList` and is not called `common`.
    #[error("has the ProcessList, which belongs in [common]; rename the section to [common]")]
    CommonMisspelt,
    /// `ProcessList` names nobody.
    #[error("names no process; write, for example, ProcessList = zone, world")]
    EmptyProcessList,
    /// A process that is in `ProcessList` twice.
    #[error("lists {name} twice; remove one")]
    ListedTwice {
        /// The process.
        name: String,
    },
    /// More processes than one ini may have.
    #[error("lists {found} processes; one ini has at most {}", limits::MAX_PROCESSES)]
    TooManyProcesses {
        /// How many there are.
        found: usize,
    },
    /// A listed process that has no section.
    #[error(
        "lists {name}, but there is no section [{name}]{}; add the section or remove the name",
        did_you_mean(nearest)
    )]
    SectionMissing {
        /// The process.
        name: String,
        /// The unlisted section that was probably meant.
        nearest: Option<String>,
    },
    /// A section of a process that is not listed.
    #[error(
        "ProcessList does not list this process{}; add it there or remove the section",
        did_you_mean(nearest)
    )]
    SectionNotListed {
        /// The listed name that was probably meant.
        nearest: Option<String>,
    },
    /// Types of a process that is not listed.
    #[error(
        "ProcessList does not list the process {process} of these types{}; add it there or remove the section",
        did_you_mean(nearest)
    )]
    TypesNotListed {
        /// The process.
        process: String,
        /// The listed name that was probably meant.
        nearest: Option<String>,
    },
    /// A dotted section that is no `.types`.
    #[error("there is no such kind of section; the types of a process are in [{process}.types]")]
    UnknownSection {
        /// The part before the dot.
        process: String,
    },

    /// A key that the section does not have.
    #[error("there is no such key here{}; known are {}", did_you_mean(nearest), known.join(", "))]
    UnknownKey {
        /// The key that was probably meant.
        nearest: Option<String>,
        /// The keys there are.
        known: &'static [&'static str],
    },
    /// A key that every process needs.
    #[error("is missing; write, for example, {example}")]
    MissingKey {
        /// A line that would do.
        example: &'static str,
    },
    /// A name that does not fit the segment.
    #[error("the name {found} has {length} bytes; at most {max} fit")]
    NameTooLong {
        /// The name.
        found: Found,
        /// Its length in bytes.
        length: usize,
        /// The longest there may be.
        max: usize,
    },
    /// A name with characters that names do not have.
    #[error("{found} is no name; a name starts with a letter or _ and has letters, digits, _ and - of ASCII")]
    BadName {
        /// The name.
        found: Found,
    },
    /// A process called `common`.
    #[error("no process can be called common, which is the section of ProcessList; choose another name")]
    ReservedName,

    /// A comma too many in a list.
    #[error("item {item} of the list is empty; remove a comma or write what is missing")]
    EmptyItem {
        /// Number of the item, from 1.
        item: usize,
    },
    /// Not a number as the key wants it.
    #[error("{found} is not {expected}")]
    NotANumber {
        /// What is there.
        found: Found,
        /// What numbers of this key look like.
        expected: &'static str,
    },
    /// A number beyond what the key allows.
    #[error("{found} is out of range; expected {min} to {max}")]
    OutOfRange {
        /// What is there.
        found: Found,
        /// The least allowed, as it would be written.
        min: String,
        /// The most allowed, as it would be written.
        max: String,
    },
    /// A word that is none of those the key takes.
    #[error("{found} is not one of {}{}", choices.join(", "), did_you_mean(nearest))]
    NotAChoice {
        /// What is there.
        found: Found,
        /// The words there are.
        choices: Vec<&'static str>,
        /// The word that was probably meant.
        nearest: Option<String>,
    },

    /// The key 0.
    #[error(
        "{found} is IPC_PRIVATE, a key that no restarted process finds again; choose another, such as 0x48500100"
    )]
    PrivateKey {
        /// As it was written.
        found: Found,
    },
    /// A key that two segments would share.
    #[error("{key} is taken at {first}; every segment needs a key of its own, change one of the two")]
    KeyTwice {
        /// The key.
        key: Key,
        /// Who has it.
        first: Place,
    },
    /// `ShmKeys` without a key.
    #[error(
        "names no key, so the pool would have no block; write, for example, ShmKeys = 0x48500101, 0x48500102"
    )]
    EmptyShmKeys,
    /// More blocks than a pool can have.
    #[error("names {found} keys; a pool has at most {} blocks, raise BlockSize instead", limits::MAX_BLOCKS)]
    TooManyBlocks {
        /// How many there are.
        found: usize,
    },

    /// A block size that is no whole number of pages.
    #[error("{found} is not a multiple of {}; the nearest are {below} and {above}", limits::PAGE)]
    NotWholePages {
        /// What is there.
        found: Bytes,
        /// Rounded down.
        below: Bytes,
        /// Rounded up.
        above: Bytes,
    },
    /// An object that fits no block.
    #[error(
        "an object of {object} needs a block of {needed} with its slot and the pages of the block; \
         BlockSize is {block}, raise it to {needed} or more"
    )]
    BlockTooSmall {
        /// Bytes of the object.
        object: Bytes,
        /// Smallest block that holds one.
        needed: Bytes,
        /// `BlockSize`.
        block: Bytes,
    },
    /// Types that fit not even when packed without a gap.
    #[error(
        "the types need at least {needed}, and {blocks} of {block} have room for {room} at most; \
         raise BlockSize, name more ShmKeys, or lower a capacity",
        needed = rounded(*needed, u64::div_ceil),
        blocks = if *blocks == 1 { "1 block".into() } else { format!("{blocks} blocks") },
        room = rounded(*room, |bytes, unit| bytes / unit)
    )]
    TypesTooBig {
        /// Least bytes of all the slots.
        needed: Bytes,
        /// Number of `ShmKeys`.
        blocks: usize,
        /// `BlockSize`.
        block: Bytes,
        /// Bytes of all blocks without their header pages.
        room: Bytes,
    },
    /// More types than a pool can number.
    #[error("has {found} types; a pool has at most {}", limits::MAX_TYPE_ID)]
    TooManyTypes {
        /// How many there are.
        found: usize,
    },

    /// A mode under which the owner could not open its own pool.
    #[error("{found} would keep the owner out of its own pool; add 0600")]
    ModeLocksOwner {
        /// What is there.
        found: Found,
    },
    /// A mode with bits that mean nothing for shared memory.
    #[error("{found} has bits beyond 0666, which mean nothing here; write read (4) and write (2) bits only")]
    ModeBits {
        /// What is there.
        found: Found,
    },

    /// The file backend without a folder.
    #[error("Backend = file needs a folder for its segments; write, for example, Dir = /var/lib/hotpool")]
    DirMissing,
    /// A folder that nobody would use.
    #[error("only Backend = file has a folder; set that or remove Dir")]
    DirUnused,
    /// A folder that depends on where the process was started.
    #[error("{found} is not an absolute path, so a restart elsewhere would find nothing; begin it with /")]
    DirNotAbsolute {
        /// What is there.
        found: Found,
    },

    /// Pages of 2 MiB insisted on, of a backend that cannot have them reserved.
    #[error("pages of 2 MiB can be insisted on with Backend = sysv only, not {backend}; set HugePages = try")]
    HugeNotReserved {
        /// `Backend`.
        backend: &'static str,
    },

    /// A pool that must be hot, and shall start cold.
    #[error("refuses the cold start that OnCrashLoop = cold asks for; set one of the two otherwise")]
    HotAndCold,

    /// A process was asked for that the ini does not have.
    #[error("there is no process {asked}{}; there are {}", did_you_mean(nearest), listed(names))]
    NoSuchProcess {
        /// Who was asked for.
        asked: Found,
        /// The name that was probably meant.
        nearest: Option<String>,
        /// The names there are.
        names: Vec<String>,
    },
}

impl ProblemKind {
    /// A word for programs, which stays while messages are reworded.
    pub fn code(&self) -> &'static str {
        use ProblemKind::*;
        match self {
            Unreadable { .. } => "unreadable",
            TooLarge { .. } => "too-large",
            NotUtf8 => "not-utf8",
            FileTwice { .. } => "file-twice",
            MalformedLine { .. } => "malformed-line",
            OutsideSection => "outside-section",
            RepeatedSection { .. } => "repeated-section",
            RepeatedKey { .. } => "repeated-key",
            NoValue { .. } => "no-value",
            NoProcessList => "no-process-list",
            CommonMisspelt => "common-misspelt",
            EmptyProcessList => "empty-process-list",
            ListedTwice { .. } => "listed-twice",
            TooManyProcesses { .. } => "too-many-processes",
            SectionMissing { .. } => "section-missing",
            SectionNotListed { .. } => "section-not-listed",
            TypesNotListed { .. } => "types-not-listed",
            UnknownSection { .. } => "unknown-section",
            UnknownKey { .. } => "unknown-key",
            MissingKey { .. } => "missing-key",
            NameTooLong { .. } => "name-too-long",
            BadName { .. } => "bad-name",
            ReservedName => "reserved-name",
            EmptyItem { .. } => "empty-item",
            NotANumber { .. } => "not-a-number",
            OutOfRange { .. } => "out-of-range",
            NotAChoice { .. } => "not-a-choice",
            PrivateKey { .. } => "private-key",
            KeyTwice { .. } => "key-twice",
            EmptyShmKeys => "empty-shm-keys",
            TooManyBlocks { .. } => "too-many-blocks",
            NotWholePages { .. } => "not-whole-pages",
            BlockTooSmall { .. } => "block-too-small",
            TypesTooBig { .. } => "types-too-big",
            TooManyTypes { .. } => "too-many-types",
            ModeLocksOwner { .. } => "mode-locks-owner",
            ModeBits { .. } => "mode-bits",
            DirMissing => "dir-missing",
            DirUnused => "dir-unused",
            DirNotAbsolute { .. } => "dir-not-absolute",
            HugeNotReserved { .. } => "huge-not-reserved",
            HotAndCold => "hot-and-cold",
            NoSuchProcess { .. } => "no-such-process",
        }
    }
}
