//! Probes of the host: each reads a few files of the kernel or of systemd, and reports what they mean for pools.

mod limits;
mod memory;
mod pages;
mod removal;
mod root;

pub(crate) use removal::owner_namespace;
pub(crate) use root::Root;

use hotpool::conf::{BackendKind, CoreDump, HugePages, ProcessConf, QueueConf};
use hotpool::pool::base_bytes;
use hotpool::queue::segment_bytes;
use hotpool::units::Key;

/// Semaphores of a pool.
const POOL_SEMAPHORES: u64 = 4;
/// Semaphores of a queue, without one for each member.
const QUEUE_SEMAPHORES: u64 = 2;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// The check passed.
    Ok,
    /// It could not be read, or is worth knowing.
    Note,
    /// Loses a waiting pool, or refuses a start, under some conditions.
    Warning,
    /// Loses a waiting pool at the next restart, or refuses the next start.
    Error,
}

impl Severity {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// The result of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A word for programs. It stays the same when messages are reworded.
    pub(crate) check: &'static str,
    pub(crate) severity: Severity,
    /// What was found, as a sentence.
    pub(crate) found: String,
    /// What to do; empty if nothing has to be done.
    pub(crate) fix: String,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Finding { check, severity: Severity::Ok, found: found.into(), fix: String::new() }
    }

    pub(crate) fn note(check: &'static str, found: impl Into<String>) -> Self {
        Finding { severity: Severity::Note, ..Self::ok(check, found) }
    }

    pub(crate) fn new(
        check: &'static str,
        severity: Severity,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Finding { check, severity, found: found.into(), fix: fix.into() }
    }

    /// Reports a file that cannot be read here.
    pub(crate) fn unread(check: &'static str, path: &str) -> Self {
        Self::note(check, format!("cannot read /{path} here"))
    }
}

/// What the pools of an ini need from the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    /// Keys and sizes of the System V segments.
    pub(crate) segments: Vec<(Key, u64)>,
    /// Keys of the semaphore sets, and the number of semaphores in each.
    pub(crate) sets: Vec<(Key, u64)>,
    /// Bytes of all segments of all backends, without those of `insisted`.
    pub(crate) bytes: u64,
    /// Keys and sizes of the segments of processes with `HugePages = on`, which take reserved pages.
    pub(crate) insisted: Vec<(Key, u64)>,
    /// Keys and sizes of the segments of processes with `HugePages = try`.
    pub(crate) tried: Vec<(Key, u64)>,
    /// Bytes of the largest pool with `LockMemory`: the limit counts for each process.
    pub(crate) locked: u64,
    /// Whether an ini asks for a pool in its core dump.
    pub(crate) dumps: bool,
}

impl Needs {
    pub(crate) fn of<'a>(processes: impl IntoIterator<Item = &'a ProcessConf>) -> Self {
        let mut needs = Needs::default();
        for process in processes {
            let blocks = process.shm_keys.iter().map(|key| (*key, process.block_size.0));
            let segments: Vec<(Key, u64)> = blocks.chain([(process.base_key, base_bytes(process))]).collect();
            let bytes = segments.iter().map(|(_, bytes)| bytes).sum::<u64>();
            let (sysv, huge) = (process.backend == BackendKind::Sysv, process.memory.huge_pages);
            if huge == HugePages::On {
                needs.insisted.extend(&segments);
            } else {
                needs.bytes += bytes;
                needs.locked = needs.locked.max(if process.memory.lock_memory { bytes } else { 0 });
            }
            if huge == HugePages::Try && sysv {
                needs.tried.extend(&segments);
            }
            needs.dumps |= process.core_dump != CoreDump::None;
            if process.backend != BackendKind::Heap {
                needs.sets.push((process.base_key, POOL_SEMAPHORES));
            }
            if sysv {
                needs.segments.extend(segments);
            }
        }
        needs
    }
}

impl Needs {
    /// Adds what queues need.
    pub(crate) fn with_queues<'a>(mut self, queues: impl IntoIterator<Item = &'a QueueConf>) -> Self {
        for queue in queues {
            let bytes = segment_bytes(queue).0;
            self.segments.push((queue.key, bytes));
            self.bytes += bytes;
            let members = (queue.writers.len() + queue.readers.len()) as u64;
            self.sets.push((queue.key, members + QUEUE_SEMAPHORES));
        }
        self
    }
}

/// Runs all probes of a host. `user` is the uid that the servers run as.
pub(crate) fn all(root: &Root, needs: &Needs, user: Option<u32>) -> Vec<Finding> {
    let mut findings =
        vec![removal::rmid_forced(root), removal::remove_ipc(root, user), removal::namespace(root)];
    findings.extend(limits::all(root, needs));
    findings.extend(memory::all(root, needs));
    findings.extend(pages::all(root, needs));
    findings
}

/// Checks whether System V IPC is permitted at all.
pub(crate) fn sysv() -> Finding {
    match hotpool::share::probe_sysv() {
        Ok(()) => Finding::ok("sysv_ipc", "System V IPC is permitted"),
        Err(why) => {
            let (found, fix) = why.split_once("; ").unwrap_or((&why, ""));
            Finding::new("sysv_ipc", Severity::Error, found, fix)
        }
    }
}

/// Formats a size in a readable unit.
pub(crate) fn size(bytes: u64) -> String {
    match [(30, "G"), (20, "M"), (10, "K")].into_iter().find(|(shift, _)| bytes >> shift >= 10) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}
