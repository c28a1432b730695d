//! Advice for errors of the system: one table for every call on a segment or on the owner
//! semaphores.
//!
//! The errno alone misleads. ENOSPC is a kernel limit for System V memory, but a full disk for a
//! file; ENOMEM may be a limit of this process. So the advice depends on the call, the errno and
//! the backend.

use super::backend::{Backend, segment_name};
use super::home::Home;
use crate::conf::BackendKind;
use crate::sys::{pages, sparse};
use crate::units::{Bytes, Key};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The backend and folder of a segment on which a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Kind of memory.
    pub backend: BackendKind,
    /// Folder of the segments; `None` if segments are not files.
    pub folder: Option<PathBuf>,
    /// Bytes that were free on its file system, counting those that the segment had allocated
    /// already.
    pub free: Option<Bytes>,
}

impl Site {
    /// Reads the free space of the file system that holds the segment.
    #[cold]
    pub(super) fn of(backend: &dyn Backend, key: Key) -> Site {
        // Blocks of a file are counted in units of 512 bytes on every file system.
        let taken = |folder: &Path| {
            std::fs::metadata(folder.join(segment_name(key))).map_or(0, |file| file.blocks() * 512)
        };
        let folder = backend.path(key).and_then(|path| Some(path.parent()?.to_path_buf()));
        let free = folder.as_deref().and_then(|folder| {
            let free = sparse::free_bytes(folder).ok()?;
            Some(Bytes(free.saturating_add(taken(folder))))
        });
        Site { backend: backend.kind(), folder, free }
    }

    /// Translates EFAULT, by which the kernel reports that a store has no memory.
    pub(super) fn meaning(&self, source: io::Error) -> io::Error {
        match (source.raw_os_error(), &self.folder) {
            (Some(libc::EFAULT), Some(_)) => io::Error::from_raw_os_error(libc::ENOSPC),
            (Some(libc::EFAULT), None) => io::Error::from_raw_os_error(libc::ENOMEM),
            _ => source,
        }
    }
}

/// Returns advice for a refused call on a segment of `bytes` bytes.
pub(super) fn segment(call: &str, source: &io::Error, bytes: Bytes, site: Option<&Site>) -> String {
    let Some(errno) = source.raw_os_error() else {
        return match source.kind() {
            io::ErrorKind::NotFound => "it has just been removed or replaced: run `hotpool ls`".into(),
            io::ErrorKind::AlreadyExists => in_general(libc::EEXIST).into(),
            io::ErrorKind::ResourceBusy => "run the command again".into(),
            _ => in_general(0).into(),
        };
    };
    match site {
        Some(Site { folder: Some(_), .. }) => site.and_then(|site| of_file(errno, bytes, site)),
        Some(Site { backend: BackendKind::Sysv, .. }) | None => of_sysv(call, errno).map(str::to_string),
        _ => None,
    }
    .unwrap_or_else(|| in_general(errno).into())
}

/// Returns a message for pages of a block for which the kernel had no memory.
#[cold]
pub(crate) fn growth(errno: i32, bytes: u64, home: &Home) -> String {
    let site = Site::of(&*home.open(), Key(0));
    let source = site.meaning(io::Error::from_raw_os_error(errno));
    let advice = segment("populate", &source, Bytes(bytes), Some(&site));
    format!("the kernel has no memory for {} more ({source}): {advice}", Bytes(bytes))
}

/// What to do about a base at `path` that could not be locked.
pub(super) fn lock(path: &Path, source: &io::Error) -> String {
    let folder = path.parent().map(Path::to_path_buf);
    segment("lock", source, Bytes(0), Some(&Site { backend: BackendKind::File, folder, free: None }))
}

/// Why the segments of a home cannot be listed, and what to do about it.
pub fn explain_listing(home: &Home, source: &io::Error) -> String {
    let site = Site::of(&*home.open(), Key(0));
    let advice = segment("list", source, Bytes(0), Some(&site));
    format!("cannot list the segments of backend {}: {source}; {advice}", home.backend.name())
}

/// Returns why a tool cannot inspect the segment under a key, and what to do about it.
pub fn explain_look(key: Key, home: &Home, source: &io::Error) -> String {
    let site = Site::of(&*home.open(), key);
    let advice = segment("inspect", source, Bytes(0), Some(&site));
    format!("cannot inspect the segment under {key}: {source}; {advice}")
}

