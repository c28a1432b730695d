//! The messages for an operator when the owner lock or the system refuses.

use super::verdicts::{KEY, holder};
use crate::share::{ForeignSet, Process, ProcessState};
use crate::units::Bytes;

#[test]
fn refusals_of_the_owner_lock_say_who_and_what_to_do() {
    use crate::share::OwnerError;
    let held = |state| {
        let holder = Process { state, ..holder() };
        OwnerError::Held { key: KEY, holder, waited_ms: 6000 }.to_string()
    };
    let attached = |writers: Vec<Process>, attached| {
        OwnerError::Attached { key: KEY, id: 7, writers, attached, observers: 1, waited_ms: 0 }.to_string()
    };
    let path = || std::path::PathBuf::from("/srv/hotpool-48500100");
    let hidden = |process: &str, pid| {
        OwnerError::Hidden { key: KEY, path: path(), process: process.into(), pid, waited_ms: 9 }.to_string()
    };
    let base = |code| {
        let source = std::io::Error::from_raw_os_error(code);
        OwnerError::Base { key: KEY, path: path(), source }.to_string()
    };
    let nobody =
        Process { pid: 0, state: ProcessState::NotVisible, command: String::new(), start_ticks: 0, age: 0 };
    let system = std::io::Error::from_raw_os_error(libc::ENOSPC);
    let set = ForeignSet { semid: 5, uid: 0, why: "the set has size 1, not 3".into(), is_denied: false };
    let said = [
        held(ProcessState::Running),
        held(ProcessState::Stopped),
        held(ProcessState::Exiting),
        held(ProcessState::Zombie),
        held(ProcessState::NotVisible),
        OwnerError::Held { key: KEY, holder: nobody, waited_ms: 0 }.to_string(),
        attached(vec![holder(), holder()], Some(2)),
        attached(vec![], Some(2)),
        attached(vec![], None),
        hidden("zone", 7),
        hidden("", 0),
        base(libc::ENOLCK),
        base(libc::EACCES),
        OwnerError::Foreign { key: KEY, set }.to_string(),
        OwnerError::Removed { key: KEY, rounds: 1000 }.to_string(),
        OwnerError::System { key: KEY, call: "create", source: system }.to_string(),
        OwnerError::System { key: KEY, call: "take", source: std::io::ErrorKind::Other.into() }.to_string(),
    ];
    insta::assert_snapshot!(said.join("\n"), @"
    0x48500100 is owned by pid 99 (zone, running, started 5 min ago), waited 6000 ms for it; stop it first, or run `hotpool ls`
    0x48500100 is owned by pid 99 (zone, stopped, started 5 min ago), waited 6000 ms for it; it is not dead: run `kill -CONT 99` or stop it
    0x48500100 is owned by pid 99 (zone, exiting, started 5 min ago), waited 6000 ms for it; raise OwnerWaitMs and start again
    0x48500100 is owned by pid 99 (zone, zombie, started 5 min ago), waited 6000 ms for it; raise OwnerWaitMs and start again
    0x48500100 is owned by pid 99 (not visible in this PID namespace), waited 6000 ms for it; stop it where it runs, then run `hotpool ls`
    0x48500100 is owned by a process not visible in this PID namespace; stop it where it runs, then run `hotpool ls`
    0x48500100 (shmid or inode 7) has no owner by its semaphores, but is attached by pid 99 (zone, running, started 5 min ago), pid 99 (zone, running, started 5 min ago); the semaphores or the segment were removed while a server was running: stop it, then run `hotpool ls`
    0x48500100 (shmid or inode 7) has no owner by its semaphores, but is attached by 2 mappings, 1 of them observers, by processes that are not visible here; the semaphores or the segment were removed while a server was running: stop it, then run `hotpool ls`
    0x48500100 (shmid or inode 7) has no owner by its semaphores, but is attached by a process that is not visible here; the semaphores or the segment were removed while a server was running: stop it, then run `hotpool ls`
    0x48500100 is owned by a process that is not visible here (process zone, pid 7 there), waited 9 ms for it: it has /srv/hotpool-48500100 locked, in another namespace or container; stop it where it runs, then run `hotpool ls`
    0x48500100 is owned by a process that is not visible here, waited 9 ms for it: it has /srv/hotpool-48500100 locked, in another namespace or container; stop it where it runs, then run `hotpool ls`
    cannot lock /srv/hotpool-48500100, the base under 0x48500100: No locks available (os error 37); the file system of /srv has no locks on open files: choose a Dir on another file system
    cannot lock /srv/hotpool-48500100, the base under 0x48500100: Permission denied (os error 13); this user may not do that in /srv: see `ls -l /srv`, or start as the user of the pool
    the semaphores under 0x48500100 (semid 5, uid 0) are foreign: the set has size 1, not 3; start as their user, choose another BaseKey, or run `ipcs -s`
    the semaphores under 0x48500100 were removed 1000 times while this process waited; find who runs `ipcrm`, then run `hotpool doctor`
    cannot create the owner semaphores under 0x48500100: No space left on device (os error 28); the limit SEMMNI, SEMMNS or SEMMNU is reached: run `hotpool doctor`
    cannot take the owner semaphores under 0x48500100: other error; run `hotpool doctor`
    ");
}

// The C libraries do not use the same text for all errors.
#[cfg(target_env = "gnu")]
#[test]
fn refusals_of_the_system_say_what_to_look_at() {
    use crate::share::ShareError;
    let said =
        [libc::ENOMEM, libc::ENOSPC, libc::ENOENT, libc::EINVAL, libc::EACCES, libc::EEXIST, libc::EIO].map(
            |code| {
                let source = std::io::Error::from_raw_os_error(code);
                ShareError::System { key: KEY, bytes: Bytes(64 << 20), call: "create", source, site: None }
                    .to_string()
            },
        );
    let overtaken = ShareError::Overtaken { key: KEY }.to_string();
    insta::assert_snapshot!(format!("{}\n{overtaken}", said.join("\n")), @"
    cannot create the segment under 0x48500100 of size 64M: Cannot allocate memory (os error 12); there is not enough memory: see `free -m` and the cgroup's limit, or run `hotpool doctor`
    cannot create the segment under 0x48500100 of size 64M: No space left on device (os error 28); the limit SHMMNI or SHMALL is reached: run `hotpool doctor`
    cannot create the segment under 0x48500100 of size 64M: No such file or directory (os error 2); run `hotpool doctor`
    cannot create the segment under 0x48500100 of size 64M: Invalid argument (os error 22); the size is below SHMMIN or above SHMMAX: run `hotpool doctor`
    cannot create the segment under 0x48500100 of size 64M: Permission denied (os error 13); it belongs to another user: run `hotpool ls`
    cannot create the segment under 0x48500100 of size 64M: File exists (os error 17); another process has just created it: run `hotpool ls`
    cannot create the segment under 0x48500100 of size 64M: Input/output error (os error 5); run `hotpool doctor`
    the owner semaphores under 0x48500100 were removed or changed while this process attached; find who runs `ipcrm`, or what else in this process opens the pool, then start again
    ");
}
