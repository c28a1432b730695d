//! Test helpers: keys that clean up, child processes that are killed and reaped, and changes to
//! segments without `PoolSegments`.
//!
//! # What the unsafe code here relies on
//!
//! Signals go to children of the test that are not reaped yet. `fork` is called in a child that
//! serves only one test; its own child uses only what is safe after a fork. IPC_SET gets a record
//! that IPC_STAT has just filled.
#![allow(unsafe_code)]

#[path = "../../tests/harness/own_keys.rs"]
mod own_keys;

use self::own_keys::own_keys;
use super::error::ShareError;
use super::home::Home;
use super::manager::{PoolSegments, StartMode};
use super::observer::Observer;
use super::{BlockWant, Facts, Prospect, Removed, Standing, observe};
use crate::conf::{BackendKind, ProcessConf};
use crate::layout::{BASE_KIND, BaseHeader, MAGIC_READY};
use crate::region::{At, Region};
use crate::share::making::end_of_head;
use crate::sys::sysv;
use crate::units::{Bytes, Key};
use crate::word::Word;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Size of the bases of these tests in bytes.
pub(super) const BASE: u64 = 64 << 10;
/// Offset at which `make` stores a word: the last one that a creation may write.
pub(super) const MADE_AT: u64 = end_of_head(BASE_KIND) - 8;
/// Value of that word.
pub(super) const MADE: u64 = 0x600d;
/// Offset of a word that belongs to the owner.
pub(super) const OWNED_AT: u64 = BaseHeader::BYTES + 4096;

/// Keys of one test, with a backend and folder. Dropping it removes everything under them.
pub(super) struct Bench {
    pub(super) home: Home,
    keys: Vec<Key>,
    _dir: Option<tempfile::TempDir>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::of(BackendKind::Sysv)
    }

    pub(super) fn of(backend: BackendKind) -> Self {
        let dir = (backend == BackendKind::File).then(|| tempfile::tempdir().unwrap());
        let path = dir.as_ref().map_or_else(Default::default, |dir| dir.path().to_path_buf());
        let mut bench = Bench { home: Home { backend, dir: path }, keys: Vec::new(), _dir: dir };
        bench.key();
        bench
    }

    /// Returns a new key, which is removed with the bench.
    pub(super) fn key(&mut self) -> Key {
        let key = Key(own_keys(1));
        self.keys.push(key);
        key
    }

    /// Returns the base key.
    pub(super) fn base(&self) -> Key {
        self.keys[0]
    }

    pub(super) fn conf(&self) -> ProcessConf {
        ProcessConf {
            backend: self.home.backend,
            dir: self.home.dir.clone(),
            owner_wait_ms: 0,
            ..ProcessConf::new("zone", self.base(), Bytes(BASE), &[])
        }
    }

    pub(super) fn open(&self) -> Result<PoolSegments, ShareError> {
        open(&self.conf(), BASE)
    }

    pub(super) fn facts(&self) -> Facts {
        observe(self.base(), &self.home).unwrap()
    }

    /// Attaches the base without `PoolSegments`.
    pub(super) fn raw(&self) -> super::segment::Segment {
        self.attach(self.base())
    }

    /// Attaches any segment without `PoolSegments`.
    pub(super) fn attach(&self, key: Key) -> super::segment::Segment {
        let backend = self.home.open();
        let facts = backend.stat(key).unwrap().unwrap();
        backend.attach(key, &facts, super::backend::Access::Write).unwrap()
    }

    /// Returns every word of the base, and the kernel's time of its last change.
    pub(super) fn image(&self) -> (Vec<u64>, u64) {
        let segment = self.raw();
        let words = (0..segment.region().len() / 8).map(|at| word(&segment.region(), at * 8).load());
        (words.collect(), self.home.open().stat(self.base()).unwrap().unwrap().changed)
    }

    pub(super) fn remove_semaphores(&self) {
        sysv::sem_remove(sysv::sem_find(self.base()).unwrap().unwrap()).unwrap();
    }

    pub(super) fn has_semaphores(&self) -> bool {
        sysv::sem_find(self.base()).unwrap().is_some()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let backend = self.home.open();
        for &key in &self.keys {
            if let Ok(Some(facts)) = backend.stat(key)
                && !facts.removed
            {
                let _ = backend.remove(key, &facts);
            }
            if let Ok(Some(semid)) = sysv::sem_find(key) {
                let _ = sysv::sem_remove(semid);
            }
        }
    }
}

