//! The claim on a base key inside this process: it is taken before the first operation on the owner
//! semaphores and given back after the last one.
//!
//! The semaphores keep processes apart, and the kernel does not tell two threads of one process from
//! each other. A lock that its own pid holds may be that of the program which the process executed
//! before; it is taken over then. The claim says which of the two it is: while a thread has the
//! claim, no other thread of the process operates on the semaphores.
//!
//! What the claim is on follows from what the lock is on. All backends with a kernel object share one
//! space of keys, that of the semaphores: `sysv`, `posix` and `file`, whatever the `Dir`. So a base key
//! has one claim for all of them, and two pools of one base key cannot be open at once, as their
//! semaphores already demand. Memory of the process has keys of its own.

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

/// Who has a claim.
#[derive(Clone, Copy, Debug)]
struct Holder {
    /// Process. A forked child has a copy of the table, and claims nothing by it.
    pid: u32,
    /// Which claim of the process it is.
    number: u64,
}

#[derive(Debug)]
struct Table {
    holders: BTreeMap<(Space, u32), Holder>,
    next: u64,
}

static TABLE: Mutex<Table> = Mutex::new(Table { holders: BTreeMap::new(), next: 0 });
static GIVEN_BACK: Condvar = Condvar::new();

/// The table is whole between any two of its statements: a panic of a holder voids nothing.
fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right of one value in this process to operate on the lock of a base key. Given back on drop.
#[derive(Debug)]
pub(super) struct Claim {
    space: Space,
    key: Key,
    holder: Holder,
}

impl Claim {
    /// Takes the claim, waiting for one that is given back in time; `None` if it is not.
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

    /// Whether a value in this process has the claim.
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

/// Makes this program one that has no claim on the key, as the next program of the process is, or
/// another copy of this library in it.
#[cfg(test)]
pub(super) fn forget(key: Key) {
    table().holders.remove(&(Space::Kernel, key.0));
}
