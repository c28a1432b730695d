//! Bugs that a test build plants on purpose, so that a test shows that the crash harness detects
//! each.
//!
//! They exist only with the feature `mutants`, which only `tests/mutants.rs` enables. Without it
//! `planted` is a constant, and no code of them is left.

macro_rules! mutants {
    ($($name:ident: $says:literal,)+) => {
        /// A bug in the order of stores.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[cfg_attr(not(feature = "mutants"), allow(dead_code, reason = "named where they are planted"))]
        #[repr(u32)]
        pub enum Mutant {
            $(#[doc = $says] $name,)+
        }

        /// All mutants, each with a description of its bug.
        #[cfg(feature = "mutants")]
        pub const ALL: &[(Mutant, &str)] = &[$((Mutant::$name, $says)),+];
    };
}

mutants! {
    AllocCommitsFirst: "alloc stores the header before the object",
    AllocLinksLast: "alloc_keyed stores the header before the key and its entry in the index",
    RefillNamesNothing: "a slot is marked as used and never named",
    FreeNamesNothing: "free does not name the slot",
    FreeNamesLast: "free names the slot when its object has died",
    FreeForgetsOther: "free does not put back the slot that was at hand",
    RefillMarksFirst: "a slot is marked as used before the tally names it as at hand",
    FreeUnlinksFirst: "free takes the entry out of the index before the object dies",
    GrowCountsFirst: "a growing type counts the extent before its record is written",
    SplitCountsFirst: "a split of an index group counts the new group before the copies are in it",
    SplitLeavesFirst: "a split of an index group takes the old entries out before the new group counts",
    TypeCountsFirst: "add_type counts the type before its entry is written",
    BlockCountsFirst: "a new block is counted before its entry is written",
    ReadyFirst: "a new segment is called complete before it is filled",
    WriteWithoutMark: "get_mut does not mark the object",
    UndoKeepsNothing: "a transaction writes before its log counts the old bytes",
    CommitForgetsFrees: "a transaction clears its log before its frees are done",
    RecoveryForgetsName: "recovery forgets the named slot before its bit is mended",
    RollbackForgetsLog: "a rollback clears the log before the bytes are back",
    ParkListsLast: "quarantine writes its list entry after the header",
    ReleaseForgetsFirst: "release clears the list entry before the object is out of quarantine",
    DropForgetsFirst: "drop_quarantined clears the list entry before the object is freed",
    RecoveryKeepsList: "recovery does not tidy the quarantine list",
    ReadyForgetsFirst: "ready clears the suspects before the start is a success",
    MoveWithoutMark: "a pool is moved aside without the mark that says so",
    MoveMarksBaseFirst: "moving aside marks the base before the blocks",
    SplitCopiesOverflowLast: "a split copies the overflow count after the new group counts",
    PushOutLowersFirst: "an entry that goes home lowers the count of its home before it moves",
    ParkNamesNothing: "quarantine does not name the slot",
    ReleaseNamesNothing: "release does not name the slot",
    ReleaseLinksLast: "release stores the header before the entry in the index",
    DropNamesNothing: "drop_quarantined does not name the slot",
    PushOutClearsFirst: "an entry that is pushed out is cleared before its copy is written",
    PushOutRaisesLast: "an entry that leaves its home raises the count after it has moved",
    LinkRaisesNothing: "an entry in its second group is not counted in its first",
    TxNotesLast: "a transaction makes an object before its log knows of it",
    FinishClearsFirst: "the log of a committed transaction is cleared before its frees are done",
    MarksClearedFirst: "recovery clears a mark before it is among the suspects",
    OpenForgetsSuspects: "a start forgets what owners before the last one left half written",
    CountsBeforeSigning: "a start is counted before its record is in the ring and before it says that it is starting",
    MoveMarksFirst: "a pool is marked as moved aside before the copy is complete",
    MoveCopiesBaseFirst: "moving aside copies the base before the blocks",
    DestroyWithoutMark: "destroy removes blocks before the base says that the pool goes",
    PanicClearsMark: "a guard that a panic drops clears its mark",
    WalkPanicClearsMark: "a walk that a panic drops clears its mark",
    PanicClearsFirst: "a guard that a panic drops clears its mark before the object is a suspect",
    RmTakesBaseFirst: "hotpool rm removes the base before the blocks",
}

#[cfg(feature = "mutants")]
mod active {
    use super::Mutant;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);

    /// Plants this mutant instead of the previous one.
    pub fn plant(mutant: Option<Mutant>) {
        ACTIVE.store(mutant.map_or(u32::MAX, |mutant| mutant as u32), Ordering::SeqCst);
    }

    #[inline(always)]
    pub(crate) fn planted(mutant: Mutant) -> bool {
        ACTIVE.load(Ordering::SeqCst) == mutant as u32
    }
}

#[cfg(feature = "mutants")]
pub use active::plant;
#[cfg(feature = "mutants")]
pub(crate) use active::planted;

/// Returns whether a mutant is planted: never without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn planted(_: Mutant) -> bool {
    false
}