impl PoolSegments {
    /// Judges the base and takes the pool.
    pub(crate) fn open(
        conf: &ProcessConf,
        base_bytes: u64,
        make: &mut dyn FnMut(&Region),
    ) -> Result<PoolSegments, ShareError> {
        Prospect::look(conf, base_bytes)?.take(Vec::new(), make)
    }

    /// Attaches a block of the pool, which must exist and be complete.
    pub(crate) fn attach_block(&mut self, key: Key, index: u32, bytes: u64) -> Result<Region, ShareError> {
        let judged = self.judge_block(&BlockWant { key, index, bytes, pool_id: self.pool_id() })?;
        match judged.standing() {
            Standing::Complete => self.keep_block(judged),
            _ => Err(super::error::refused(judged.facts().verdict(), judged.facts().clone())),
        }
    }

    /// Creates a block, or takes the one that an interrupted growth of this pool has left.
    pub(crate) fn add_block(&mut self, key: Key, index: u32, bytes: u64) -> Result<Region, ShareError> {
        let want = BlockWant { key, index, bytes, pool_id: self.pool_id() };
        let judged = self.judge_new(&want)?;
        self.have_block(judged, &want)
    }
}

/// Opens a pool with a `make` that checks for zeros and stores [`MADE`].
pub(super) fn open(conf: &ProcessConf, bytes: u64) -> Result<PoolSegments, ShareError> {
    PoolSegments::open(conf, bytes, &mut |region| {
        let touched = (64..bytes.min(BASE)).step_by(8).find(|at| word(region, *at).load() != 0);
        assert_eq!(touched, None, "a new base begins with zeros");
        word(region, MADE_AT).store(MADE);
    })
}

pub(super) fn word(region: &Region, offset: u64) -> At<Word> {
    region.at(offset).unwrap()
}

/// Returns the key of a removed thing.
pub(super) fn removed_key(removed: &Removed) -> Key {
    match removed {
        Removed::Segment { key, .. } | Removed::Semaphores { key } => *key,
    }
}

/// Gives a segment to another user.
pub(super) fn give_segment_away(shmid: i32, uid: u32) {
    let mut ds = std::mem::MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: IPC_STAT fills a `shmid_ds`.
    assert_eq!(unsafe { libc::shmctl(shmid, libc::IPC_STAT, ds.as_mut_ptr()) }, 0);
    // SAFETY: it consists of integers, which were zeroed and then filled.
    let mut ds = unsafe { ds.assume_init() };
    ds.shm_perm.uid = uid;
    // SAFETY: IPC_SET reads a `shmid_ds`.
    assert_eq!(unsafe { libc::shmctl(shmid, libc::IPC_SET, &raw mut ds) }, 0);
}

/// Gives a semaphore set to another user.
pub(super) fn give_semaphores_away(semid: i32, uid: u32) {
    sysv::sem_give(semid, uid).unwrap();
}

/// Returns whether this run may give things to other users.
pub(super) fn is_root() -> bool {
    sysv::effective_uid() == 0
}

/// A process that executes requests; a drop kills and reaps it.
pub(super) struct Servant {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    forked: Vec<i32>,
}

const ROLE: &str = "HOTPOOL_TEST_SERVANT";
const MARK: &str = "@@ ";

impl Servant {
    pub(super) fn hire() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "share::tests::serve", "--nocapture", "--test-threads=1"])
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asks = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut servant = Servant { child, asks, answers, forked: Vec::new() };
        assert_eq!(servant.answer(), "here");
        servant
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(super) fn tell(&mut self, what: &str) {
        writeln!(self.asks, "{what}").unwrap();
        self.asks.flush().unwrap();
    }

    pub(super) fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the servant is gone");
            if let Some((_, answer)) = line.split_once(MARK) {
                return answer.trim_end().to_string();
            }
        }
    }

    pub(super) fn ask(&mut self, what: &str) -> String {
        self.tell(what);
        self.answer()
    }

    /// Makes the process open the pool of `bench`.
    pub(super) fn open(&mut self, bench: &Bench) -> String {
        let Home { backend, dir } = &bench.home;
        self.ask(&format!("open {} {BASE} 0 {backend:?} {}", bench.base().0, dir.display()))
    }

    /// Makes the process fork a child, which runs until this value is dropped; returns its pid.
    pub(super) fn fork(&mut self) -> i32 {
        self.fork_by("fork")
    }

    /// Makes the process fork a child that maps other memory over the pool and drops the pool.
    pub(super) fn fork_and_drop(&mut self) -> i32 {
        self.fork_by("fork-and-drop")
    }

    fn fork_by(&mut self, how: &str) -> i32 {
        let pid = self.ask(how).parse().unwrap();
        self.forked.push(pid);
        pid
    }

    pub(super) fn signal(&self, signal: i32) {
        // SAFETY: integers; the pid is that of a child that is not reaped.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Kills the process and leaves a zombie.
    pub(super) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }
}