/// Returns advice for a segment that is a file in `Dir` or `/dev/shm`.
fn of_file(errno: i32, bytes: Bytes, site: &Site) -> Option<String> {
    let folder = site.folder.as_ref()?;
    let (is_posix, dir) = (site.backend == BackendKind::Posix, folder.display());
    let wider = match is_posix {
        true => "make it larger (`mount -o remount,size=N`, `--shm-size` of a container)",
        false => "make it larger, choose a Dir on another file system",
    };
    Some(match errno {
        libc::ENOSPC => {
            let needed = if bytes.0 == 0 { String::new() } else { format!(": {bytes} are needed") };
            let free = site.free.map_or(String::new(), |free| format!(", {free} are free"));
            format!(
                "the file system of {dir} is full{needed}{free}; free some of it, {wider}, or name fewer ShmKeys"
            )
        }
        libc::EDQUOT => {
            format!(
                "the quota of this user on the file system of {dir} is used up: see `quota`, or name another Dir"
            )
        }
        libc::EROFS => format!("the file system of {dir} is mounted read-only: mount it read-write"),
        libc::ENOENT if is_posix && !folder.exists() => {
            format!("Backend = posix needs {dir}, which is not mounted: run `mount -t tmpfs tmpfs {dir}`")
        }
        libc::ENOENT if !folder.exists() => {
            format!("the folder {dir} that Dir names does not exist: create it")
        }
        libc::ENOENT => "it has just been removed or replaced: run `hotpool ls`".into(),
        libc::ENOTDIR => format!("{dir}, which Dir names, is not a folder"),
        libc::EACCES | libc::EPERM => {
            format!("this user may not do that in {dir}: see `ls -l {dir}`, or start as the user of the pool")
        }
        libc::ENOLCK | libc::ENOSYS => {
            format!(
                "the file system of {dir} has no locks on open files: choose a Dir on another file system"
            )
        }
        libc::EINVAL | libc::EOPNOTSUPP => {
            format!("the file system of {dir} cannot do that: use a local file system or a tmpfs")
        }
        libc::EIO => format!("the disk of {dir} has errors: see `dmesg`"),
        _ => return None,
    })
}

/// Returns advice for a System V segment.
fn of_sysv(call: &str, errno: i32) -> Option<&'static str> {
    Some(match (errno, call) {
        (libc::ENOSPC, _) => "the limit SHMMNI or SHMALL is reached: run `hotpool doctor`",
        (libc::EINVAL, "create") => "the size is below SHMMIN or above SHMMAX: run `hotpool doctor`",
        // For an existing segment, the kernel itself returns EPERM only to a removal.
        (libc::EPERM, "remove" | "replace") => "it belongs to another user: run `hotpool ls`",
        (libc::EPERM | libc::ENOSYS, _) => NOT_PERMITTED,
        (libc::EACCES, _) => "it belongs to another user: run `hotpool ls`",
        _ => return None,
    })
}

/// Returns advice that holds for every backend.
fn in_general(errno: i32) -> &'static str {
    match errno {
        libc::ENOMEM if pages::address_limit().is_some() => {
            "the address space of this process is limited: raise `ulimit -v` (LimitAS= in a unit), or name fewer ShmKeys"
        }
        libc::ENOMEM => {
            "there is not enough memory: see `free -m` and the cgroup's limit, or run `hotpool doctor`"
        }
        libc::EMFILE => "this process has too many open files: raise `ulimit -n` (LimitNOFILE= in a unit)",
        libc::ENFILE => "the host has too many open files: raise `sysctl fs.file-max`",
        libc::EFBIG => "raise `ulimit -f` (LimitFSIZE= in a unit), which limits the size of files",
        libc::EAGAIN => "a limit of locked memory is reached: raise `ulimit -l` (LimitMEMLOCK= in a unit)",
        libc::EEXIST => "another process has just created it: run `hotpool ls`",
        libc::EACCES | libc::EPERM => "run `hotpool ls` to see whose it is",
        _ => "run `hotpool doctor`",
    }
}

/// The advice if the kernel allows this process no System V IPC.
const NOT_PERMITTED: &str = "System V IPC is not permitted here, by a seccomp profile or a kernel without it: allow shmget, shmat, shmdt, \
                             shmctl, semget, semctl and semtimedop; `hotpool doctor` finds it too";

/// Tests whether this process may use System V IPC, which every backend but `heap` needs for its
/// owner lock.
///
/// It creates and removes a segment and a semaphore set without keys.
///
/// # Errors
///
/// Returns which call was refused, why, and what to do.
pub fn probe_sysv() -> Result<(), String> {
    crate::sys::sysv::probe().map_err(|(call, error)| {
        let advice = match call {
            "shmget" | "shmctl" => of_sysv("create", error.raw_os_error().unwrap_or(0)).unwrap_or_default(),
            _ => semaphores("create", &error),
        };
        format!("{call} was refused: {error}; {advice}")
    })
}

