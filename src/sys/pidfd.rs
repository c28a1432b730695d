//! The end of another process: waiting for it, and the status that the kernel reports.
//!
//! # What the unsafe code here relies on
//!
//! Each call takes integers, and pointers to values of this file's own frame, whose types are those
//! that the kernel documents. A descriptor that the kernel returns is new, and has one owner.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A process, whether or not it is a child of this one. It never refers to a later process with the
/// same pid.
#[derive(Debug)]
pub(crate) struct ProcessFd {
    pid: i32,
    fd: OwnedFd,
}

/// The kernel's `struct pidfd_info`: its first version, and the exit code that follows it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// The size of the first version, which the number of the call contains.
const INFO_BYTES: usize = 64;
const _: () = assert!(size_of::<PidfdInfo>() == INFO_BYTES);
/// `PIDFD_GET_INFO`: `_IOWR(0xff, 11, struct pidfd_info)`.
const GET_INFO: u64 = 3 << 30 | (INFO_BYTES as u64) << 16 | 0xff << 8 | 11;
/// `PIDFD_INFO_EXIT`.
const INFO_EXIT: u64 = 1 << 3;

impl ProcessFd {
    /// Opens process `pid`.
    pub(crate) fn open(pid: i32) -> io::Result<ProcessFd> {
        // SAFETY: integers only.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just opened it for this call, and nothing else owns it.
        Ok(ProcessFd { pid, fd: unsafe { OwnedFd::from_raw_fd(fd as i32) } })
    }

    /// Waits until the process has ended, at most this long; returns whether it has.
    pub(crate) fn has_ended_in(&self, most: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let most = i32::try_from(most.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one `pollfd`.
        match unsafe { libc::poll(&raw mut poll, 1, most) } {
            -1 => Err(io::Error::last_os_error()),
            ready => Ok(ready != 0),
        }
    }

    /// Returns the status of the ended process, in the form of `waitpid`; `None` if this process
    /// cannot read it. A child can still be waited for.
    pub(crate) fn status(&self) -> Option<i32> {
        self.status_of_child().or_else(|| self.status_of_zombie()).or_else(|| self.status_kept())
    }

    /// Queries the status as the parent.
    fn status_of_child(&self) -> Option<i32> {
        // SAFETY: the struct consists of integers.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let options = libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
        let fd = self.fd.as_raw_fd() as u32;
        // SAFETY: a `siginfo_t`, which the call fills.
        if unsafe { libc::waitid(libc::P_PIDFD, fd, &raw mut info, options) } == -1 {
            return None;
        }
        // SAFETY: the call has filled the fields of a child, or left zeros.
        let (pid, status) = (unsafe { info.si_pid() }, unsafe { info.si_status() });
        match info.si_code {
            _ if pid == 0 => None,
            libc::CLD_EXITED => Some((status & 0xff) << 8),
            _ => Some(status & 0x7f),
        }
    }

    /// Reads the status from `/proc`, which has it until the parent has waited for the process.
    fn status_of_zombie(&self) -> Option<i32> {
        let line = super::read_short(&format!("/proc/{}/stat", self.pid)).ok()?;
        let mut fields = line.rsplit_once(')')?.1.split_whitespace();
        // Without the permission to see the status, the kernel shows 0 for it and for the
        // addresses.
        let is_zombie = matches!(fields.next()?, "Z" | "X");
        let status = fields.nth(48)?.parse().ok()?;
        (is_zombie && self.may_see()).then_some(status)
    }

    /// Returns whether this process may read all fields of the other one's `/proc` entry.
    fn may_see(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let uid = super::sysv::effective_uid();
        uid == 0 || std::fs::metadata(format!("/proc/{}", self.pid)).is_ok_and(|its| its.uid() == uid)
    }

    /// Queries the descriptor, which has the status after the parent has waited for it (Linux
    /// 6.15).
    fn status_kept(&self) -> Option<i32> {
        let mut info = PidfdInfo { mask: INFO_EXIT, ..PidfdInfo::default() };
        // SAFETY: the call fills a struct of the size that its number contains.
        let answer = unsafe { libc::ioctl(self.fd.as_raw_fd(), GET_INFO as _, &raw mut info) };
        (answer == 0 && info.mask & INFO_EXIT != 0).then_some(info.exit_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_status_of_a_child_is_known_before_and_after_it_is_waited_for() {
        let mut command = Command::new("sh");
        command.args(["-c", "read x; exit 3"]).stdin(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let process = ProcessFd::open(child.id() as i32).unwrap();
        assert!(!process.has_ended_in(Duration::ZERO).unwrap());
        assert_eq!((process.status_of_child(), process.status_of_zombie()), (None, None));
        drop(child.stdin.take());
        assert!(process.has_ended_in(Duration::from_secs(30)).unwrap());
        assert_eq!((process.status_of_child(), process.status_of_zombie()), (Some(3 << 8), Some(3 << 8)));
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert_eq!((process.status_of_child(), process.status_of_zombie()), (None, None));
        if super::super::kernel_is_at_least(6, 15) {
            assert_eq!(process.status(), Some(3 << 8));
        }
    }
}
