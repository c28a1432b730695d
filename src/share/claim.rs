//! The claim on a base key inside this process, taken before the first operation on the owner
//! semaphores and released after the last one.
//!
//! The semaphores keep processes apart, but the kernel does not distinguish the threads of one
//! process. A lock that its own pid holds may belong to the program that the process executed
//! before; it is then taken over. The claim decides between the two cases: while a thread has the
//! claim, no other thread of the process operates on the semaphores.
//!
//! The key space of claims is that of the lock. The backends with a kernel object (`sysv`, `posix`
//! and `file`, whatever the `Dir`) share the key space of semaphores. So a base key has one claim
//! for all of them, and two pools with the same base key cannot be open at once, which their
//! semaphores would not allow either. The `heap` backend has its own key space.

use super::wait::Wait;
use crate::sys;
use crate::units::Key;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A space of base keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    /// Keys of semaphores.
    Kernel,
    /// Keys of the `heap` backend.
    Heap,
}

/// The holder of a claim.
#[derive(Clone, Copy, Debug)]
struct Holder {
    /// Pid of the holder. A forked child has a copy of the table, which gives it no claims.
    pid: u32,
    /// Number of the claim within the process.
    number: u64,
}

#[derive(Debug)]
struct Table {
    holders: BTreeMap<(Space, u32), Holder>,
    next: u64,
}

static TABLE: Mutex<Table> = Mutex::new(Table { holders: BTreeMap::new(), next: 0 });
static GIVEN_BACK: Condvar = Condvar::new();

/// Locks the table, which is consistent after every statement, so a panic of a holder does no harm.
fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right of one value in this process to operate on the lock of a base key; released on drop.
#[derive(Debug)]
pub(super) struct Claim {
    space: Space,
    key: Key,
    holder: Holder,
}

impl Claim {
    /// Takes the claim, waiting for its release; returns `None` if it is not released in time.
    pub(super) fn take(space: Space, key: Key, wait: Wait) -> Option<Self> {
        let pid = sys::pid();
        let mut table = table();
        while is_claimed(&table, space, key, pid) {
            let left = wait.left();
            if left.is_zero() {
                return None;
            }
            table = GIVEN_BACK.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        table.next += 1;
        let holder = Holder { pid, number: table.next };
        table.holders.insert((space, key.0), holder);
        Some(Claim { space, key, holder })
    }

    /// Returns whether a value in this process has the claim.
    pub(super) fn is_taken(space: Space, key: Key) -> bool {
        is_claimed(&table(), space, key, sys::pid())
    }
}

fn is_claimed(table: &Table, space: Space, key: Key, pid: u32) -> bool {
    table.holders.get(&(space, key.0)).is_some_and(|holder| holder.pid == pid)
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut table = table();
        let mine = |holder: &Holder| holder.number == self.holder.number && holder.pid == self.holder.pid;
        if table.holders.get(&(self.space, self.key.0)).is_some_and(mine) {
            table.holders.remove(&(self.space, self.key.0));
            GIVEN_BACK.notify_all();
        }
    }
}

/// Drops the claim of this program on the key, as if it were the next program of the process, or
/// another copy of this library.
#[cfg(test)]
pub(super) fn forget(key: Key) {
    table().holders.remove(&(Space::Kernel, key.0));
}
