//! The state of a pool as one word, and what to do about it.

use hotpool::__internal::layout::{BLOCK_KIND, MAGIC_GONE, RUN_READY};
use hotpool::share::{
    BlockFacts, Facts, LockFacts, LooseBlock, PoolFacts, Process, ProcessState, Reading, Verdict,
};

/// The state that `hotpool ls` prints. `docs/operating.md` has the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolState {
    /// The owner is serving.
    Running,
    /// The owner has not called `ready()` yet.
    Starting,
    /// The owner is stopped by a signal or a debugger.
    Stopped,
    /// The kernel is tearing the owner down.
    Dying,
    /// The last owner closed the pool; it waits for the next start.
    Closed,
    /// The last owner died; the pool waits for the next start.
    Crashed,
    /// Its creation was interrupted; the next start completes it.
    Unfinished,
    /// It does not exist; the next start creates it.
    Absent,
    /// Owner semaphores without a segment.
    Semaphores,
    /// The process that holds the lock is removing it.
    Removing,
    /// Its removal was interrupted.
    Gone,
    /// Its segment was removed while a process had it attached.
    Removed,
    /// Attached without an owner: the owner semaphores were removed while the owner ran.
    Unlocked,
    /// A block that the base needs does not exist.
    Incomplete,
    /// A block whose base does not exist.
    Stray,
    /// Made by a version with another layout.
    Incompatible,
    /// Made by hotpool, with bytes that are invalid.
    Damaged,
    /// Not made by hotpool, or not readable for this user.
    Foreign,
    /// A system call that reads it failed.
    Unknown,
}

impl PoolState {
    /// All states, in the order of the documentation.
    #[cfg(test)]
    pub(crate) const ALL: [PoolState; 19] = [
        PoolState::Running,
        PoolState::Starting,
        PoolState::Stopped,
        PoolState::Dying,
        PoolState::Closed,
        PoolState::Crashed,
        PoolState::Unfinished,
        PoolState::Absent,
        PoolState::Semaphores,
        PoolState::Removing,
        PoolState::Gone,
        PoolState::Removed,
        PoolState::Unlocked,
        PoolState::Incomplete,
        PoolState::Stray,
        PoolState::Incompatible,
        PoolState::Damaged,
        PoolState::Foreign,
        PoolState::Unknown,
    ];

    pub(crate) fn of(pool: &PoolFacts) -> PoolState {
        let is_removed = pool.base.segment.as_ref().is_some_and(|segment| segment.removed);
        match pool.base.verdict() {
            Verdict::Busy { .. } if is_removed => PoolState::Removed,
            Verdict::Busy { .. } if pool.base.head().is_some_and(|head| head.magic == MAGIC_GONE) => {
                PoolState::Removing
            }
            Verdict::Busy { .. } | Verdict::Clean | Verdict::Crashed if pool.missing().next().is_some() => {
                PoolState::Incomplete
            }
            Verdict::Busy { holder } => match holder.state {
                ProcessState::Stopped => PoolState::Stopped,
                ProcessState::Exiting | ProcessState::Zombie => PoolState::Dying,
                _ if pool.base.head().and_then(|head| head.run) == Some(RUN_READY) => PoolState::Running,
                _ => PoolState::Starting,
            },
            Verdict::Absent if matches!(pool.base.reading, Reading::Refused { .. }) => PoolState::Unknown,
            Verdict::Absent if pool.base.lock == LockFacts::None => PoolState::Absent,
            Verdict::Absent => PoolState::Semaphores,
            Verdict::Dying => PoolState::Removed,
            Verdict::Clean | Verdict::Crashed if pool.is_held_unlocked() => PoolState::Unlocked,
            Verdict::Clean if is_block(&pool.base) => PoolState::Foreign,
            Verdict::Clean => PoolState::Closed,
            Verdict::Crashed => PoolState::Crashed,
            Verdict::Unfinished => PoolState::Unfinished,
            Verdict::Making { .. } => PoolState::Starting,
            Verdict::Gone => PoolState::Gone,
            Verdict::Incompatible { .. } => PoolState::Incompatible,
            Verdict::Corrupt { .. } => PoolState::Damaged,
            Verdict::Foreign { .. }
            | Verdict::WrongSize { .. }
            | Verdict::WrongOwner { .. }
            | Verdict::WrongMode { .. } => PoolState::Foreign,
        }
    }

    /// Returns the state of a segment under the key of a block, if the base does not name it.
    pub(crate) fn of_block(block: &LooseBlock) -> PoolState {
        match block.facts.verdict() {
            Verdict::Clean if block.pool.is_some() => PoolState::Foreign,
            Verdict::Clean if !block.holders.is_empty() => PoolState::Removed,
            Verdict::Clean => PoolState::Stray,
            _ => PoolState::of(&PoolFacts { base: block.facts.clone(), blocks: Vec::new(), rivals: None }),
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            PoolState::Running => "running",
            PoolState::Starting => "starting",
            PoolState::Stopped => "stopped",
            PoolState::Dying => "dying",
            PoolState::Closed => "closed",
            PoolState::Crashed => "crashed",
            PoolState::Unfinished => "unfinished",
            PoolState::Absent => "absent",
            PoolState::Semaphores => "semaphores",
            PoolState::Removing => "removing",
            PoolState::Gone => "gone",
            PoolState::Removed => "removed",
            PoolState::Unlocked => "unlocked",
            PoolState::Incomplete => "incomplete",
            PoolState::Stray => "stray",
            PoolState::Incompatible => "incompatible",
            PoolState::Damaged => "damaged",
            PoolState::Foreign => "foreign",
            PoolState::Unknown => "unknown",
        }
    }

