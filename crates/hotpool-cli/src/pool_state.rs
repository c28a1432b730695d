//! The state of a pool in one word, and what to do about it.

use hotpool::layout::{MAGIC_GONE, RUN_READY};
use hotpool::share::{BlockFacts, LockFacts, LooseBlock, PoolFacts, Process, ProcessState, Reading, Verdict};

/// What `hotpool ls` calls it. `docs/operating.md` has the same words.
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
    /// Waiting for the next start; the last owner closed it.
    Closed,
    /// Waiting for the next start; the last owner died.
    Crashed,
    /// Its creation was cut; the next start makes it.
    Unfinished,
    /// Nothing is there: the next start makes it.
    Absent,
    /// Owner semaphores without a segment.
    Semaphores,
    /// The process that has the lock is removing it.
    Removing,
    /// Its removal was cut.
    Gone,
    /// Its segment was removed under a process that still has it.
    Removed,
    /// Attached, and owned by nobody: its semaphores were removed under a process.
    Unlocked,
    /// A block that its base counts on is gone.
    Incomplete,
    /// A block that no pool names.
    Stray,
    /// Of a version with another layout.
    Incompatible,
    /// Ours, and its bytes make no sense.
    Damaged,
    /// Not ours, or not for this user to look at.
    Foreign,
    /// The system did not let it be looked at.
    Unknown,
}

impl PoolState {
    /// All of them, in the order in which they are documented.
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

    /// A segment that lies under the key of a block, and that the base does not name.
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

    /// Whether somebody has to do something before a start can go well, or has lost something.
    pub(crate) fn is_problem(self) -> bool {
        use PoolState::*;
        matches!(
            self,
            Gone | Removed | Unlocked | Incomplete | Stray | Incompatible | Damaged | Foreign | Unknown
        )
    }

    /// What is known, and what to do, where there is something to do.
    pub(crate) fn remark(self, pool: &PoolFacts) -> Option<String> {
        let (facts, key) = (&pool.base, pool.base.key);
        match self {
            PoolState::Semaphores => Some(format!(
                "under {key} are owner semaphores and no segment (of a pool with Backend = file they are in its Dir); the next \
                 start takes them, or run `hotpool rm --key {key}`"
            )),
            PoolState::Unlocked => Some(format!(
                "{key} is attached by {} and has no owner by its semaphores; they were removed under a running server: \
                 its objects are safe, stop it and start it again",
                named(pool.rivals.as_deref().unwrap_or_default())
            )),
            PoolState::Removed => Some(removed(pool)),
            PoolState::Incomplete => Some(incomplete(pool)),
            PoolState::Unknown => Some(match &facts.reading {
                Reading::Refused { why } => format!("cannot look at {key}: {why}"),
                _ => format!("cannot look at {key}"),
            }),
            state if state.is_problem() => {
                let verdict = facts.verdict();
                Some(format!("{}; {}", verdict.reason(facts), verdict.next(facts)))
            }
            _ => None,
        }
    }

    /// The same of a block that its base does not name.
    pub(crate) fn remark_of_block(self, block: &LooseBlock) -> Option<String> {
        let key = block.facts.key;
        match (self, block.pool) {
            (PoolState::Foreign, Some(base)) => Some(format!(
                "{key} is a block of the pool under {base}; name another key in ShmKeys, or correct BaseKey"
            )),
            (PoolState::Removed, _) => Some(format!(
                "{key} is a block whose base was removed under {}: its objects are there until that process ends, and no \
                 start finds them; save now what has to be kept, then stop it",
                named(&block.holders)
            )),
            (PoolState::Stray, _) => Some(format!(
                "{key} is a block whose base is gone; its objects cannot be reached: run `hotpool rm --key {key}`"
            )),
            _ => self.remark(&PoolFacts { base: block.facts.clone(), blocks: Vec::new(), rivals: None }),
        }
    }
}

/// The processes, or a word for one that cannot be seen.
fn named(processes: &[Process]) -> String {
    match processes {
        [] => "a process that cannot be seen from here".into(),
        some => some.iter().map(Process::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Who still has a pool whose base was removed.
fn removed(pool: &PoolFacts) -> String {
    let key = pool.base.key;
    match &pool.base.lock {
        LockFacts::Held { holder, .. } => format!(
            "the base under {key} was removed under {holder}: its objects are there until that process ends, and no start \
             finds them; save now what has to be kept, then stop it and find who runs `ipcrm` or whether RemoveIPC is set \
             (`hotpool doctor`)"
        ),
        _ => {
            let verdict = pool.base.verdict();
            format!("{}; {}", verdict.reason(&pool.base), verdict.next(&pool.base))
        }
    }
}

/// Which blocks are gone, and the way that keeps the most objects.
fn incomplete(pool: &PoolFacts) -> String {
    let key = pool.base.key;
    let list = |blocks: Vec<&BlockFacts>| {
        let keys: Vec<String> = blocks.iter().map(|block| block.key.to_string()).collect();
        (keys.len(), keys.join(", "))
    };
    let (count, gone) = list(pool.missing().collect());
    let blocks = if count == 1 { "block" } else { "blocks" };
    if let LockFacts::Held { holder, .. } = &pool.base.lock {
        return format!(
            "{blocks} {gone} of {key} was removed under {holder}: the objects in it are there until that process ends; save \
             now what has to be kept, then stop it and find who runs `ipcrm` or whether RemoveIPC is set (`hotpool doctor`)"
        );
    }
    let (used, lost) = list(pool.missing().filter(|block| block.was_used != Some(false)).collect());
    match used {
        0 => format!(
            "{blocks} {gone} of {key} is gone, and was empty: remove the key from ShmKeys, and the next start finds every \
             object"
        ),
        _ => format!(
            "{blocks} {gone} of {key} is gone, and objects were in {lost}: a start is refused and changes nothing; bring the \
             segment back, or give all objects of the pool up with `hotpool rm --key {key}`"
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
