//! Problems of an ini, one variant each, and the error that carries them.

pub(super) use super::found::Found;
use super::process::Place;
use crate::limits;
use crate::units::{Bytes, Key, plural};
use std::fmt;
use std::path::PathBuf;

/// Every problem of an ini, or of several that were loaded together.
///
/// Displays one line for each problem, in the order of the files and their lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfError {
    problems: Vec<Problem>,
}

impl ConfError {
    /// Returns the error; `None` if the list of problems is empty.
    pub(super) fn of(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(ConfError { problems })
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Returns the problems, of which there is at least one.
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

/// One problem of an ini, and its position.
///
/// Displays as `file:line:column: [section] key: problem; next step`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, line, section and key. Line 0 means the whole file, an empty section the text before
    /// the first.
    pub place: Place,
    /// Column in characters, from 1; 0 if the problem has none.
    pub column: usize,
    /// Kind of the problem.
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

/// Returns a question for a message; empty if no known name is near.
fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

/// Returns a computed size in a readable unit, rounded by `divide`.
fn rounded(size: Bytes, divide: impl Fn(u64, u64) -> u64) -> Bytes {
    let unit = [1 << 30, 1 << 20, 1 << 10].into_iter().find(|unit| size.0 >= 8 * unit).unwrap_or(1);
    Bytes(divide(size.0, unit).saturating_mul(unit))
}

/// Returns the names as a list for a sentence.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// The kinds of problems. Each message is one sentence, with the next step if there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// The file could not be opened or read.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// Reason that the system reported.
        reason: String,
    },
    /// The file exceeds the size limit of an ini.
    #[error("is larger than {max}, the limit for an ini; is it another file?")]
    TooLarge {
        /// The limit.
        max: Bytes,
    },
    /// A byte of the file is not valid UTF-8.
    #[error("is not UTF-8 from here on; save the file as UTF-8")]
    NotUtf8,
    /// One file was given twice in a fleet.
    #[error("is the same file as {}; name it once", first.display())]
    FileTwice {
        /// The path under which it was given first.
        first: PathBuf,
    },

    /// A line is neither a section, an entry nor a comment.
    #[error("{found} is neither [section], nor Key = value, nor a comment that starts with ; or #")]
    MalformedLine {
        /// The line.
        found: Found,
    },
    /// A key precedes the first section.
    #[error("this key comes before the first [section]; move it below the section to which it belongs")]
    OutsideSection,
    /// A section name occurs twice.
    #[error("the section already exists at {first}; merge the two or rename one")]
    RepeatedSection {
        /// Position of the first section.
        first: Place,
    },
    /// A key occurs twice in a section.
    #[error("the key already exists at {first}; remove one of the two")]
    RepeatedKey {
        /// Position of the first key.
        first: Place,
    },
    /// A key has no value after its `=`.
    #[error("has no value; expected {expected}")]
    NoValue {
        /// Form of the value.
        expected: &'static str,
    },