/// Returns advice for a refused call on the owner semaphores.
pub(super) fn semaphores(call: &str, source: &io::Error) -> &'static str {
    match (source.raw_os_error(), call) {
        (Some(libc::ENOSPC), _) => "the limit SEMMNI, SEMMNS or SEMMNU is reached: run `hotpool doctor`",
        (Some(libc::EPERM), "remove") => "they belong to another user: run `ipcs -s` or `hotpool ls`",
        (Some(libc::EPERM | libc::ENOSYS), _) => NOT_PERMITTED,
        (Some(libc::EACCES), _) => "they belong to another user: run `ipcs -s` or `hotpool ls`",
        (Some(libc::ENOMEM | libc::EMFILE | libc::ENFILE), _) => {
            in_general(source.raw_os_error().unwrap_or(0))
        }
        _ => in_general(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: Bytes = Bytes(64 << 20);

    fn on_files(backend: BackendKind, folder: &str, errno: i32) -> String {
        let site = Site { backend, folder: Some(folder.into()), free: Some(Bytes(3 << 20)) };
        segment("create", &io::Error::from_raw_os_error(errno), NEEDED, Some(&site))
    }

    fn in_sysv(call: &str, errno: i32) -> String {
        let site = Site { backend: BackendKind::Sysv, folder: None, free: None };
        segment(call, &io::Error::from_raw_os_error(errno), NEEDED, Some(&site))
    }

    #[test]
    fn a_full_file_system_is_named_with_what_is_needed_and_what_is_free() {
        for (backend, folder) in [(BackendKind::File, "/srv/pools"), (BackendKind::Posix, "/dev/shm")] {
            let said = on_files(backend, folder, libc::ENOSPC);
            assert!(said.contains(&format!("{folder} is full: 64M are needed, 3M are free")), "{said}");
            let site = Site { backend, folder: Some(folder.into()), free: None };
            let full = site.meaning(io::Error::from_raw_os_error(libc::EFAULT));
            assert_eq!(full.raw_os_error(), Some(libc::ENOSPC), "a page that can have no block");
        }
        let site = Site { backend: BackendKind::Sysv, folder: None, free: None };
        let full = site.meaning(io::Error::from_raw_os_error(libc::EFAULT));
        assert_eq!(full.raw_os_error(), Some(libc::ENOMEM));
        assert!(in_sysv("create", libc::ENOSPC).contains("SHMMNI or SHMALL"));
    }

    #[test]
    fn a_missing_folder_is_told_in_the_words_of_the_ini() {
        let said = on_files(BackendKind::Posix, "/nowhere/shm", libc::ENOENT);
        assert!(said.starts_with("Backend = posix needs /nowhere/shm, which is not mounted"), "{said}");
        let said = on_files(BackendKind::File, "/nowhere/pools", libc::ENOENT);
        assert!(said.contains("/nowhere/pools that Dir names does not exist"), "{said}");
        assert!(on_files(BackendKind::File, "/", libc::ENOENT).contains("removed or replaced"));
    }

    #[test]
    fn system_v_calls_that_are_not_permitted_are_no_question_of_users() {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let source = io::Error::from_raw_os_error(errno);
            for call in ["create", "attach", "inspect"] {
                assert_eq!(in_sysv(call, errno), NOT_PERMITTED);
            }
            for call in ["find", "create", "take", "read"] {
                assert_eq!(semaphores(call, &source), NOT_PERMITTED);
            }
        }
        assert!(in_sysv("remove", libc::EPERM).contains("another user"));
        let denied = io::Error::from_raw_os_error(libc::EACCES);
        assert!(semaphores("read", &denied).contains("another user"));
        assert!(in_sysv("attach", libc::EACCES).contains("another user"));
    }

    #[test]
    fn every_errno_names_what_to_raise_or_where_to_look() {
        let file = |errno| on_files(BackendKind::File, "/srv/pools", errno);
        for (said, word) in [
            (file(libc::EROFS), "/srv/pools is mounted read-only"),
            (file(libc::EDQUOT), "quota"),
            (file(libc::EACCES), "ls -l /srv/pools"),
            (file(libc::EFBIG), "ulimit -f"),
            (file(libc::ENOLCK), "no locks on open files"),
            (file(libc::EIO), "dmesg"),
            (file(libc::EMFILE), "ulimit -n"),
            (file(libc::ENOMEM), "free -m"),
            (in_sysv("create", libc::EINVAL), "SHMMAX"),
            (in_sysv("create", libc::ENOMEM), "free -m"),
            (in_sysv("inspect", libc::EMFILE), "ulimit -n"),
            (in_sysv("create", libc::EEXIST), "hotpool ls"),
        ] {
            assert!(said.contains(word), "{said}");
        }
    }
}