impl Drop for Servant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for &pid in &self.forked {
            // SAFETY: integers; the pid is that of a process that sleeps until it is killed.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

/// Runs the process of a [`Servant`]; does nothing in other processes.
pub(super) fn serve() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let say = |what: &str| println!("{MARK}{what}");
    say("here");
    let mut pool: Option<PoolSegments> = None;
    let mut watch = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "open" => {
                drop(pool.take());
                match open(&conf_of(&words[1..]), words[2].parse().unwrap()) {
                    Ok(opened) => {
                        say(if opened.start_mode() == StartMode::Init { "init" } else { "resume" });
                        pool = Some(opened);
                    }
                    Err(error) => say(&format!("refused: {error}")),
                }
            }
            // Opens, stores a word that marks this owner, and closes.
            "own" => match open(&conf_of(&words[1..]), words[2].parse().unwrap()) {
                Ok(opened) => {
                    let owned = word(&opened.base(), OWNED_AT);
                    assert_eq!(owned.load(), 0, "another process owns the pool");
                    owned.store(2);
                    std::thread::yield_now();
                    assert_eq!(owned.load(), 2, "another process writes to the pool");
                    owned.store(0);
                    drop(opened);
                    say("owned");
                }
                Err(error) => say(&format!("refused: {error}")),
            },
            "touch" => {
                let base = pool.as_ref().unwrap().base();
                (8192..base.len()).step_by(4096).for_each(|at| word(&base, at).store(at));
                say("touched");
            }
            "close" => {
                drop(pool.take());
                say("closed");
            }
            "fork" => say(&fork(|| ()).to_string()),
            "fork-and-drop" => {
                let base = pool.as_ref().unwrap().base();
                let pid = fork(|| {
                    let mine = map_at(&base);
                    drop(pool.take());
                    mine.store(1);
                });
                say(&pid.to_string());
            }
            "watch" => {
                let key = Key(words[1].parse().unwrap());
                let registered = Observer::register(key);
                let backend = Home::sysv().open();
                let facts = backend.stat(key).unwrap().unwrap();
                let segment = backend.attach(key, &facts, super::backend::Access::Read).unwrap();
                assert_eq!(word(&segment.region(), 0).load(), MAGIC_READY);
                say(if registered.is_some() { "registered" } else { "uncounted" });
                watch = Some((segment, registered));
            }
            "unwatch" => {
                drop(watch.take());
                say("left");
            }
            other => panic!("{other}?"),
        }
    }
}

fn conf_of(words: &[&str]) -> ProcessConf {
    let backend = match words[3] {
        "Posix" => BackendKind::Posix,
        "File" => BackendKind::File,
        _ => BackendKind::Sysv,
    };
    ProcessConf {
        backend,
        dir: words[4].into(),
        owner_wait_ms: words[2].parse().unwrap(),
        ..ProcessConf::new("zone", Key(words[0].parse().unwrap()), Bytes(BASE), &[])
    }
}

/// Maps memory over the pages that keep the child out of `region`; returns a word in it.
fn map_at(region: &Region) -> At<Word> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let start = region.span(0, region.len()).unwrap().as_ptr().cast();
    // SAFETY: nothing in the child uses this range, which consists of inaccessible pages.
    let got =
        unsafe { libc::mmap(start, region.len() as usize, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert_eq!(got, start);
    word(region, 4096)
}

/// Forks a child that calls `first` and then sleeps until it is killed.
fn fork(first: impl FnOnce()) -> i32 {
    // SAFETY: the child calls `first`, which only makes system calls, and `pause`.
    match unsafe { libc::fork() } {
        0 => {
            first();
            loop {
                // SAFETY: it takes no argument.
                unsafe { libc::pause() };
            }
        }
        pid => pid,
    }
}