    /// `[common]` or its `ProcessList` is missing.
    #[error("has no ProcessList; write [common] and, below it, for example ProcessList = zone, world")]
    NoProcessList,
    /// A section other than `common` has the `ProcessList`.
    #[error("has the ProcessList, which belongs in [common]; rename the section to [common]")]
    CommonMisspelt,
    /// `ProcessList` names no process.
    #[error("names no process; write, for example, ProcessList = zone, world")]
    EmptyProcessList,
    /// `ProcessList` names a process twice.
    #[error("lists {name} twice; remove one")]
    ListedTwice {
        /// Process name.
        name: String,
    },
    /// `ProcessList` names more processes than one ini may have.
    #[error("lists {found} processes; one ini has at most {}", limits::MAX_PROCESSES)]
    TooManyProcesses {
        /// Number of processes.
        found: usize,
    },
    /// A listed process has no section.
    #[error(
        "lists {name}, but has no section [{name}]{}; add the section or remove the name",
        did_you_mean(nearest)
    )]
    SectionMissing {
        /// Process name.
        name: String,
        /// Name of an unlisted section that was probably meant.
        nearest: Option<String>,
    },
    /// A section belongs to a process that is not listed.
    #[error(
        "ProcessList does not list this process{}; add it there or remove the section",
        did_you_mean(nearest)
    )]
    SectionNotListed {
        /// Listed name that was probably meant.
        nearest: Option<String>,
    },
    /// A section of types belongs to a process that is not listed.
    #[error(
        "ProcessList does not list the process {process} of these types{}; add it there or remove the section",
        did_you_mean(nearest)
    )]
    TypesNotListed {
        /// Process name.
        process: String,
        /// Listed name that was probably meant.
        nearest: Option<String>,
    },
    /// A section with a dot in its name does not end in `.types`.
    #[error("is an unknown kind of section; the types of a process belong in [{process}.types]")]
    UnknownSection {
        /// Part of the name before the dot.
        process: String,
    },

    /// A section has an unknown key.
    #[error("is an unknown key{}; this section has {}", did_you_mean(nearest), known.join(", "))]
    UnknownKey {
        /// Key that was probably meant.
        nearest: Option<String>,
        /// Keys of the section.
        known: &'static [&'static str],
    },
    /// A required key is missing.
    #[error("is missing; write, for example, {example}")]
    MissingKey {
        /// Line that would be valid.
        example: &'static str,
    },
    /// A name is longer than its room in the segment.
    #[error("the name {found} has {length} bytes; at most {max} fit")]
    NameTooLong {
        /// The name.
        found: Found,
        /// Length in bytes.
        length: usize,
        /// Largest length in bytes.
        max: usize,
    },
    /// A name contains characters that names may not have.
    #[error(
        "{found} is not a valid name; a name begins with a letter or _ and consists of ASCII letters, digits, _ and -"
    )]
    BadName {
        /// The name.
        found: Found,
    },
    /// A process is called `common`.
    #[error("a process cannot be called common, the section of ProcessList; choose another name")]
    ReservedName,

    /// An item of a list is empty.
    #[error("item {item} of the list is empty; remove a comma or add the missing item")]
    EmptyItem {
        /// Position of the item, from 1.
        item: usize,
    },
    /// A value is not a number of the form that the key requires.
    #[error("{found} is not {expected}")]
    NotANumber {
        /// The value.
        found: Found,
        /// Form of the value.
        expected: &'static str,
    },
    /// A number is out of range for its key.
    #[error("{found} is out of range; expected {min} to {max}")]
    OutOfRange {
        /// The value.
        found: Found,
        /// Smallest allowed value, as the ini would state it.
        min: String,
        /// Largest allowed value, as the ini would state it.
        max: String,
    },
    /// A word is not one of the words that the key accepts.
    #[error("{found} is not one of {}{}", choices.join(", "), did_you_mean(nearest))]
    NotAChoice {
        /// The value.
        found: Found,
        /// The accepted words.
        choices: Vec<&'static str>,
        /// Word that was probably meant.
        nearest: Option<String>,
    },

    /// A segment key is 0.
    #[error(
        "{found} is IPC_PRIVATE, a key that a restarted process cannot find again; choose another, such as 0x48500100"
    )]
    PrivateKey {
        /// The value.
        found: Found,
    },
    /// Two segments would share a segment key.
    #[error("{key} is already used at {first}; every segment needs a key of its own: change one of the two")]
    KeyTwice {
        /// The segment key.
        key: Key,
        /// Position of its first use.
        first: Place,
    },
    /// `ShmKeys` names no key.
    #[error(
        "names no key, so the pool would have no block; write, for example, ShmKeys = 0x48500101, 0x48500102"
    )]
    EmptyShmKeys,
    /// `ShmKeys` names more blocks than a pool can have.
    #[error("names {found} keys; a pool has at most {} blocks: raise BlockSize instead", limits::MAX_BLOCKS)]
    TooManyBlocks {
        /// Number of blocks.
        found: usize,
    },

    /// A size is not a whole number of pages.
    #[error("{found} is not a multiple of {}; the nearest are {below} and {above}", limits::PAGE)]
    NotWholePages {
        /// The size.
        found: Bytes,
        /// The size rounded down.
        below: Bytes,
        /// The size rounded up.
        above: Bytes,
    },
    /// An object does not fit into a block.
    #[error(
        "an object of {object} needs a block of {needed}; \
         BlockSize is {block}: raise it to {needed} or more"
    )]
    BlockTooSmall {
        /// Size of the object.
        object: Bytes,
        /// Smallest block that holds one object.
        needed: Bytes,
        /// `BlockSize` of the ini.
        block: Bytes,
    },
    /// The types do not fit into the blocks, even packed without a gap.
    #[error(
        "the types need at least {needed}, but at most {room} fit into {blocks} of {block}; \
         raise BlockSize, add ShmKeys, or lower a capacity",
        needed = rounded(*needed, u64::div_ceil),
        blocks = plural(*blocks as u64, "block"),
        room = rounded(*room, |bytes, unit| bytes / unit)
    )]
    TypesTooBig {
        /// Smallest size of all slots together.
        needed: Bytes,
        /// Number of `ShmKeys`.
        blocks: usize,
        /// `BlockSize` of the ini.
        block: Bytes,
        /// Size of all blocks without their header pages.
        room: Bytes,
    },
    /// A value of a renamed field names no former name.
    #[error("{found} is not the former name of a field; write, for example, was hp")]
    NotARename {
        /// The value.
        found: Found,
    },
    /// A text is not the name of a field.
    #[error(
        "{found} is not the name of a field, perhaps preceded by those of the structs that it is in, as in pos.x"
    )]
    BadField {
        /// The text.
        found: Found,
    },
    /// Two fields of a type have the same former name.
    #[error("{name} is already the former name of another field at {first}; remove one of the two")]
    FormerNameTwice {
        /// The former name.
        name: Found,
        /// Position of its first use.
        first: Place,
    },
    /// A process has more types than a pool can have.
    #[error("has {found} types; a pool has at most {}", limits::MAX_TYPE_ID)]
    TooManyTypes {
        /// Number of types.
        found: usize,
    },

    /// A mode would deny the owner access to its own pool.
    #[error("{found} denies the owner access to its own pool; add 0600")]
    ModeLocksOwner {
        /// The mode.
        found: Found,
    },
    /// A mode has bits that have no meaning for shared memory.
    #[error("{found} has bits outside 0666; use only the bits for read (4) and write (2)")]
    ModeBits {
        /// The mode.
        found: Found,
    },

    /// The `file` backend has no folder.
    #[error("Backend = file needs a folder for its segments; write, for example, Dir = /var/lib/hotpool")]
    DirMissing,
    /// A folder is given that the backend does not use.
    #[error("only Backend = file uses a folder; set it or remove Dir")]
    DirUnused,
    /// A folder is relative, so it depends on the working directory of the process.
    #[error(
        "{found} is not an absolute path, so a start from another folder would not find the pool; begin it with /"
    )]
    DirNotAbsolute {
        /// The folder.
        found: Found,
    },

    /// The folder of the snapshots is relative, so it depends on the working directory.
    #[error(
        "{found} is not an absolute path, so a start from another folder would not find the snapshots; begin it with /"
    )]
    SnapshotDirNotAbsolute {
        /// The folder.
        found: Found,
    },
    /// A setting of snapshots has no folder to apply to.
    #[error("needs a folder for the snapshots; write, for example, SnapshotDir = /var/lib/hotpool/snapshots")]
    SnapshotDirMissing,

    /// Reserved pages are required from a backend that cannot have them.
    #[error("requires reserved pages, which only Backend = sysv has, not {backend}; set HugePages = try")]
    HugeNotReserved {
        /// `Backend` of the ini.
        backend: &'static str,
    },

    /// A pool must start hot, and shall start cold in a crash loop.
    #[error("contradicts OnCrashLoop = cold, which causes a cold start; change one of the two")]
    HotAndCold,

    /// A queue without writers or readers.
    #[error("names no process; write, for example, Writers = zone, match")]
    NoMembers,
    /// A queue has more writers or readers than allowed.
    #[error("names {found} processes; a queue has at most {}", limits::MAX_MEMBERS)]
    TooManyMembers {
        /// Number of processes.
        found: usize,
    },
    /// A writer or reader of a queue is not in `ProcessList`.
    #[error("ProcessList does not list {name}{}; add it there or remove it here", did_you_mean(nearest))]
    MemberNotListed {
        /// The name.
        name: Found,
        /// Listed name that was probably meant.
        nearest: Option<String>,
    },
    /// A queue that is not a channel has a policy for readers.
    #[error(
        "applies only to Kind = channel: no other writer waits for a certain reader; remove it or change Kind"
    )]
    PolicyUnused,
    /// The messages of a queue do not fit a segment.
    #[error(
        "{capacity} messages of this size need {needed}, and a segment has at most {max}; lower Capacity \
         or MessageSize"
    )]
    QueueTooBig {
        /// `Capacity`.
        capacity: u32,
        /// Bytes of all messages.
        needed: Bytes,
        /// Largest segment.
        max: Bytes,
    },
    /// A queue of the last value has a payload area.
    #[error(
        "does not apply to Kind = latest: a writer that dies must leave the last value whole; remove it and \
         raise MessageSize"
    )]
    PayloadUnused,
    /// The payload area of a queue is not larger than its messages in the ring.
    #[error("is {payload}, and MessageSize is {message}: no message needs it; raise it or remove it")]
    PayloadTooSmall {
        /// `PayloadBytes`.
        payload: Bytes,
        /// `MessageSize`.
        message: Bytes,
    },
    /// The payload areas of a queue do not fit a segment.
    #[error(
        "the messages and {} of this size need {needed}, and a segment has at most {max}; lower it",
        plural(*writers as u64, "area"),
        needed = rounded(*needed, u64::div_ceil)
    )]
    PayloadTooBig {
        /// Number of writers; each has an area.
        writers: usize,
        /// Bytes of the messages and all areas.
        needed: Bytes,
        /// Largest segment.
        max: Bytes,
    },
    /// The ini has no queue with the requested name.
    #[error("has no queue {asked}{}; its queues are {}", did_you_mean(nearest), listed(names))]
    NoSuchQueue {
        /// The requested name.
        asked: Found,
        /// Name that was probably meant.
        nearest: Option<String>,
        /// Names of the queues in the ini.
        names: Vec<String>,
    },

    /// The ini has no process with the requested name.
    #[error("has no process {asked}{}; its processes are {}", did_you_mean(nearest), listed(names))]
    NoSuchProcess {
        /// The requested name.
        asked: Found,
        /// Name that was probably meant.
        nearest: Option<String>,
        /// Names of the processes in the ini.
        names: Vec<String>,
    },
}