    /// Whether the operator has to act before the next start, or has lost objects.
    pub(crate) fn is_problem(self) -> bool {
        use PoolState::*;
        matches!(
            self,
            Gone | Removed | Unlocked | Incomplete | Stray | Incompatible | Damaged | Foreign | Unknown
        )
    }

    /// Returns what was found and what to do, if the pool needs attention.
    pub(crate) fn remark(self, pool: &PoolFacts) -> Option<String> {
        let (facts, key) = (&pool.base, pool.base.key);
        match self {
            PoolState::Semaphores => Some(format!(
                "{key} has owner semaphores and no segment (segments of Backend = file are in its Dir); a start there reuses \
                 them, and `hotpool rm --key {key}` removes them"
            )),
            PoolState::Unlocked => Some(format!(
                "{key} is attached by {}, but its semaphores name no owner: they were removed while the server ran. Its \
                 objects are safe; restart the server",
                named(pool.rivals.as_deref().unwrap_or_default())
            )),
            PoolState::Removed => Some(removed(pool)),
            PoolState::Incomplete => Some(incomplete(pool)),
            PoolState::Unknown => Some(match &facts.reading {
                Reading::Refused { why } => why.clone(),
                _ => format!("cannot inspect the segment under {key}"),
            }),
            PoolState::Foreign if is_block(facts) => Some(format!(
                "{key} is a block, not a base: correct BaseKey, or choose another one; `hotpool inspect --key {key}` names \
                 its pool"
            )),
            state if state.is_problem() => {
                let verdict = facts.verdict();
                Some(format!("{}; {}", verdict.reason(facts), verdict.next(facts)))
            }
            _ => None,
        }
    }

    /// Returns what was found and what to do about a block that no base names.
    pub(crate) fn remark_of_block(self, block: &LooseBlock) -> Option<String> {
        let key = block.facts.key;
        match (self, block.pool) {
            (PoolState::Foreign, Some(base)) => Some(format!(
                "{key} is a block of the pool under {base}; choose another key in ShmKeys, or correct BaseKey"
            )),
            (PoolState::Removed, _) => Some(format!(
                "the base of block {key} was removed while {} had it attached. The objects exist until that process ends, \
                 and no start finds them: save what you need now, then stop the process",
                named(&block.holders)
            )),
            (PoolState::Stray, _) => Some(format!(
                "no complete base names block {key}, so no start reaches its objects: restore its base if it was damaged or \
                 removed, or give the objects up with `hotpool rm --key {key}`"
            )),
            _ => self.remark(&PoolFacts { base: block.facts.clone(), blocks: Vec::new(), rivals: None }),
        }
    }
}

/// Whether a complete segment says that it is a block.
fn is_block(facts: &Facts) -> bool {
    facts.verdict() == Verdict::Clean && facts.head().is_some_and(|head| head.kind == BLOCK_KIND)
}

/// Lists the processes, or says that they cannot be seen.
fn named(processes: &[Process]) -> String {
    match processes {
        [] => "a process that is not visible from here".into(),
        some => some.iter().map(Process::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Names the process that still has a pool whose base was removed.
fn removed(pool: &PoolFacts) -> String {
    let key = pool.base.key;
    match &pool.base.lock {
        LockFacts::Held { holder, .. } => format!(
            "the base {key} was removed while {holder} had it attached. The objects exist until that process ends, and no \
             start finds them: save what you need now, then stop the process and find what removed the base: `ipcrm`, or \
             RemoveIPC (run `hotpool doctor`)"
        ),
        _ => {
            let verdict = pool.base.verdict();
            format!("{}; {}", verdict.reason(&pool.base), verdict.next(&pool.base))
        }
    }
}

/// Lists the missing blocks, and what to do to keep the most objects.
fn incomplete(pool: &PoolFacts) -> String {
    let key = pool.base.key;
    let list = |blocks: Vec<&BlockFacts>| {
        let keys: Vec<String> = blocks.iter().map(|block| block.key.to_string()).collect();
        (keys.len(), keys.join(", "))
    };
    let (count, gone) = list(pool.missing().collect());
    let (blocks, were) = if count == 1 { ("block", "was") } else { ("blocks", "were") };
    if let LockFacts::Held { holder, .. } = &pool.base.lock {
        return format!(
            "{blocks} {gone} of {key} {were} removed while {holder} had them attached. The objects exist until that process \
             ends: save what you need now, then stop the process and find what removed the segments: `ipcrm`, or RemoveIPC \
             (run `hotpool doctor`)"
        );
    }
    let (used, lost) = list(pool.missing().filter(|block| block.was_used != Some(false)).collect());
    match used {
        0 => format!(
            "{blocks} {gone} of {key} {were} removed, without an object inside: remove the key from ShmKeys, and the next \
             start finds every object"
        ),
        _ => format!(
            "{blocks} {gone} of {key} {were} removed, with objects in {lost}: a start is refused and changes nothing. Restore \
             the segment, or give up all objects of the pool with `hotpool rm --key {key}`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_row_in_the_document() {
        let document = include_str!("../../../docs/operating.md");
        let section = document.split("### hotpool ls").nth(1).and_then(|rest| rest.split("\n### ").next());
        let rows = section.unwrap().lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        assert_eq!(rows.collect::<Vec<_>>(), PoolState::ALL.map(PoolState::word));
    }
}
