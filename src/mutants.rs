//! Planted mistakes, so that a test can show that the crash harness sees each of them.
//!
//! They exist only with the feature `mutants`, which nothing but `tests/mutants.rs` turns on. Without
//! it `planted` is a constant, and not a byte of code is left of them.

macro_rules! mutants {
    ($($name:ident: $says:literal,)+) => {
        /// A mistake in the order of stores.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[cfg_attr(not(feature = "mutants"), allow(dead_code, reason = "named where they are planted"))]
        #[repr(u32)]
        pub enum Mutant {
            $(#[doc = $says] $name,)+
        }

        /// All of them, each with what it does wrong.
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
}

#[cfg(feature = "mutants")]
mod active {
    use super::Mutant;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);

    /// Plants one, instead of the one before.
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

/// Whether a mistake is to be made: never.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn planted(_: Mutant) -> bool {
    false
}
