//! Processes, their mappings, and the segments of the host, as `/proc` reports them.

use crate::sys::sysv::{self, ShmStat};
use crate::units::Age;
use std::fmt;
use std::fs;
use std::io;

/// What a process is doing, as far as it matters to a process that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// The process runs or sleeps.
    Running,
    /// A signal or a debugger has stopped the process; it can continue at any moment.
    Stopped,
    /// The kernel is tearing the process down or writing its core dump.
    Exiting,
    /// The process is dead, and its parent has not collected its exit code.
    Zombie,
    /// The process is not visible here: it is in another PID namespace, or has just ended.
    NotVisible,
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProcessState::Running => "running",
            ProcessState::Stopped => "stopped",
            ProcessState::Exiting => "exiting",
            ProcessState::Zombie => "zombie",
            ProcessState::NotVisible => "not visible in this PID namespace",
        })
    }
}

/// One process, as `/proc` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Pid; 0 if the kernel does not show it to this PID namespace.
    pub pid: i32,
    /// What the process is doing.
    pub state: ProcessState,
    /// Name of the command; empty if the process is not visible.
    pub command: String,
    /// Start time in clock ticks since boot, which tells the process from a later one with the same
    /// pid.
    pub start_ticks: u64,
    /// Seconds since the process started.
    pub age: u64,
}

impl Process {
    /// Reads the present state of process `pid`.
    pub fn look(pid: i32) -> Process {
        let line = match pid {
            _ if super::BYTES_ONLY => None,
            ..=0 => None,
            _ => super::read_short(&format!("/proc/{pid}/stat")).ok(),
        };
        let found = line.and_then(|line| parse_stat(pid, &line)).map(|found| match found.state {
            ProcessState::Zombie | ProcessState::Exiting => {
                let state = thread_state(pid).unwrap_or(found.state);
                Process { state, ..found }
            }
            _ => found,
        });
        found.unwrap_or(Process {
            pid,
            state: ProcessState::NotVisible,
            command: String::new(),
            start_ticks: 0,
            age: 0,
        })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.state) {
            (0, state) => write!(f, "a process {state}"),
            (pid, ProcessState::NotVisible) => write!(f, "pid {pid} ({})", self.state),
            (pid, state) => {
                write!(f, "pid {pid} ({}, {state}, started {} ago)", self.command, Age(self.age))
            }
        }
    }
}

/// Returns the state of a live thread of a process whose first thread has ended.
///
/// Returns `None` if all threads have ended or are about to. A thread with a pending SIGKILL is
/// about to.
fn thread_state(pid: i32) -> Option<ProcessState> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let ids = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_killed = |id: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{id}/status")).unwrap_or_default();
        let pending = status.lines().find_map(|line| line.strip_prefix("SigPnd:"));
        pending
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_none_or(|mask| mask & 1 << 8 != 0)
    };
    let state = |id: i32| {
        let line = super::read_short(&format!("/proc/{pid}/task/{id}/stat")).ok()?;
        Some(parse_stat(id, &line)?.state).filter(|_| !is_killed(id))
    };
    let living = |state: &ProcessState| matches!(state, ProcessState::Running | ProcessState::Stopped);
    ids.filter_map(state).find(living)
}

/// Parses a line of `/proc/PID/stat`.
///
/// The command name may contain spaces and parentheses: it ends at the last parenthesis.
fn parse_stat(pid: i32, line: &str) -> Option<Process> {
    // Flags PF_EXITING, PF_POSTCOREDUMP and PF_DUMPCORE: a process that dumps core will not run
    // again.
    const EXITING: u64 = 0x4 | 0x8 | 0x200;
    let (head, tail) = line.rsplit_once(')')?;
    let command = head.split_once('(')?.1.to_string();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let flags: u64 = fields.get(6)?.parse().ok()?;
    let start_ticks: u64 = fields.get(19)?.parse().ok()?;
    let state = match *fields.first()? {
        "Z" | "X" | "x" => ProcessState::Zombie,
        _ if flags & EXITING != 0 => ProcessState::Exiting,
        "T" | "t" => ProcessState::Stopped,
        _ => ProcessState::Running,
    };
    let age = uptime().saturating_sub(start_ticks / sysv::ticks_per_second());
    Some(Process { pid, state, command, start_ticks, age })
}

/// Returns the seconds since boot, suspended time included: the clock of start times.
fn uptime() -> u64 {
    super::boot_nanos() / 1_000_000_000
}

/// Returns the pids of all processes that have a shared writable mapping for which `is_it` holds.
///
/// The closure gets path and inode. Processes that this one may not inspect are left out.
pub(crate) fn writers(is_it: impl Fn(&str, u64) -> bool) -> Vec<i32> {
    let mut pids: Vec<i32> =
        mappings_of(is_it).into_iter().filter(|(_, writes)| *writes).map(|(pid, _)| pid).collect();
    pids.dedup();
    pids
}

