//! System V pools for one test, under its own keys. They are removed at its end, even if it fails.

#[path = "../../../../tests/harness/own_keys.rs"]
mod own_keys;

use hotpool::MemoryPoolMgr;
use hotpool::conf::ProcessConf;
use hotpool::units::{Bytes, Key};
use own_keys::own_keys;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Passes the base key to a child of a test, and how far it goes.
const CHILD: &str = "HOTPOOL_TEST_CHILD";
const BLOCK: u64 = 64 << 10;

/// The keys of one test, a folder, and the command.
pub(crate) struct Bench {
    first: u32,
    folder: tempfile::TempDir,
}

/// The result of the command.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let first = own_keys(64);
        Bench { first, folder: tempfile::tempdir().unwrap() }
    }

    /// Returns the key of base `pool`, 0 to 7. Its blocks use the next keys.
    pub(crate) fn base(&self, pool: u32) -> Key {
        Key(self.first + 8 * pool)
    }

    pub(crate) fn block(&self, pool: u32, number: u32) -> Key {
        Key(self.base(pool).0 + 1 + number)
    }

    pub(crate) fn conf(&self, pool: u32) -> ProcessConf {
        conf_of(self.base(pool), 2)
    }

    /// Opens a pool with two blocks.
    pub(crate) fn open(&self, pool: u32) -> MemoryPoolMgr {
        MemoryPoolMgr::open(&self.conf(pool)).unwrap()
    }

    /// Returns the folder of the test.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Writes an ini with `names` for the pools 0, 1 and so on.
    pub(crate) fn ini(&self, names: &[&str]) -> String {
        self.ini_with(names, "")
    }

    /// Writes an ini like [`Bench::ini`], with more lines in every section.
    pub(crate) fn ini_with(&self, names: &[&str], more: &str) -> String {
        let mut text = format!("[common]\nProcessList = {}\n", names.join(", "));
        for (pool, name) in (0..).zip(names) {
            let (base, blocks) = (self.base(pool), [self.block(pool, 0), self.block(pool, 1)]);
            text += &format!(
                "[{name}]\nBaseKey = {base}\nBlockSize = 64K\nShmKeys = {}, {}\nFormerName = zone\n{more}\n",
                blocks[0], blocks[1]
            );
        }
        let path = self.folder.path().join("memorypool.ini");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs the command without a terminal.
    pub(crate) fn hotpool(&self, args: &[&str]) -> Answer {
        let output = self.command(args).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hotpool"));
        command.args(args).current_dir(self.folder.path());
        command
    }

    /// Launches a process that owns a pool and has reached `until`: `open` or `ready`.
    pub(crate) fn owner(&self, pool: u32, until: &str) -> Owner {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, format!("{} {until}", self.base(pool).0))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut owner = Owner { child: child.unwrap() };
        owner.wait_for("owns");
        owner
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// Returns the line of the table that begins with a key.
    pub(crate) fn row(&self, key: Key) -> &str {
        let start = format!(" {key} ");
        self.out.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{}", self.out))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for key in self.first..self.first + 64 {
            raw::remove(Key(key));
            let _ = fs::remove_file(format!("/dev/shm/hotpool-{key:08x}"));
        }
    }
}

pub(crate) fn conf_of(base: Key, blocks: u32) -> ProcessConf {
    let keys: Vec<Key> = (1..=blocks).map(|n| Key(base.0 + n)).collect();
    ProcessConf::new("zone", base, Bytes(BLOCK), &keys)
}

/// A process that owns a pool. It is killed when this is dropped.
pub(crate) struct Owner {
    child: Child,
}

impl Owner {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }

    fn wait_for(&mut self, word: &str) {
        let out = BufReader::new(self.child.stdout.as_mut().unwrap());
        let found = out.lines().any(|line| line.unwrap().contains(word));
        assert!(found, "the child never printed `{word}`");
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a child: opens a pool and keeps it until the child is killed or its parent ends.
pub(crate) fn live_as_child() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (base, until) = order.split_once(' ').unwrap();
    let mut pool = MemoryPoolMgr::open(&conf_of(Key(base.parse().unwrap()), 2)).unwrap();
    if until == "ready" {
        pool.ready().unwrap();
    }
    println!("owns");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_line(&mut String::new());
    std::process::exit(0);
}

/// System V calls that hotpool itself would not make.
pub(crate) mod raw {
    use hotpool::units::Key;
    use std::os::fd::{FromRawFd, OwnedFd};

    fn segment(key: Key) -> Option<i32> {
        // SAFETY: integers only.
        let id = unsafe { libc::shmget(key.raw(), 0, 0) };
        (id != -1).then_some(id)
    }