impl ProblemKind {
    /// Returns a word for programs, which stays the same when messages are reworded.
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
            NotARename { .. } => "not-a-rename",
            BadField { .. } => "bad-field",
            FormerNameTwice { .. } => "former-name-twice",
            ModeLocksOwner { .. } => "mode-locks-owner",
            ModeBits { .. } => "mode-bits",
            DirMissing => "dir-missing",
            DirUnused => "dir-unused",
            DirNotAbsolute { .. } => "dir-not-absolute",
            SnapshotDirNotAbsolute { .. } => "snapshot-dir-not-absolute",
            SnapshotDirMissing => "snapshot-dir-missing",
            HugeNotReserved { .. } => "huge-not-reserved",
            HotAndCold => "hot-and-cold",
            NoMembers => "no-members",
            TooManyMembers { .. } => "too-many-members",
            MemberNotListed { .. } => "member-not-listed",
            PolicyUnused => "policy-unused",
            QueueTooBig { .. } => "queue-too-big",
            PayloadUnused => "payload-unused",
            PayloadTooSmall { .. } => "payload-too-small",
            PayloadTooBig { .. } => "payload-too-big",
            NoSuchQueue { .. } => "no-such-queue",
            NoSuchProcess { .. } => "no-such-process",
        }
    }
}