/// Returns whether a process in sight lives in another IPC namespace than this one.
pub(crate) fn has_another_ipc_namespace(pid: i32) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/ipc")).ok();
    let (its, ours) = (namespace(&pid.to_string()), namespace("self"));
    its.is_some() && ours.is_some() && its != ours
}

/// Returns the pid of this process in `/proc`, which may be that of another PID namespace.
pub(crate) fn self_pid() -> Option<i32> {
    fs::read_link("/proc/self").ok()?.to_str()?.parse().ok()
}

/// Returns one entry for each shared mapping for which `is_it` holds: the pid, and whether it is
/// writable.
pub(crate) fn mappings_of(is_it: impl Fn(&str, u64) -> bool) -> Vec<(i32, bool)> {
    collect_mappings(|pid, path, inode, writes| is_it(path, inode).then_some((pid, writes)))
}

/// Calls `of` with pid, path, inode and writability of each shared mapping, and collects its results.
pub(crate) fn collect_mappings<T>(of: impl Fn(i32, &str, u64, bool) -> Option<T>) -> Vec<T> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let of_process = |pid: i32| {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let found = maps.lines().filter_map(parse_map);
        found.filter_map(|(path, inode, writes)| of(pid, path, inode, writes)).collect::<Vec<_>>()
    };
    pids.flat_map(of_process).collect()
}

/// Returns path, inode and writability from a line of `/proc/PID/maps`, if the mapping is shared.
fn parse_map(line: &str) -> Option<(&str, u64, bool)> {
    let mut rest = line;
    let mut field = || {
        let (field, tail) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        rest = tail;
        field
    };
    let (_range, access, _offset, _device, inode) = (field(), field(), field(), field(), field());
    let writes = access.as_bytes().get(1) == Some(&b'w');
    Some((rest.trim_start(), inode.parse().ok()?, writes)).filter(|_| access.ends_with('s'))
}

/// A row of `/proc/sysvipc/shm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShmRow {
    /// Segment key; 0 if the segment is removed or private.
    pub(crate) key: u32,
    pub(crate) shmid: i32,
    /// Permission bits and `SHM_DEST`.
    pub(crate) mode: u32,
}

/// Returns the segments of this IPC namespace.
pub(crate) fn segments() -> io::Result<Vec<ShmRow>> {
    let text = fs::read_to_string("/proc/sysvipc/shm")?;
    Ok(text.lines().skip(1).filter_map(parse_row).collect())
}

/// Returns whether the kernel removes a segment of this IPC namespace at its last detach.
pub(crate) fn removes_at_last_detach() -> bool {
    super::read_short("/proc/sys/kernel/shm_rmid_forced").is_ok_and(|text| text.trim() == "1")
}

/// The memory of a segment in bytes, from a row of `/proc/sysvipc/shm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShmMemory {
    pub(crate) shmid: i32,
    pub(crate) rss: u64,
    pub(crate) swap: u64,
}

/// Returns the memory of the segments of this IPC namespace.
pub(crate) fn segment_memory() -> io::Result<Vec<ShmMemory>> {
    let text = fs::read_to_string("/proc/sysvipc/shm")?;
    Ok(text.lines().skip(1).filter_map(parse_memory).collect())
}

/// Returns the bytes of a segment that are swapped out; `None` if the kernel does not report them.
pub(crate) fn swapped(shmid: i32) -> Option<u64> {
    segment_memory().ok()?.into_iter().find(|row| row.shmid == shmid).map(|row| row.swap)
}

fn parse_memory(line: &str) -> Option<ShmMemory> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    Some(ShmMemory {
        shmid: fields.get(1)?.parse().ok()?,
        rss: fields.get(14)?.parse().ok()?,
        swap: fields.get(15)?.parse().ok()?,
    })
}

/// Returns the keys of the semaphore sets of this IPC namespace, except those without a key.
pub(crate) fn semaphore_keys() -> io::Result<Vec<u32>> {
    let text = fs::read_to_string("/proc/sysvipc/sem")?;
    let key = |line: &str| Some(line.split_whitespace().next()?.parse::<i32>().ok()? as u32);
    Ok(text.lines().skip(1).filter_map(key).filter(|key| *key != 0).collect())
}

/// Returns the user and the number of semaphores of a set, even if this process may not access it.
pub(crate) fn semaphores_of(semid: i32) -> Option<(u32, u32)> {
    let text = fs::read_to_string("/proc/sysvipc/sem").ok()?;
    text.lines().skip(1).find_map(|line| user_and_count(line, semid))
}

fn user_and_count(line: &str, semid: i32) -> Option<(u32, u32)> {
    let mut fields = line.split_whitespace().skip(1);
    (fields.next()?.parse::<i32>().ok()? == semid).then_some(())?;
    let (_mode, count, uid) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((uid, count))
}

