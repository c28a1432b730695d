//! Verdicts: one pure function from facts to a closed list, and a sentence of each for an operator.

use super::facts::{Facts, Reading, may_be_a_beginning};
use super::head::Head;
use super::lock_facts::LockFacts;
use crate::conf::BackendKind;
use crate::layout::{
    BASE_KIND, BLOCK_KIND, LAYOUT_VERSION, MAGIC_GONE, MAGIC_MAKING, MAGIC_READY, RUN_CLOSED, RUN_READY,
    RUN_STARTING,
};
use crate::sys::proc::Process;
use crate::sys::sysv;
use crate::units::{Age, Bytes};

/// The verdict on the segment under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is no segment.
    Absent,
    /// A foreign segment, which is not touched.
    Foreign {
        /// Reason for the verdict.
        why: String,
    },
    /// A pool with a live owner.
    Busy {
        /// The owner.
        holder: Process,
    },
    /// A pool that was removed while it was attached.
    ///
    /// It exists until its last detach, but no process can find it any more.
    Dying,
    /// A creation by hotpool that was interrupted. The segment holds nothing.
    Unfinished,
    /// A creation by hotpool that is in progress, as reported to observers.
    Making {
        /// The process that creates it.
        by: Process,
    },
    /// A complete base that its last owner closed, or a complete block.
    Clean,
    /// A complete base whose last owner died.
    Crashed,
    /// A pool whose removal was interrupted.
    Gone,
    /// A segment with the layout of another version.
    Incompatible {
        /// Its layout version.
        found: u32,
        /// Layout version of this build.
        wanted: u32,
    },
    /// A segment of hotpool with another size.
    WrongSize {
        /// Its size.
        found: Bytes,
        /// The configured size.
        wanted: Bytes,
    },
    /// A segment of another user.
    WrongOwner {
        /// Its user.
        found: u32,
        /// The user of this process.
        wanted: u32,
    },
    /// A segment with more permissions than configured.
    WrongMode {
        /// Its permission bits.
        found: u32,
        /// The configured permission bits.
        wanted: u32,
    },
    /// A segment of hotpool that is damaged.
    Corrupt {
        /// What is damaged.
        what: Damage,
    },
}

/// The damage of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The checksum of the frozen bytes is wrong.
    Checksum,
    /// The frozen bytes have another key.
    Key,
    /// The frozen bytes have another size.
    Size,
    /// The segment is neither a base nor a block.
    Kind,
    /// The state of the last owner is invalid.
    Run,
    /// The segment ends before its header does.
    Short,
    /// The segment is marked as being created, but has bytes that no creation writes.
    Beginning,
}

impl Damage {
    fn text(self) -> &'static str {
        match self {
            Damage::Checksum => "the checksum of its first 64 bytes is wrong",
            Damage::Key => "its first 64 bytes name another key",
            Damage::Size => "its first 64 bytes name another size",
            Damage::Kind => "it is neither a base nor a block",
            Damage::Run => "the word `run`, the state of its last owner, is invalid",
            Damage::Short => "it ends before its header does",
            Damage::Beginning => "it is marked as being created, but holds bytes that no creation writes",
        }
    }
}

impl Facts {
    /// Returns the verdict on these facts.
    pub fn verdict(&self) -> Verdict {
        judge(self)
    }
}

/// Returns the verdict on these facts.
///
/// The order matters: first the user of the semaphores, a live owner, and the user of the memory.
/// Then whether hotpool made the segment, whether it is sound, and whether it is the requested one.
/// Only then the state of its last owner.
pub fn judge(facts: &Facts) -> Verdict {
    match &facts.lock {
        LockFacts::Foreign(set) if set.is_denied => {
            return Verdict::WrongOwner { found: set.uid, wanted: sysv::effective_uid() };
        }
        LockFacts::Foreign(set) => {
            let why = format!("its semaphores (semid {}, uid {}): {}", set.semid, set.uid, set.why);
            return Verdict::Foreign { why };
        }
        LockFacts::Held { holder, .. } => return Verdict::Busy { holder: holder.clone() },
        LockFacts::None | LockFacts::Free { .. } | LockFacts::Ours { .. } => {}
    }
    let Some(segment) = &facts.segment else { return Verdict::Absent };
    if segment.removed {
        return Verdict::Dying;
    }
    if let Some(wanted) = facts.want.uid
        && wanted != segment.uid
    {
        return Verdict::WrongOwner { found: segment.uid, wanted };
    }
    if segment.bytes.0 == 0 {
        return Verdict::Unfinished;
    }
    match &facts.reading {
        Reading::Head(head) => judge_head(facts, head),
        Reading::TooShort => Verdict::Foreign { why: "it is shorter than a header".into() },
        // What is in it is not known, and whose it is says why.
        Reading::Refused { .. } if facts.want.uid.is_none() && segment.uid != sysv::effective_uid() => {
            Verdict::WrongOwner { found: segment.uid, wanted: sysv::effective_uid() }
        }
        Reading::Refused { why } => Verdict::Foreign { why: format!("it cannot be read: {why}") },
        Reading::Skipped => Verdict::Foreign { why: "it was not read".into() },
    }
}

