//! Kernel calls: System V segments and semaphores, memory advice, `/proc`. Knows keys and
//! numbers, and nothing of pools.

pub(crate) mod mem;
pub(crate) mod proc;
pub(crate) mod sysv;

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds of the wall clock since 1970.
pub(crate) fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64)
}

/// Seconds of the wall clock since 1970.
pub(crate) fn wall_seconds() -> u64 {
    wall_nanos() / 1_000_000_000
}

/// Two random words, from the kernel.
pub(crate) fn random_id() -> io::Result<[u64; 2]> {
    use std::io::Read;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    Ok([word(0), word(8)])
}

/// Name of a user out of `/etc/passwd`; `None` where another service knows the users.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_string())
    })
}
