//! The commit stores of docs/layout.md, by name.
//!
//! Each store to a word whose trust is *commit* goes through `Commit::store`, so that the crash
//! tests can tell for each kill which commit stores the dead process had done. Without the feature
//! `__internal_mutants` a name costs nothing: only the store remains. `tests/tidy.rs` compares this
//! list with docs/layout.md and the code.

use crate::word::{Half, Word};

macro_rules! commits {
    ($($name:ident: $operation:literal, $word:literal;)+) => {
        /// A store that makes a change real.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        pub enum Commit {
            $(#[doc = concat!("`", $word, "` in ", $operation)] $name,)+
        }

        /// All commit stores, each with its operation in docs/layout.md and its word.
        #[cfg(feature = "__internal_mutants")]
        pub const ALL: &[(Commit, &str, &str)] = &[$((Commit::$name, $operation, $word)),+];
    };
}

commits! {
    MakeBegins: "create a segment", "magic";
    MakeEnds: "create a segment", "magic";
    AllocTally: "slot at hand", "tally";
    AllocHeader: "alloc", "header";
    FreeTally: "free", "tally";
    FreeHeader: "free", "header";
    RetireHeader: "retire", "header";
    NoneNamed: "recover a type", "tally";
    Extent: "grow", "nextents";
    ExtentTaken: "grow", "owner";
    ExtentFreed: "migrate", "owner";
    ExtentReclaimed: "reclaim", "owner";
    FormDrafted: "migrate", "filling";
    FormComplete: "migrate", "newer";
    FormDropped: "migrate", "newer = 0";
    FormsDecided: "migrate", "forms";
    FormsDone: "migrate", "forms = 0";
    Type: "add_type", "ntypes";
    Block: "add a block", "nblocks";
    BlockTaken: "fit the blocks", "state";
    BlockGivenUp: "fit the blocks", "state";
    IndexBegins: "begin an index", "groups";
    SplitBegins: "split of an index group", "split";
    SplitCounts: "split of an index group", "groups";
    SplitEnds: "split of an index group", "split = 0";
    SplitEnded: "attach", "split = 0";
    ParkTally: "quarantine", "tally";
    ParkHeader: "quarantine", "header";
    ReleaseTally: "release", "tally";
    ReleaseHeader: "release", "header";
    DropTally: "drop", "tally";
    DropHeader: "drop", "header";
    Note: "note", "count";
    UndoRecord: "update, tx", "tail";
    TxCommits: "update, tx", "tail = 0";
    TxCommitsFrees: "update, tx", "tail with bit 63";
    FreesDone: "update, tx", "tail = 0 after the frees";
    RolledBack: "update, tx", "tail = 0 after a rollback";
    LanesBegin: "divide the log", "lanes";
    LanesEnd: "divide the log", "lanes = 0";
    LanesEnded: "attach", "lanes = 0";
    MarkSet: "write through a guard", "marks";
    MarkCleared: "write through a guard", "marks = 0";
    LaneMarkSet: "write in a lane", "mark";
    LaneMarkCleared: "write in a lane", "mark = 0";
    SuspectKept: "attach", "suspects";
    MarkTaken: "attach", "marks = 0";
    RunStarting: "attach", "run";
    Epoch: "attach", "epoch";
    RunReady: "ready", "run";
    SuspectCleared: "ready", "suspects = 0";
    RunClosed: "close", "run";
    Moved: "move aside", "moved";
    BeginsAgain: "move aside", "magic";
    Gone: "remove", "magic";
}

impl Commit {
    /// Stores the word and thereby commits.
    #[inline(always)]
    pub(crate) fn store(self, word: &Word, value: u64) {
        let changes = begun(self, || word.load() != value);
        word.store(value);
        done(changes);
    }

    /// As [`Commit::store`], for a word of four bytes.
    pub(crate) fn store_half(self, word: &Half, value: u32) {
        let changes = begun(self, || word.load() != value);
        word.store(value);
        done(changes);
    }
}

/// The log of a process's commit stores: how many were begun, how many are done, and which.
#[cfg(feature = "__internal_mutants")]
mod active {
    use super::Commit;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static BOARD: OnceLock<&'static [AtomicU32]> = OnceLock::new();

    /// Logs all commit stores from now on: two counts, then the names, as many as fit.
    pub fn log_in(board: &'static [AtomicU32]) {
        let _ = BOARD.set(board);
    }

    /// Logs the store and returns true if it changes the word; a store that does not is not logged.
    pub(super) fn begun(commit: Commit, changes: impl Fn() -> bool) -> bool {
        let Some(board) = BOARD.get().filter(|_| changes()) else { return false };
        let count = board[0].load(Ordering::SeqCst);
        let Some(entry) = board.get(2 + count as usize) else { return false };
        entry.store(commit as u32, Ordering::SeqCst);
        board[0].store(count + 1, Ordering::SeqCst);
        true
    }

    pub(super) fn done(logged: bool) {
        if let Some(board) = BOARD.get().filter(|_| logged) {
            board[1].fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[cfg(feature = "__internal_mutants")]
pub use active::log_in;
#[cfg(feature = "__internal_mutants")]
use active::{begun, done};

#[cfg(not(feature = "__internal_mutants"))]
#[inline(always)]
fn begun(_: Commit, _: impl Fn() -> bool) -> bool {
    false
}

#[cfg(not(feature = "__internal_mutants"))]
#[inline(always)]
const fn done(_: bool) {}
