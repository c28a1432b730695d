//! The state of a pool in one word, and what to do about it.

use hotpool::layout::RUN_READY;
use hotpool::share::{Facts, LockFacts, PoolFacts, ProcessState, Verdict};

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
    /// Its removal was cut.
    Gone,
    /// Its segment was removed under a process that still has it.
    Removed,
    /// Attached, and owned by nobody: its semaphores were removed under a process.
    Unlocked,
    /// A block that no pool names.
    Stray,
    /// Of a version with another layout.
    Incompatible,
    /// Ours, and its bytes make no sense.
    Damaged,
    /// Not ours.
    Foreign,
}

impl PoolState {
    /// All of them, in the order in which they are documented.
    #[cfg(test)]
    pub(crate) const ALL: [PoolState; 16] = [
        PoolState::Running,
        PoolState::Starting,
        PoolState::Stopped,
        PoolState::Dying,
        PoolState::Closed,
        PoolState::Crashed,
        PoolState::Unfinished,
        PoolState::Absent,
        PoolState::Semaphores,
        PoolState::Gone,
        PoolState::Removed,
        PoolState::Unlocked,
        PoolState::Stray,
        PoolState::Incompatible,
        PoolState::Damaged,
        PoolState::Foreign,
    ];

    pub(crate) fn of(pool: &PoolFacts) -> PoolState {
        match pool.base.verdict() {
            Verdict::Busy { holder } => match holder.state {
                ProcessState::Stopped => PoolState::Stopped,
                ProcessState::Exiting | ProcessState::Zombie => PoolState::Dying,
                _ if pool.base.head().and_then(|head| head.run) == Some(RUN_READY) => PoolState::Running,
                _ => PoolState::Starting,
            },
            Verdict::Absent if pool.base.lock == LockFacts::None => PoolState::Absent,
            Verdict::Absent => PoolState::Semaphores,
            Verdict::Dying => PoolState::Removed,
            Verdict::Clean | Verdict::Crashed if pool.is_held_unlocked() => PoolState::Unlocked,
            Verdict::Clean => PoolState::Closed,
            Verdict::Crashed => PoolState::Crashed,
            Verdict::Unfinished => PoolState::Unfinished,
            Verdict::Gone => PoolState::Gone,
            Verdict::Incompatible { .. } => PoolState::Incompatible,
            Verdict::Corrupt { .. } => PoolState::Damaged,
            Verdict::Foreign { .. }
            | Verdict::WrongSize { .. }
            | Verdict::WrongOwner { .. }
            | Verdict::WrongMode { .. } => PoolState::Foreign,
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
            PoolState::Gone => "gone",
            PoolState::Removed => "removed",
            PoolState::Unlocked => "unlocked",
            PoolState::Stray => "stray",
            PoolState::Incompatible => "incompatible",
            PoolState::Damaged => "damaged",
            PoolState::Foreign => "foreign",
        }
    }

    /// Whether somebody has to do something before a start can go well, or has lost something.
    pub(crate) fn is_problem(self) -> bool {
        use PoolState::*;
        matches!(self, Gone | Removed | Unlocked | Stray | Incompatible | Damaged | Foreign)
    }

    /// What is known, and what to do, where there is something to do.
    pub(crate) fn remark(self, facts: &Facts) -> Option<String> {
        let key = facts.key;
        match self {
            PoolState::Semaphores => Some(format!(
                "under {key} are owner semaphores and no segment (of a pool with Backend = file they are in its Dir); the next \
                 start takes them, or run `hotpool rm --key {key}`"
            )),
            PoolState::Unlocked => Some(format!(
                "{key} is attached and has no owner by its semaphores; somebody removed them under a running server: \
                 find it by `fuser` or `ipcs -mp` and stop it"
            )),
            PoolState::Stray => Some(format!(
                "{key} is a block whose base is gone; its objects cannot be reached: run `hotpool rm --key {key}`"
            )),
            state if state.is_problem() => {
                let verdict = facts.verdict();
                Some(format!("{}; {}", verdict.reason(facts), verdict.next(facts)))
            }
            _ => None,
        }
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