/// Judges a head: whether hotpool made the segment, and whether it is complete.
fn judge_head(facts: &Facts, head: &Head) -> Verdict {
    match head.magic {
        MAGIC_READY => judge_ready(facts, head),
        MAGIC_GONE if head.sound && head.key == facts.key => Verdict::Gone,
        MAGIC_GONE => Verdict::Corrupt { what: if head.sound { Damage::Key } else { Damage::Checksum } },
        MAGIC_MAKING => judge_unfinished(facts, head),
        0 if head.blank => judge_unfinished(facts, head),
        0 => Verdict::Foreign { why: "its first word is zero, but the next ones are not".into() },
        other => Verdict::Foreign { why: format!("its first word is {other:#018x}") },
    }
}

/// Judges an unfinished segment: provably made by hotpool, and safe to create again.
///
/// `docs/layout.md` lists the states that an interrupted creation leaves.
fn judge_unfinished(facts: &Facts, head: &Head) -> Verdict {
    let marked = head.magic == MAGIC_MAKING;
    let strangers = facts.strangers;
    if strangers != 0 {
        let times = if strangers == 1 { "once".into() } else { format!("{strangers} times") };
        let why =
            format!("it is not complete, but is attached {times} by a process that is no tool of hotpool");
        return Verdict::Foreign { why };
    }
    if !marked && !may_be_a_beginning(facts.backend, &facts.want, &facts.lock) {
        let why = "its first 64 bytes are zero, and no owner semaphores tell that hotpool made it";
        return Verdict::Foreign { why: why.into() };
    }
    let beginning = if marked { judge_marked(facts, head) } else { judge_blank(head) };
    beginning.unwrap_or_else(|| match wrong_size(facts).or_else(|| wrong_mode(facts)) {
        Some(wrong) if marked => wrong,
        Some(_) => {
            Verdict::Foreign { why: "it is all zeros, but its size or mode is not the configured one".into() }
        }
        None => Verdict::Unfinished,
    })
}

/// Returns why a segment that begins with zeros is not unfinished.
///
/// It could be a new segment of any program, so all its bytes must be zero.
fn judge_blank(head: &Head) -> Option<Verdict> {
    let at = head.beyond?;
    Some(Verdict::Foreign { why: format!("its first 64 bytes are zero, but the word at {at:#x} is not") })
}

/// Returns why a segment that is marked as being created is not unfinished.
fn judge_marked(facts: &Facts, head: &Head) -> Option<Verdict> {
    let size = facts.segment.as_ref().map_or(0, |segment| segment.bytes.0);
    let beginning = |found: u64, wanted: u64| found == 0 || found == wanted;
    if head.sound && head.layout != LAYOUT_VERSION {
        return Some(Verdict::Incompatible { found: head.layout, wanted: LAYOUT_VERSION });
    }
    let is_ours = beginning(head.layout.into(), LAYOUT_VERSION.into())
        && beginning(head.bytes, size)
        && beginning(head.key.0.into(), facts.key.0.into())
        && [0, BASE_KIND, BLOCK_KIND].contains(&head.kind);
    if !is_ours {
        return Some(Verdict::Corrupt { what: Damage::Beginning });
    }
    head.beyond?;
    // The contents of a draft are a copy or nothing; the identity beside the mark tells to which
    // pool it belongs.
    if !(head.draft && head.sound && head.bytes == size && head.key == facts.key) {
        return Some(Verdict::Corrupt { what: Damage::Beginning });
    }
    another(facts, head).map(|why| Verdict::Foreign { why })
}

