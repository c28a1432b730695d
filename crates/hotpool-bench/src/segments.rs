//! Keys for the pools of this process, and their removal whatever happens.
//!
//! # What the unsafe code here relies on
//!
//! The System V calls take and give integers alone. Removed is only what lies under keys that
//! carry this process's own number.
#![allow(unsafe_code)]

use crate::scratch;
use hotpool::units::Key;
use std::sync::atomic::{AtomicU32, Ordering};

/// All keys of the bench start with this byte; 16 bits of the pid and a number of 8 bits follow.
const FIRST: u32 = 0x7b00_0000;
const KEYS: u32 = 256;

fn first() -> Key {
    Key(FIRST | (std::process::id() & 0xffff) << 8)
}

/// Keys one behind the other that no pool alive in this process uses: at most two pools are alive at once, and
/// none has more than 65 keys.
pub fn keys(count: u32) -> Vec<Key> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let place = |next: u32| if next % KEYS + count > KEYS { next.next_multiple_of(KEYS) } else { next };
    let next = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| Some(place(next) + count));
    let start = place(next.unwrap_or_default()) % KEYS;
    (start..start + count).map(|number| Key(first().0 + number)).collect()
}

/// Removes what this process has left under its keys.
pub fn remove_all() {
    for number in 0..KEYS {
        remove(Key(first().0 + number));
    }
}

fn remove(key: Key) {
    // SAFETY: integers alone.
    let segment = unsafe { libc::shmget(key.raw(), 0, 0) };
    if segment >= 0 {
        // SAFETY: IPC_RMID ignores the pointer.
        unsafe { libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()) };
    }
    // SAFETY: integers alone.
    let semaphores = unsafe { libc::semget(key.raw(), 0, 0) };
    if semaphores >= 0 {
        // SAFETY: IPC_RMID takes no fourth argument.
        unsafe { libc::semctl(semaphores, 0, libc::IPC_RMID) };
    }
}

/// Removes all pools of this process when it ends, returns or panics.
pub struct Sweep(());

impl Sweep {
    /// Also for the signals that end a process.
    pub fn new() -> anyhow::Result<Self> {
        ctrlc::set_handler(|| {
            remove_all();
            scratch::remove_all();
            std::process::exit(130);
        })?;
        Ok(Sweep(()))
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        remove_all();
    }
}
