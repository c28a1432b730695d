//! Bugs that a test build plants on purpose, so that a test shows that the crash harness detects
//! each.
//!
//! They exist only with the feature `__internal_mutants`, which only `tests/mutants.rs` enables. Without it
//! `planted` is a constant, and no code of them is left.

macro_rules! mutants {
    ($($name:ident: $says:literal,)+) => {
        /// A bug in the order of stores.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[cfg_attr(not(feature = "__internal_mutants"), allow(dead_code, reason = "named where they are planted"))]
        #[repr(u32)]
        pub enum Mutant {
            $(#[doc = $says] $name,)+
        }

        /// All mutants, each with a description of its bug.
        #[cfg(feature = "__internal_mutants")]
        pub const ALL: &[(Mutant, &str)] = &[$((Mutant::$name, $says)),+];
    };
}

mutants! {
    AllocCommitsFirst: "alloc stores the header before the object",
    AllocLinksLast: "alloc_keyed stores the header before the user key and its index entry",
    RefillNamesNothing: "a slot is marked as used and never named",
    FreeNamesNothing: "free does not name the slot",
    FreeNamesLast: "free names the slot after it has freed the object",
    FreeForgetsOther: "free does not return the previous slot at hand to the map",
    RefillMarksFirst: "a slot is marked as used before the tally names it as at hand",
    FreeUnlinksFirst: "free removes the index entry before it frees the object",
    GrowCountsFirst: "a growing type counts the extent before its record is written",
    SplitCountsFirst: "a split of an index group counts the new group before it has the copies",
    SplitLeavesFirst: "a split of an index group removes the old entries before it counts the new group",
    TypeCountsFirst: "add_type counts the type before its entry is written",
    BlockCountsFirst: "a new block is counted before its entry is written",
    ReadyFirst: "a new segment is marked as complete before it is filled",
    WriteWithoutMark: "get_mut does not mark the object",
    UndoKeepsNothing: "a transaction writes before its log counts the old bytes",
    CommitForgetsFrees: "a transaction clears its log before its frees are done",
    RecoveryForgetsName: "recovery forgets the named slot before it corrects the bit",
    RollbackForgetsLog: "a rollback clears the log before it restores the bytes",
    ParkListsLast: "quarantine writes its list entry after the header",
    ReleaseForgetsFirst: "release clears the list entry before the object leaves quarantine",
    DropForgetsFirst: "drop_quarantined clears the list entry before the object is freed",
    RecoveryKeepsList: "recovery does not tidy the quarantine list",
    ReadyForgetsFirst: "ready clears the suspects before the start counts as ready",
    MoveWithoutMark: "a pool is moved aside without the word that records it",
    MoveMarksBaseFirst: "moving aside marks the base before the blocks",
    SplitCopiesOverflowLast: "a split copies the overflow count after the new group counts",
    PushOutLowersFirst: "an index entry that returns to its first group lowers the count before it moves",
    ParkNamesNothing: "quarantine does not name the slot",
    ReleaseNamesNothing: "release does not name the slot",
    ReleaseLinksLast: "release stores the header before the index entry",
    DropNamesNothing: "drop_quarantined does not name the slot",
    PushOutClearsFirst: "an index entry that moves to its second group is cleared before its copy is written",
    PushOutRaisesLast: "an index entry that leaves its first group raises the count after it has moved",
    LinkRaisesNothing: "an index entry in its second group is not counted in its first",
    TxNotesLast: "a transaction allocates an object before its log records it",
    ReclaimRaisesLast: "an extent loses its memory before the generations of its slots are kept",
    ReclaimCountsLast: "an extent loses its memory before its type counts it as hollow",
    FinishClearsFirst: "the log of a committed transaction is cleared before its frees are done",
    MarksClearedFirst: "recovery clears a mark before it is among the suspects",
    OpenForgetsSuspects: "a start forgets torn objects of owners before the last one",
    CountsBeforeSigning: "a start is counted before its record is in the ring and before `run` is stored",
    MoveMarksFirst: "a pool is marked as moved aside before the copy is complete",
    MoveCopiesBaseFirst: "moving aside copies the base before the blocks",
    DestroyWithoutMark: "destroy removes blocks before the base records the removal",
    PanicClearsMark: "a guard that a panic drops clears its mark",
    WalkPanicClearsMark: "a walk that a panic drops clears its mark",
    PanicClearsFirst: "a guard that a panic drops clears its mark before the object is a suspect",
    LaneShared: "all threads use the mark of one lane",
    LanesInOneLine: "the marks of all lanes lie in one cache line",
    LaneMarksLast: "a walk of a thread marks an object after it has changed it",
    LanePanicClearsMark: "a thread that panics clears its mark",
    LaneLogShared: "all threads use the undo log of one lane",
    LaneWritesFirst: "an update in a lane changes the object before its log counts the old bytes",
    LaneClearsFirst: "an update in a lane that fails clears its log before the old bytes are back",
    LanesCountedFirst: "the log is divided before the heads of its parts are zero",
    LanesEndFirst: "recovery joins the parts of the log before it has rolled them back",
    LanesLastForgotten: "recovery leaves out the last part of the log",
    LaneMarksForgotten: "a start does not keep the marks of lanes",
    RmTakesBaseFirst: "hotpool rm removes the base before the blocks",
    FormCountsFirst: "a new form of a type is in force before its objects are copied",
    FormRaisesLast: "a new form is in force before the generations of slots without memory are kept",
    FormHasNoDraft: "a new form takes extents before the old one names it",
    DecideNamesFirst: "ready names the new form in the list of types before it has decided",
    DecideFreesFirst: "ready frees the extents of the old form before it has decided",
    DecideEndsFirst: "ready ends its decision before the list of types names the new form",
    BackFreesFirst: "the way back frees the extents of the new form before the old one is in force",
    BackListsLast: "the way back lists quarantined objects after the old form is in force",
    TakeOwnsFirst: "free bytes get their owner before the rest of their entry",
    TakeSplitsLast: "what is left of free bytes gets its entry after the first part has an owner",
    TakeKeepsBytes: "a type that takes free bytes finds the bytes of an old form there",
    UnwatchedLoan: "an object is lent for writing without a word to the barrier of an image",
    UnwatchedFree: "free changes a slot without a word to the barrier",
    UnwatchedRefill: "an alloc takes a slot from the map without a word to the barrier",
    UnwatchedMap: "a word of the map changes without a word to the barrier",
    UnwatchedHand: "the slot at hand stays at hand when an image begins",
    UnwatchedWalk: "a walk lends objects for writing without a word to the barrier",
    UnwatchedMend: "a bit of the map is corrected without a word to the barrier",
    UnwatchedLink: "an index entry is written without a word to the barrier",
    UnwatchedUnlink: "an index entry is cleared without a word to the barrier",
    UnwatchedUnlinkSecond: "an index entry in its second group is cleared without a word to the barrier",
    UnwatchedSplitOld: "a split changes the old group without a word to the barrier",
    UnwatchedSplitNew: "a split fills the new group without a word to the barrier",
    UnwatchedType: "a type that is added while an image is taken does not know of the barrier",
    UnwatchedTake: "free bytes become an extent without a word to the barrier",
    UnwatchedGrow: "bytes after all extents become an extent without a word to the barrier",
    UnwatchedPark: "quarantine changes a slot without a word to the barrier",
    UnwatchedRelease: "release changes a slot without a word to the barrier",
    UnwatchedDrop: "drop_quarantined changes a slot without a word to the barrier",
    UnwatchedPortionLoan: "a portion lends an object for writing without a word to the barrier of an image",
    UnwatchedPortionWalk: "a walk over a portion lends objects for writing without a word to the barrier",
}

#[cfg(feature = "__internal_mutants")]
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

#[cfg(feature = "__internal_mutants")]
pub use active::plant;
#[cfg(feature = "__internal_mutants")]
pub(crate) use active::planted;

/// Returns whether a mutant is planted: never without the feature `__internal_mutants`.
#[cfg(not(feature = "__internal_mutants"))]
#[inline(always)]
pub(crate) const fn planted(_: Mutant) -> bool {
    false
}
