//! Kernel calls: System V segments and semaphores, memory advice, pages, forks, `/proc`.
//!
//! This module handles keys and numbers, and has no notion of pools.

pub(crate) mod clock;
pub(crate) mod eventfd;
pub(crate) mod file_lock;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod guard;
pub(crate) mod mem;
pub(crate) mod pages;
pub(crate) mod pidfd;
pub(crate) mod proc;
pub(crate) mod sparse;
pub(crate) mod sysv;
mod wall;

pub(crate) use clock::boot_nanos;
use std::fs::{File, OpenOptions};
use std::io;
use std::sync::OnceLock;
pub(crate) use wall::{wall_nanos, wall_seconds};

/// Whether the kernel must not be queried about processes.
///
/// A fuzz target only judges bytes, and the queries would take longer than that. Miri has no
/// kernel.
pub(crate) const BYTES_ONLY: bool = cfg!(any(fuzzing, miri));

/// Returns the pid of this process.
pub(crate) fn pid() -> u32 {
    if BYTES_ONLY { 1 } else { std::process::id() }
}

/// Returns two random words from the kernel.
pub(crate) fn random_id() -> io::Result<[u64; 2]> {
    use std::io::Read;
    let mut words = [[0; 8]; 2];
    File::open("/dev/urandom")?.read_exact(words.as_flattened_mut())?;
    Ok(words.map(u64::from_le_bytes))
}

/// Opens the device whose shared mapping is anonymous memory.
pub(crate) fn zeros() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/zero")
}

/// Returns the name of a user from `/etc/passwd`; `None` if another service manages the users.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_string())
    })
}

/// Returns the inode of this process's IPC namespace; 0 if the kernel does not report it.
pub(crate) fn ipc_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    if BYTES_ONLY {
        return 0;
    }
    std::fs::metadata("/proc/self/ns/ipc").map_or(0, |namespace| namespace.ino())
}

/// Returns the identity of this boot, read once; zero if the kernel does not report it.
pub(crate) fn boot_id() -> [u64; 2] {
    static BOOT: OnceLock<[u64; 2]> = OnceLock::new();
    *BOOT.get_or_init(read_boot_id)
}

fn read_boot_id() -> [u64; 2] {
    let text = read_short("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let half = |range| digits.get(range).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
    [half(0..16), half(16..32)]
}

/// Returns whether the kernel has this version or a later one; false if its version is unknown.
pub(crate) fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = read_short("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// Reads a file of `/proc`, at most 1,024 bytes, in one call.
pub(crate) fn read_short(path: &str) -> io::Result<String> {
    use std::io::Read;
    let mut bytes = [0; 1024];
    let read = File::open(path)?.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned())
}