    fn semaphores(key: Key) -> Option<i32> {
        // SAFETY: integers only.
        let id = unsafe { libc::semget(key.raw(), 0, 0) };
        (id != -1).then_some(id)
    }

    pub(crate) fn is_there(key: Key) -> bool {
        segment(key).is_some()
    }

    pub(crate) fn has_semaphores(key: Key) -> bool {
        semaphores(key).is_some()
    }

    pub(crate) fn remove_segment(key: Key) {
        if let Some(id) = segment(key) {
            // SAFETY: IPC_RMID takes no buffer.
            unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }

    pub(crate) fn remove(key: Key) {
        remove_segment(key);
        remove_semaphores(key);
    }

    pub(crate) fn remove_semaphores(key: Key) {
        if let Some(id) = semaphores(key) {
            // SAFETY: IPC_RMID takes no argument.
            unsafe { libc::semctl(id, 0, libc::IPC_RMID) };
        }
    }

    /// Creates a foreign segment of one page.
    pub(crate) fn make(key: Key) {
        make_of(key, 4096);
    }

    /// Creates a foreign segment of this size.
    pub(crate) fn make_of(key: Key, bytes: u64) {
        // SAFETY: integers only.
        let id = unsafe { libc::shmget(key.raw(), bytes as usize, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        assert_ne!(id, -1);
    }

    /// Size of a segment.
    pub(crate) fn bytes(key: Key) -> u64 {
        // SAFETY: all zero is a value of it.
        let mut stat: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: IPC_STAT fills the record.
        assert_eq!(unsafe { libc::shmctl(segment(key).unwrap(), libc::IPC_STAT, &raw mut stat) }, 0);
        stat.shm_segsz as u64
    }

    /// The owner lock, held by this process until it is dropped.
    pub(crate) struct Held(i32);

    /// Takes the owner lock behind the library's back.
    pub(crate) fn hold(key: Key) -> Held {
        let held = Held(semaphores(key).unwrap());
        held.change(1);
        held
    }

    impl Held {
        fn change(&self, by: i16) {
            let mut step =
                libc::sembuf { sem_num: 0, sem_op: by, sem_flg: (libc::SEM_UNDO | libc::IPC_NOWAIT) as i16 };
            // SAFETY: one step, which lives through the call.
            assert_eq!(unsafe { libc::semop(self.0, &raw mut step, 1) }, 0);
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            self.change(-1);
        }
    }

    /// Sets the first word of a segment.
    pub(crate) fn set_first_word(key: Key, word: u64) {
        set_word(key, 0, word);
    }

    /// Sets the word at byte `offset`, which is inside the segment.
    pub(crate) fn set_word(key: Key, offset: usize, word: u64) {
        let id = segment(key).unwrap();
        // SAFETY: the kernel chooses the address.
        let start = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert_ne!(start as isize, -1);
        // SAFETY: the caller guarantees that the segment includes this offset.
        let at = unsafe { start.cast::<u64>().add(offset / 8) };
        // SAFETY: as above, and the word is aligned because the segment begins at a page.
        unsafe { at.write_volatile(word) };
        // SAFETY: attached above.
        unsafe { libc::shmdt(start) };
    }

    /// Returns all words of a segment.
    pub(crate) fn words(key: Key) -> Vec<u64> {
        // SAFETY: the kernel chooses the address.
        let start = unsafe { libc::shmat(segment(key).unwrap(), std::ptr::null(), libc::SHM_RDONLY) };
        assert_ne!(start as isize, -1);
        let start = start.cast::<u64>();
        let read = |at: usize| {
            // SAFETY: the segment has so many bytes.
            let word = unsafe { start.add(at) };
            // SAFETY: as above, and the word is aligned because the segment begins at a page.
            unsafe { word.read_volatile() }
        };
        let words = (0..bytes(key) as usize / 8).map(read).collect();
        // SAFETY: attached above.
        unsafe { libc::shmdt(start.cast()) };
        words
    }

    /// Opens a terminal. Returns our end and the end for a child.
    pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
        let (mut ours, mut theirs) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: the call writes two integers; the null pointers mean no name, mode or size.
        let made = unsafe { libc::openpty(&mut ours, &mut theirs, null, null.cast(), null.cast()) };
        assert_eq!(made, 0);
        // SAFETY: a new descriptor that nothing else owns.
        let ours = unsafe { OwnedFd::from_raw_fd(ours) };
        // SAFETY: as above.
        (ours, unsafe { OwnedFd::from_raw_fd(theirs) })
    }
}