/// Returns what `IPC_STAT` reports of a segment, even if this process may not access it.
pub(crate) fn segment_stat(shmid: i32) -> Option<ShmStat> {
    let text = fs::read_to_string("/proc/sysvipc/shm").ok()?;
    text.lines().skip(1).find_map(|line| parse_segment(line, shmid))
}

/// Parses a row: key, shmid, perms, size, cpid, lpid, nattch, uid, gid, cuid, cgid, atime, dtime,
/// ctime.
fn parse_segment(line: &str, shmid: i32) -> Option<ShmStat> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    (fields.get(1)?.parse::<i32>().ok()? == shmid).then_some(())?;
    Some(ShmStat {
        bytes: number(3)?,
        uid: number(7)? as u32,
        gid: number(8)? as u32,
        mode: u32::from_str_radix(fields.get(2)?, 8).ok()?,
        creator_pid: number(4)? as i32,
        last_pid: number(5)? as i32,
        attached: number(6)?,
        last_attach: number(11)?,
        last_detach: number(12)?,
        created: number(13)?,
    })
}

/// Parses a row; key and shmid are printed as signed decimals, the mode in octal.
fn parse_row(line: &str) -> Option<ShmRow> {
    let mut fields = line.split_whitespace();
    let key = fields.next()?.parse::<i32>().ok()? as u32;
    let shmid = fields.next()?.parse().ok()?;
    let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
    Some(ShmRow { key, shmid, mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name_holds() {
        let line = "77 (a) b (c)) T 1 77 77 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let process = parse_stat(77, line).unwrap();
        assert_eq!(
            (process.command.as_str(), process.state, process.start_ticks),
            ("a) b (c)", ProcessState::Stopped, 4711)
        );
        let state = |letter: &str, flags: u64| {
            let line = format!("7 (x) {letter} 1 7 7 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 1 0");
            parse_stat(7, &line).unwrap().state
        };
        assert_eq!(state("Z", 4), ProcessState::Zombie);
        assert_eq!(state("D", 4), ProcessState::Exiting);
        assert_eq!(state("R", 0x200), ProcessState::Exiting, "it dumps core");
        assert_eq!(state("S", 0), ProcessState::Running);
        assert_eq!(parse_stat(7, "7 (cut"), None);
    }

    #[test]
    fn semaphores_have_a_user() {
        let line = " 2046789120   32771   600          3  1000   100  1001   101 1700000000 1700000001";
        assert_eq!(user_and_count(line, 32771), Some((1000, 3)));
        assert_eq!(user_and_count(line, 3), None);
        assert_eq!(user_and_count(" 7  3", 3), None);
    }

    #[test]
    fn this_process_is_running_and_an_impossible_one_is_not_visible() {
        let me = Process::look(std::process::id() as i32);
        assert_eq!(me.state, ProcessState::Running);
        assert!(!me.command.is_empty() && me.start_ticks != 0);
        assert_eq!(Process::look(i32::MAX).state, ProcessState::NotVisible);
        assert_eq!(Process::look(0).to_string(), "a process not visible in this PID namespace");
    }

    #[test]
    fn only_shared_mappings_count_and_are_told_by_their_access() {
        let line =
            |access: &str| format!("7f00-7f10 {access} 00000000 00:01 98304      /SYSV48500100 (deleted)");
        assert_eq!(parse_map(&line("rw-s")), Some(("/SYSV48500100 (deleted)", 98304, true)));
        assert_eq!(parse_map(&line("r--s")), Some(("/SYSV48500100 (deleted)", 98304, false)));
        assert_eq!(parse_map(&line("rw-p")), None);
        assert_eq!(parse_map("7f00-7f10 rw-p 00000000 00:00 0 "), None);
    }

    #[test]
    fn keys_in_the_table_of_segments_are_signed() {
        let row = parse_row("-1894841088 32769 1600 4096 1 1 2 0 0 0 0 0 0 0 0 0").unwrap();
        assert_eq!(row, ShmRow { key: -1_894_841_088_i32 as u32, shmid: 32769, mode: 0o1600 });
    }

    #[test]
    fn a_segment_of_another_user_is_known_by_its_row() {
        let line = "1 7 1600 65536 18095 3473 2 1000 100 0 0 11 12 13 61440 4096";
        let found = parse_segment(line, 7).unwrap();
        assert_eq!((found.bytes, found.uid, found.mode, found.attached), (65536, 1000, 0o1600, 2));
        assert_eq!((found.last_attach, found.last_detach, found.created), (11, 12, 13));
        assert!(parse_segment(line, 8).is_none() && parse_segment("1 7 600", 7).is_none());
    }

    #[test]
    fn memory_is_read_from_the_last_two_columns() {
        let line = "1 7 600 65536 18095 3473 0 0 0 0 0 1795269404 1795269404 1795268946 61440 4096";
        assert_eq!(parse_memory(line), Some(ShmMemory { shmid: 7, rss: 61_440, swap: 4096 }));
        assert_eq!(parse_memory("1 7 600"), None);
    }
}
