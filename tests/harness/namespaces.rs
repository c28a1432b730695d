//! A cold start that is killed after each of its system calls, and the next start in the same IPC
//! namespace or in another one (G6).
//!
//! Files and `/dev/shm` are visible in both namespaces, the owner semaphores of the dead start only
//! in its own.

use super::changing;
use super::content::{Content, add_types};
use super::keys::{Keys, remove_semaphores};
use super::run::Tally;
use super::stepper::{self, Child};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::share::{Home, remove_pool};
use hotpool::{MemoryPoolMgr, StartMode};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// A kill comes after each change of this many. A start in an IPC namespace makes about 200; all of
/// them take minutes.
const EVERY: usize = if cfg!(debug_assertions) { 12 } else { 2 };

/// An IPC namespace, which lives as long as this value or a process in it.
struct Namespace(File);

impl Namespace {
    fn of_this_process() -> Namespace {
        Namespace(File::open("/proc/self/ns/ipc").unwrap())
    }

    /// Makes a new one and stays in the present one. `None` without the right to.
    fn make() -> Option<Namespace> {
        let here = Namespace::of_this_process();
        // SAFETY: integers only; this process has one thread.
        if unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
            return None;
        }
        let made = Namespace::of_this_process();
        here.enter();
        Some(made)
    }

    fn enter(&self) {
        // SAFETY: an open descriptor; this process has one thread.
        let answer = unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWIPC) };
        assert_eq!(answer, 0, "setns: {}", std::io::Error::last_os_error());
    }
}

/// Returns to the namespace of the test when it is dropped.
struct Away<'a>(&'a Namespace);

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.enter();
    }
}

fn within<R>(home: &Namespace, place: &Namespace, run: impl FnOnce() -> R) -> R {
    let _away = Away(home);
    place.enter();
    run()
}

/// The pool of a backend, removed when this is dropped.
struct Site {
    keys: Keys,
    conf: ProcessConf,
}

impl Site {
    fn new(backend: BackendKind) -> Site {
        let keys = Keys::take(2);
        let mut conf = keys.conf(backend, 128 << 10, 1);
        if backend == BackendKind::File {
            conf.dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("spaces-{}", keys.base()));
            std::fs::create_dir_all(&conf.dir).unwrap();
        }
        let site = Site { keys, conf };
        site.clean();
        site
    }

    fn clean(&self) {
        let folder = match self.conf.backend {
            BackendKind::File => self.conf.dir.clone(),
            _ => PathBuf::from("/dev/shm"),
        };
        for key in super::image::keys_of(&self.conf) {
            let _ = std::fs::remove_file(folder.join(format!("hotpool-{:08x}", key.0)));
        }
        remove_semaphores(self.keys.base());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.clean();
        if self.conf.backend == BackendKind::File {
            let _ = std::fs::remove_dir_all(&self.conf.dir);
        }
    }
}

/// Kills a cold start of each backend that is visible in two namespaces.
pub fn kill_in_two_namespaces(tally: &mut Tally) {
    let (home, Some(first), Some(second)) =
        (Namespace::of_this_process(), Namespace::make(), Namespace::make())
    else {
        println!("SKIPPED: this process may not make an IPC namespace");
        return;
    };
    for backend in [BackendKind::File, BackendKind::Posix] {
        let site = Site::new(backend);
        for (from, (place, next)) in
            [("another namespace", &second), ("the same namespace", &first)].into_iter().enumerate()
        {
            let name = format!("open, cold, {}, next start in {place}", backend.name());
            let mut kills = 0;
            for change in (1 + from * EVERY / 2..).step_by(EVERY) {
                site.clean();
                if !within(&home, &first, || kill_after(&site.conf, change)) {
                    break;
                }
                kills += 1;
                let other = if std::ptr::eq(next, &first) { &second } else { &first };
                let result = within(&home, next, || judge(&site.conf, next, other));
                tally.note(&name, &format!("killed after change {change}"), result);
                // The semaphores of both namespaces, which the next round would find.
                for place in [&first, &second] {
                    within(&home, place, || remove_semaphores(site.keys.base()));
                }
            }
            println!("{name:60} {kills:3} kills");
        }
    }
}

/// Kills a cold start after that many system calls that change something. Returns false if it made
/// fewer.
fn kill_after(conf: &ProcessConf, changes: usize) -> bool {
    let child = Child::start(|| {
        changing::stop_at_changes();
        stepper::begin();
        let pool = MemoryPoolMgr::open(conf);
        stepper::end();
        drop(pool);
    });
    if !(0..changes).all(|_| child.to_change().is_some()) {
        return false;
    }
    child.kill();
    true
}

/// Checks that a start succeeds, is cold and works, and that it is the only owner.
fn judge(conf: &ProcessConf, here: &Namespace, other: &Namespace) -> Result<(), String> {
    let seconds = [("its own namespace", here), ("the other namespace", other)]
        .map(|(place, namespace)| (place, Second::fork(conf, namespace)));
    let mut pool = MemoryPoolMgr::open(&conf.clone().owner_wait_ms(5000)).map_err(|e| e.to_string())?;
    add_types(&mut pool).map_err(|error| error.to_string())?;
    if pool.start_mode() != StartMode::Init || !Content::read(&pool)?.objects.is_empty() {
        return Err(format!("{:?}: {}", pool.start_mode(), pool.resume_report()));
    }
    pool.alloc(super::content::Plain { words: [7; 14] }).map_err(|error| error.to_string())?;
    let report = pool.verify();
    if !report.is_sound() {
        return Err(format!("{report}"));
    }
    for (place, second) in seconds {
        if second.gets_in() {
            return Err(format!("a second owner in {place}"));
        }
    }
    pool.close().map_err(|error| error.to_string())?;
    remove_pool(conf.base_key, &Home::of(conf), false).map_err(|error| error.to_string())?;
    Ok(())
}

/// A process in a namespace that tries to become the owner. It is forked before the pool is opened,
/// so that it inherits nothing of it.
struct Second {
    pid: i32,
    go: UnixStream,
}

impl Second {
    fn fork(conf: &ProcessConf, namespace: &Namespace) -> Second {
        let (go, mut wait) = UnixStream::pair().unwrap();
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                drop(go);
                namespace.enter();
                let is_told = wait.read(&mut [0]).is_ok_and(|bytes| bytes == 1);
                let conf = conf.clone().owner_wait_ms(0);
                let code = i32::from(is_told && MemoryPoolMgr::open(&conf).is_ok());
                // SAFETY: exits without running destructors of the parent.
                unsafe { libc::_exit(code) }
            }
            pid => Second { pid, go },
        }
    }

    /// Lets it try, and returns whether it became the owner.
    fn gets_in(mut self) -> bool {
        self.go.write_all(&[1]).unwrap();
        let mut status = 0;
        // SAFETY: waits for a child of this process, with a valid pointer for its status.
        assert_eq!(unsafe { libc::waitpid(self.pid, &raw mut status, 0) }, self.pid);
        self.pid = 0;
        !(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0)
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        if self.pid != 0 {
            // SAFETY: integers only; the pid is a child that is not reaped yet.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            // SAFETY: no status is asked for.
            unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
        }
    }
}
