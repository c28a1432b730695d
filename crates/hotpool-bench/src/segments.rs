//! Keys for the pools of this process, and the removal of the pools whatever happens.
//!
//! # What the unsafe code here relies on
//!
//! The System V calls take and return only integers. Only segments under keys that contain this
//! process's own number are removed.
#![allow(unsafe_code)]

use crate::scratch;
use hotpool::units::Key;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first byte of all keys of the bench; 16 bits of the pid and 8 bits of a number follow.
const FIRST: u32 = 0x7b00_0000;
const KEYS: u32 = 256;

fn first() -> Key {
    Key(FIRST | (std::process::id() & 0xffff) << 8)
}

/// Returns consecutive keys that no live pool of this process uses. At most two pools are alive at
/// once, and none has more than 65 keys.
pub fn keys(count: u32) -> Vec<Key> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let place = |next: u32| if next % KEYS + count > KEYS { next.next_multiple_of(KEYS) } else { next };
    let next = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| Some(place(next) + count));
    let start = place(next.unwrap_or_default()) % KEYS;
    (start..start + count).map(|number| Key(first().0 + number)).collect()
}

/// Removes everything under the keys of this process.
pub fn remove_all() {
    for number in 0..KEYS {
        remove(Key(first().0 + number));
    }
}

fn remove(key: Key) {
    // SAFETY: integers only.
    let segment = unsafe { libc::shmget(key.raw(), 0, 0) };
    if segment >= 0 {
        // SAFETY: IPC_RMID ignores the pointer.
        unsafe { libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()) };
    }
    // SAFETY: integers only.
    let semaphores = unsafe { libc::semget(key.raw(), 0, 0) };
    if semaphores >= 0 {
        // SAFETY: IPC_RMID takes no fourth argument.
        unsafe { libc::semctl(semaphores, 0, libc::IPC_RMID) };
    }
}

/// Removes all pools of this process when it ends, returns or panics.
pub struct Sweep(());

impl Sweep {
    /// Installs the handler for the signals that end a process.
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
