//! The post-mortem: what a process was doing when it died, read from its pool without changing a
//! byte.

use crate::layout::{Last, Op, RUN_CLOSED, RUN_READY};
use crate::object::Handle;
use crate::pool::forensics::black_box::{BlackBox, Note};
use crate::pool::start::quarantine;
use crate::pool::start::starts::{Start, Starts};
use crate::pool::store::base::Base;
use crate::share::{Ended, Facts, Home, LockFacts, Observed, Process, ShareError, observe_pool};
use crate::sys;
use crate::units::Key;
use crate::word::Word;

/// Reasons why a pool cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostMortemError {
    /// The base cannot be attached.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The base holds bytes that no pool has.
    #[error("the base segment under {key} is damaged: {what}")]
    Corrupt {
        /// Segment key of the base.
        key: Key,
        /// Rule that the bytes break.
        what: &'static str,
    },
}

/// An operation on a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastOperation {
    /// Whether it is an alloc; otherwise it is a free.
    pub alloc: bool,
    /// Type number.
    pub type_id: u16,
    /// Name of the type; empty if the pool does not have it.
    pub type_name: String,
    /// Slot number.
    pub slot: u32,
}

/// An object that is marked as being written, or a type of which any object may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BeingWritten {
    /// Handle of the object; `None` if several objects of the type were being written.
    pub object: Option<Handle>,
    /// Type number.
    pub type_id: u16,
    /// Name of the type; empty if the pool does not have it.
    pub type_name: String,
    /// Whether an earlier owner or a panic left it, and nothing has settled it since.
    pub earlier: bool,
}

/// What a pool records about its last owner.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostMortem {
    /// Segment key of the base.
    pub key: Key,
    /// Process name.
    pub process: String,
    /// The present owner; `None` if the pool has none.
    pub owner: Option<Process>,
    /// Pid of the last owner.
    pub pid: u64,
    /// Whether the last owner closed the pool.
    pub closed: bool,
    /// Whether the last owner was ready.
    pub ready: bool,
    /// Time when the last owner ended, in nanoseconds of the wall clock.
    ///
    /// `None` while it runs, or if other processes have attached the segment since, which
    /// overwrites the kernel's record. The kernel's times have a resolution of one second.
    pub ended: Option<u64>,
    /// Inode of the IPC namespace of the last owner; 0 if unknown.
    pub ipc_namespace: u64,
    /// The last operation on a slot, completed or interrupted; `None` if there was none.
    pub operation: Option<LastOperation>,
    /// Objects that are marked as being written, and suspects.
    pub being_written: Vec<BeingWritten>,
    /// Objects in quarantine.
    pub quarantined: Vec<Handle>,
    /// Notes of the black box, the oldest first.
    pub notes: Vec<Note>,
    /// Ring of starts, the oldest first.
    pub starts: Vec<Start>,
    /// Time when this was read, in nanoseconds of the wall clock.
    pub read_at: u64,
}

impl PostMortem {
    /// Reads the pool under `key`, whether it has an owner or not.
    ///
    /// # Errors
    ///
    /// Fails if the base cannot be attached, or is damaged.
    pub fn read(key: Key, home: &Home) -> Result<Self, PostMortemError> {
        Observed::steadily(key, home, |observed| {
            let base = Base::find(observed.base())
                .map_err(|what| PostMortemError::Corrupt { key, what: what.as_str() })?;
            Ok(Self::of(&base, observed.facts()))
        })
        .map(|found| found.or_ended(key, home))
    }

    /// Adds the time at which the last owner left the blocks, if that of the base was overwritten.
    fn or_ended(mut self, key: Key, home: &Home) -> Self {
        if self.ended.is_none()
            && self.owner.is_none()
            && let Ok(facts) = observe_pool(key, home)
            && let Some(Ended::At(seconds)) = facts.ended()
        {
            self.ended = Some(seconds.saturating_mul(1_000_000_000));
        }
        self
    }

    fn of(base: &Base, facts: &Facts) -> Self {
        let header = &base.header;
        let owner = match &facts.lock {
            LockFacts::Held { holder, .. } => Some(holder.clone()),
            _ => None,
        };
        let operation = last_operation(base);
        let marks = header.all_marks().map(|word| (word, false));
        let suspects = header.suspects.iter().map(|word| (word, true));
        let run = header.run.load();
        let starts = Starts::of(base).read();
        PostMortem {
            key: facts.key,
            process: crate::layout::text(&header.geometry.process),
            ended: ended(facts, &starts, header.owner_pid.load()).filter(|_| owner.is_none()),
            owner,
            pid: header.owner_pid.load(),
            closed: run == RUN_CLOSED,
            ready: run == RUN_READY,
            ipc_namespace: header.ipc_namespace.load(),
            operation,
            being_written: marks
                .chain(suspects)
                .filter_map(|(word, old)| being_written(base, word, old))
                .collect(),
            quarantined: quarantine::listed(header).collect(),
            notes: BlackBox::of(base).read(),
            starts,
            read_at: sys::wall_nanos(),
        }
    }
}

/// Returns when the last owner recorded its end, or when the kernel saw it detach the base.
fn ended(facts: &Facts, starts: &[Start], pid: u64) -> Option<u64> {
    let recorded = starts.last().and_then(|start| start.ended);
    let segment = facts.segment.as_ref()?;
    let last = segment.last_pid.is_none_or(|last| last as u64 == pid);
    recorded
        .or_else(|| segment.last_detach.filter(|_| last).map(|seconds| seconds.saturating_mul(1_000_000_000)))
}

/// Returns the IPC namespace of this process, to be compared with [`PostMortem::ipc_namespace`].
pub fn ipc_namespace() -> u64 {
    sys::ipc_namespace()
}

/// Returns the last operation, with the slot that the tally of its type names.
fn last_operation(base: &Base) -> Option<LastOperation> {
    let last = Last::parse(base.header.last.load())?;
    let slot = base.used_type(last.type_id)?.named()?;
    let type_name = type_name(base, last.type_id);
    Some(LastOperation { alloc: last.op == Op::Alloc, type_id: last.type_id, type_name, slot })
}

fn being_written(base: &Base, word: &Word, earlier: bool) -> Option<BeingWritten> {
    let bits = Some(word.load()).filter(|bits| *bits != 0)?;
    let object = Handle::from_bits(bits);
    let type_id = (bits >> crate::object::TYPE_SHIFT) as u16 & crate::limits::MAX_TYPE_ID;
    Some(BeingWritten { object, type_id, type_name: type_name(base, type_id), earlier })
}

fn type_name(base: &Base, id: u16) -> String {
    base.used_type(id).map(|info| info.name()).unwrap_or_default()
}
