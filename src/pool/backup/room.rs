//! Whether the host has room for a pool, before its first segment is created.

use crate::conf::{BackendKind, ProcessConf};
use crate::share::{Home, MemoryTable};
use crate::sys::{self, sparse};
use crate::units::Bytes;
use std::path::Path;

/// The host has no room for a pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pool needs {needed} of {what}, and {free} are free; {next}")]
#[non_exhaustive]
pub struct NoRoom {
    /// What is short, for example `memory`.
    pub what: String,
    /// Bytes that the pool needs.
    pub needed: Bytes,
    /// Bytes that are free.
    pub free: Bytes,
    /// What to do.
    pub next: String,
}

/// The bytes that a pool needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Need {
    /// Bytes that are written at once.
    pub(super) used: u64,
    /// Bytes of all segments.
    pub(super) segments: u64,
    /// Bytes of the largest segment.
    pub(super) largest: u64,
    /// Bytes in memory that a pool which is removed first gives back.
    pub(super) given_back: u64,
}

/// Refuses a pool for which the host has no room. What the system does not report is no obstacle.
pub(super) fn check(conf: &ProcessConf, need: &Need) -> Result<(), NoRoom> {
    let short = |what: String, needed: u64, free: Option<u64>, next: &str| match free {
        Some(free) if free < needed => {
            Err(NoRoom { what, needed: Bytes(needed), free: Bytes(free), next: next.into() })
        }
        _ => Ok(()),
    };
    let plus = |free: Option<u64>| free.map(|free| free.saturating_add(need.given_back));
    if conf.backend == BackendKind::Sysv {
        let limit = || number("/proc/sys/kernel/shmmax");
        short("one segment (shmmax)".into(), need.largest, limit(), "raise `sysctl kernel.shmmax`")?;
        let left = shmall_left().map(|left| left.saturating_add(need.given_back));
        short("System V memory (shmall)".into(), need.segments, left, "raise `sysctl kernel.shmall`")?;
    }
    if conf.backend == BackendKind::File {
        let free = plus(sparse::free_bytes(&conf.dir).ok());
        let what = format!("the file system of {}", conf.dir.display());
        return short(what, need.used, free, "free some of it, or name another Dir");
    }
    if conf.backend == BackendKind::Posix {
        let free = plus(sparse::free_bytes(Path::new("/dev/shm")).ok());
        short("/dev/shm".into(), need.used, free, "make it larger: `mount -o remount,size=N /dev/shm`")?;
    }
    let next = "see `free -m`, stop what needs memory, or restore on another host";
    short("memory".into(), need.used, plus(available()), next)?;
    short("the memory of the cgroup".into(), need.used, plus(cgroup_left()), "raise its memory.max")
}

/// Returns the bytes in memory of the pool whose base and blocks have these keys.
pub(super) fn resident(home: &Home, segments: &[crate::share::SegmentFacts]) -> u64 {
    let Ok(table) = MemoryTable::read(home) else { return 0 };
    segments.iter().filter_map(|segment| table.of(segment)).map(|memory| memory.resident.0).sum()
}

fn number(path: &str) -> Option<u64> {
    sys::read_short(path).ok()?.trim().parse().ok()
}

/// Returns the bytes of System V segments that the kernel still allows.
fn shmall_left() -> Option<u64> {
    const PAGE: u64 = crate::limits::PAGE;
    let text = std::fs::read_to_string("/proc/sysvipc/shm").ok()?;
    let size = |line: &str| line.split_whitespace().nth(3)?.parse::<u64>().ok();
    let used: u64 = text.lines().skip(1).filter_map(size).map(|bytes| bytes.div_ceil(PAGE)).sum();
    Some(number("/proc/sys/kernel/shmall")?.saturating_sub(used).saturating_mul(PAGE))
}

/// Returns the bytes of memory that the kernel considers available.
fn available() -> Option<u64> {
    let text = sys::read_short("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.saturating_mul(1024))
}

/// Returns the bytes that the cgroup of this process leaves; `None` without a limit.
///
/// The kernel gives back its page cache first, so that does not count as used.
fn cgroup_left() -> Option<u64> {
    let text = sys::read_short("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let folder = format!("/sys/fs/cgroup{}", path.trim_end_matches('/'));
    let most = number(&format!("{folder}/memory.max"))?;
    let used = number(&format!("{folder}/memory.current"))?;
    let stat = std::fs::read_to_string(format!("{folder}/memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let cache = cache.and_then(|cache| cache.trim().parse().ok()).unwrap_or(0);
    Some(most.saturating_sub(used.saturating_sub(cache)))
}