/// Judges a complete segment: whether it is sound, and the requested one.
fn judge_ready(facts: &Facts, head: &Head) -> Verdict {
    let size = facts.segment.as_ref().map_or(0, |segment| segment.bytes.0);
    if !head.sound {
        return Verdict::Corrupt { what: Damage::Checksum };
    }
    if head.key != facts.key {
        return Verdict::Corrupt { what: Damage::Key };
    }
    if head.bytes != size {
        return Verdict::Corrupt { what: Damage::Size };
    }
    if head.layout != LAYOUT_VERSION {
        return Verdict::Incompatible { found: head.layout, wanted: LAYOUT_VERSION };
    }
    if let Some(why) = another(facts, head) {
        return Verdict::Foreign { why };
    }
    // A base keeps the size of its creation: its own geometry describes it.
    let wrong_size = if head.kind == BASE_KIND { None } else { wrong_size(facts) };
    if let Some(wrong) = wrong_size.or_else(|| wrong_mode(facts)) {
        return wrong;
    }
    match (head.kind, head.run) {
        (BLOCK_KIND, _) | (BASE_KIND, Some(RUN_CLOSED)) => Verdict::Clean,
        (BASE_KIND, Some(RUN_STARTING | RUN_READY)) => Verdict::Crashed,
        (BASE_KIND, Some(_)) => Verdict::Corrupt { what: Damage::Run },
        (BASE_KIND, None) => Verdict::Corrupt { what: Damage::Short },
        _ => Verdict::Corrupt { what: Damage::Kind },
    }
}

/// Returns why a sound segment is not the requested one.
fn another(facts: &Facts, head: &Head) -> Option<String> {
    let want = &facts.want;
    let name = |kind| match kind {
        BASE_KIND => "a base",
        BLOCK_KIND => "a block",
        _ => "something unknown",
    };
    if want.kind.is_some_and(|kind| kind != head.kind) {
        let wanted = want.kind.map_or("", name);
        return Some(format!("it is {} of pool {}, not {wanted}", name(head.kind), pool_name(head.pool_id)));
    }
    if want.pool_id.is_some_and(|id| id != head.pool_id) {
        return Some(format!("it belongs to pool {}", pool_name(head.pool_id)));
    }
    match want.index {
        Some(index) if index != head.index => Some(format!("it is block {}, not block {index}", head.index)),
        _ => None,
    }
}

fn wrong_size(facts: &Facts) -> Option<Verdict> {
    let (wanted, found) = (facts.want.bytes?, facts.segment.as_ref()?.bytes);
    (wanted != found).then_some(Verdict::WrongSize { found, wanted })
}

fn wrong_mode(facts: &Facts) -> Option<Verdict> {
    let (wanted, found) = (facts.want.mode?, facts.segment.as_ref()?.mode);
    (found & !wanted != 0).then_some(Verdict::WrongMode { found, wanted })
}

/// Returns the identity of a pool as operators see it.
pub(crate) fn pool_name(id: [u64; 2]) -> String {
    format!("{:016x}{:016x}", id[0], id[1])
}

impl Verdict {
    /// Returns what was found, in a sentence with the key, the owner, the creator and the age.
    pub fn reason(&self, facts: &Facts) -> String {
        let key = facts.key;
        match self {
            Verdict::Absent => format!("there is no segment under {key}"),
            Verdict::Busy { holder } => format!("{key} is owned by {holder}"),
            other if facts.segment.is_none() => format!("{key} {}", other.what()),
            other => format!("the segment under {key} ({}) {}", describe(facts), other.what()),
        }
    }

    /// Returns the verdict as the rest of a sentence about the segment.
    fn what(&self) -> String {
        match self {
            Verdict::Absent => "is absent".into(),
            Verdict::Busy { holder } => format!("is owned by {holder}"),
            Verdict::Foreign { why } => format!("does not belong to this pool: {why}"),
            Verdict::Dying => "was removed while a process still has it attached".into(),
            Verdict::Unfinished => "is unfinished: its creation was interrupted, and it holds nothing".into(),
            Verdict::Making { by } => format!("is being created by {by} and holds nothing yet"),
            Verdict::Clean => "is complete and was closed by its owner".into(),
            Verdict::Crashed => "is complete and its owner died".into(),
            Verdict::Gone => "belongs to a pool whose removal was interrupted".into(),
            Verdict::Incompatible { found, wanted } => {
                format!("has layout version {found}, but this build needs version {wanted}")
            }
            Verdict::WrongSize { found, wanted } => {
                format!("has the size {found}, but the configuration requires {wanted}")
            }
            Verdict::WrongOwner { found, wanted } => {
                format!("belongs to uid {found}, but this process runs as uid {wanted}")
            }
            Verdict::WrongMode { found, wanted } => {
                format!("has mode {found:04o}, which is wider than the configured {wanted:04o}")
            }
            Verdict::Corrupt { what } => format!("is damaged: {}", what.text()),
        }
    }

    /// Returns what to do about it, with a command if there is one.
    pub fn next(&self, facts: &Facts) -> String {
        let key = facts.key;
        match self {
            _ if facts.want.empty => {
                format!("it holds no object: remove {key} from ShmKeys, and the next start keeps all objects of the pool")
            }
            Verdict::Absent if facts.want.taken => {
                "it was removed, but its base records objects in it: restore a snapshot, or give up all objects of the \
                 pool with `hotpool rm` and the pool's BaseKey"
                    .into()
            }
            Verdict::Absent if facts.want.kind == Some(BLOCK_KIND) => {
                "it was removed: start the pool, which creates it again if it was empty, and refuses otherwise".into()
            }
            Verdict::Unfinished if facts.want.taken => {
                "its base records objects in it: restore a snapshot, or give up all objects of the pool with \
                 `hotpool rm` and the pool's BaseKey"
                    .into()
            }
            Verdict::Foreign { .. } if facts.want.taken => {
                "its base records objects in it: restore the segment that was under the key, or give up all objects of the \
                 pool with `hotpool rm` and the pool's BaseKey"
                    .into()
            }
            Verdict::Corrupt { .. } if facts.want.taken => {
                "the pool's other objects are in its other blocks: restore a snapshot, or give up all of them with \
                 `hotpool rm` and the pool's BaseKey"
                    .into()
            }
            Verdict::Absent | Verdict::Unfinished | Verdict::Clean | Verdict::Crashed => {
                "nothing to do: the next start uses it".into()
            }
            Verdict::Foreign { .. } => "choose another key, or run `ipcs -m -p` and `hotpool ls`".into(),
            Verdict::Making { .. } => "try again when it has started".into(),
            Verdict::Busy { .. } => "stop it first, or run `hotpool ls`".into(),
            Verdict::Dying => "stop the process that has it, then start again; its objects are lost".into(),
            Verdict::Gone => format!("run `hotpool rm --key {key}`"),
            Verdict::Incompatible { .. } => {
                format!(
                    "start the version that created it, or give up its objects with `hotpool rm --key {key}`"
                )
            }
            Verdict::WrongSize { .. } => {
                format!("configure its size, or give up its objects with `hotpool rm --key {key}`")
            }
            Verdict::WrongOwner { found, .. } if facts.want.uid.is_none() => {
                format!("run the command as uid {found}, or as the superuser")
            }
            Verdict::WrongOwner { found, .. } => {
                format!("start as uid {found}, or run `hotpool rm --key {key}` as that user")
            }
            Verdict::WrongMode { found, .. } => {
                format!("set Mode = {found:04o}, or give up its objects with `hotpool rm --key {key}`")
            }
            Verdict::Corrupt { .. } => {
                format!("run `hotpool inspect --key {key}`, then `hotpool rm --key {key}`")
            }
        }
    }
}

/// Returns the known facts about creator, user and age of the segment.
fn describe(facts: &Facts) -> String {
    let Some(segment) = &facts.segment else { return "absent".into() };
    let shmid = (facts.backend == BackendKind::Sysv).then(|| format!("shmid {}", segment.id));
    let owner = match &facts.user {
        Some(name) => format!("uid {} ({name})", segment.uid),
        None => format!("uid {}", segment.uid),
    };
    let creator = segment.creator_pid.map(|pid| format!("created by pid {pid}"));
    let changed =
        (segment.changed != 0).then(|| format!("{} old", Age(facts.seen.saturating_sub(segment.changed))));
    [shmid, Some(owner), creator, changed].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
