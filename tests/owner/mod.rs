//! Processes that own a pool and execute commands through the public API. They are killed and
//! reaped when they are dropped.
#![allow(dead_code, reason = "each test uses only a part")]

#[path = "../harness/own_keys.rs"]
mod own_keys;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::share::{Home, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{Id, MemoryPoolMgr, PoolObject, TxError};
use own_keys::own_keys;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

/// An object of sixteen pages, so that a large pool needs few objects.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Tile {
    /// The first word of each page counts the owners that have touched it.
    pages: [[u64; 512]; 16],
}

/// A keyed type, of which many objects are allocated and freed.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2, keyed)]
struct Coin {
    value: u64,
    owner: u64,
}

/// The keys of a pool of one block. Removes the pool when it is dropped.
pub(crate) struct Keys {
    pub(crate) base: Key,
    pub(crate) home: Home,
    block_bytes: u64,
}

impl Keys {
    pub(crate) fn take(block_bytes: u64) -> Self {
        Self::take_at(Home::sysv(), block_bytes)
    }

    /// Reserves keys on another backend, whose folder outlives them.
    pub(crate) fn take_at(home: Home, block_bytes: u64) -> Self {
        let base = Key(own_keys(2));
        Keys { base, home, block_bytes }
    }

    pub(crate) fn conf(&self, wait_ms: u64) -> ProcessConf {
        conf(self.base, self.block_bytes, wait_ms, &self.home)
    }

    /// Makes an owner open the pool. Returns its report or refusal.
    pub(crate) fn open_by(&self, owner: &mut Owner, wait_ms: u64) -> String {
        self.tell_to_open(owner, wait_ms);
        owner.answer()
    }

    pub(crate) fn tell_to_open(&self, owner: &mut Owner, wait_ms: u64) {
        owner.tell(&format!("open {} {} {wait_ms} {}", self.base.0, self.block_bytes, self.place()));
    }

    /// Makes a process remove the pool, as `hotpool rm` does. Returns its result.
    pub(crate) fn remove_by(&self, process: &mut Owner) -> String {
        self.tell_to_remove(process);
        process.answer()
    }

    pub(crate) fn tell_to_remove(&self, process: &mut Owner) {
        process.tell(&format!("rm {} {}", self.base.0, self.place()));
    }

    fn place(&self) -> String {
        format!("{} {}", self.home.backend.name(), self.home.dir.display())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Owners in another PID namespace are killed, but not reaped.
        let began = Instant::now();
        while let Err(error) = remove_pool(self.base, &self.home, false) {
            if began.elapsed() > Duration::from_secs(10) {
                eprintln!("cannot remove the pool under {}: {error}", self.base);
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn conf(base: Key, block_bytes: u64, wait_ms: u64, home: &Home) -> ProcessConf {
    let mut conf = ProcessConf::new("zone", base, Bytes(block_bytes), &[Key(base.0 + 1)]);
    conf.owner_wait_ms = wait_ms;
    conf.backend = home.backend;
    conf.dir = home.dir.clone();
    conf
}

/// Parses the result of [`Keys::place`].
fn home(words: &[&str]) -> Home {
    let backend = BackendKind::ALL.into_iter().find(|kind| kind.name() == words[0]).unwrap();
    Home { backend, dir: words[1].into() }
}

/// A process of this test program that runs only the test `serve`.
pub(crate) struct Owner {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    forked: Vec<i32>,
}

const ROLE: &str = "HOTPOOL_TEST_OWNER";
const MARK: &str = "@@ ";
/// Arguments that make the test program an owner.
const ARGS: [&str; 4] = ["--exact", "serve", "--nocapture", "--test-threads=1"];

impl Owner {
    pub(crate) fn start() -> Self {
        Self::start_by(&mut Command::new(std::env::current_exe().unwrap()))
    }

    /// Launches an owner with another build of this test program.
    pub(crate) fn start_program(program: &std::ffi::OsStr) -> Self {
        Self::start_by(&mut Command::new(program))
    }

    /// Launches an owner through another program, which gets the test program as its last argument.
    pub(crate) fn start_under(program: &str, args: &[&str]) -> Self {
        Self::start_by(Command::new(program).args(args).arg(std::env::current_exe().unwrap()))
    }

    /// Launches an owner as another user, which only the superuser can do. The link works even if
    /// that user cannot search the folders of the program's path.
    pub(crate) fn start_as(user: u32) -> Self {
        Self::start_by(Command::new("/proc/self/exe").uid(user).gid(user).current_dir("/"))
    }

    fn start_by(command: &mut Command) -> Self {
        let command = command.args(ARGS).env(ROLE, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let asks = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut owner = Owner { child, asks, answers, forked: Vec::new() };
        assert_eq!(owner.answer(), "here");
        owner
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.asks, "{what}").unwrap();
    }

    pub(crate) fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the owner has ended");
            if let Some((_, answer)) = line.split_once(MARK) {
                return answer.trim_end().to_string();
            }
        }
    }

    pub(crate) fn ask(&mut self, what: &str) -> String {
        self.tell(what);
        self.answer()
    }

    /// Makes the owner fork a child that is killed when this value is dropped. Returns its pid.
    pub(crate) fn fork(&mut self) -> i32 {
        let pid = self.ask("fork").parse().unwrap();
        self.forked.push(pid);
        pid
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: integers only; the pid is a child that is not reaped yet.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Kills the owner without waiting for its end.
    pub(crate) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Waits for the end of the owner.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for &pid in &self.forked {
            // SAFETY: integers only; the pid is a process that sleeps until it is killed.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

/// Runs the process of an [`Owner`]. Does nothing in any other process.
pub(crate) fn serve() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let say = |what: &str| println!("{MARK}{what}");
    let _ = log::set_logger(&Warnings).map(|()| log::set_max_level(log::LevelFilter::Warn));
    say("here");
    let mut pool: Option<MemoryPoolMgr> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "rm" => match remove_pool(Key(number(1) as u32), &home(&words[2..]), false) {
                Ok(removal) => say(&format!("removed {}", removal.removed.len())),
                Err(error) => say(&format!("refused: {error}")),
            },
            "open" => match open(&conf(Key(number(1) as u32), number(2), number(3), &home(&words[4..]))) {
                Ok(opened) => {
                    say(&opened.resume_report().to_string());
                    pool = Some(opened);
                }
                Err(error) => say(&format!("refused: {error}")),
            },
            "fill" => say(&fill(pool.as_mut().unwrap()).to_string()),
            "touch" => say(&touch(pool.as_mut().unwrap())),
            "work" => say(&work(pool.as_mut().unwrap(), Duration::from_millis(number(1))).to_string()),
            "sum" => say(&sum(pool.as_ref().unwrap())),
            "close" => say(&format!("{:?}", pool.take().unwrap().close())),
            "destroy" => say(&format!("{:?}", pool.take().unwrap().destroy())),
            "fork" => say(&fork(|| ()).to_string()),
            "fork-and-touch" => {
                let pid = fork(|| drop(touch(pool.as_mut().unwrap())));
                let mut status = 0;
                // SAFETY: waits for a child of this process, with a valid pointer for its status.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                say(&format!("signal {}", libc::WTERMSIG(status)));
            }
            // The next program continues to read commands: this one has read all earlier ones.
            "exec" => panic!("{}", Command::new(std::env::current_exe().unwrap()).args(ARGS).exec()),
            "exec-sleep" => {
                say("executing");
                panic!("{}", Command::new("sleep").arg("1000").exec());
            }
            "dump" => dump(words[1], number(2) as usize),
            "die-of" => die_of(pool.as_ref().unwrap(), number(1) as i32),
            "warnings" => say(&WARNINGS.lock().unwrap().join("; ")),
            "mappings" => say(&mappings().to_string()),
            other => panic!("{other}?"),
        }
    }
}

/// The warnings of the library.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Warnings;

impl log::Log for Warnings {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        WARNINGS.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

fn open(conf: &ProcessConf) -> Result<MemoryPoolMgr, hotpool::PoolError> {
    let mut pool = MemoryPoolMgr::open(conf)?;
    pool.add_type::<Tile>()?;
    pool.ready()?;
    Ok(pool)
}

/// Allocates objects until the pool is full. Returns how many it holds.
fn fill(pool: &mut MemoryPoolMgr) -> usize {
    while pool.alloc(Tile::zeroed()).is_ok() {}
    pool.len::<Tile>()
}

fn touch(pool: &mut MemoryPoolMgr) -> String {
    pool.for_each::<Tile>(|_: Id<Tile>, tile| tile.pages.iter_mut().for_each(|page| page[0] += 1));
    "touched".into()
}

fn sum(pool: &MemoryPoolMgr) -> String {
    pool.iter::<Tile>().flat_map(|(_, tile)| tile.pages.iter().map(|page| page[0])).sum::<u64>().to_string()
}

/// Runs operations of all kinds for this time, from an empty type to a full one and back. Returns
/// how many.
fn work(pool: &mut MemoryPoolMgr, time: Duration) -> u64 {
    pool.add_type::<Coin>().unwrap();
    let (mut random, began, mut done) = (fastrand::Rng::with_seed(7), Instant::now(), 0);
    while began.elapsed() < time {
        let growing = began.elapsed() < time / 2;
        for _ in 0..100 {
            let key = random.u64(..20_000);
            match (random.u8(..8), pool.find::<Coin>(key)) {
                (0..3, Some(coin)) if !growing => assert!(pool.free(coin)),
                (0..3, None) if growing => drop(pool.alloc_keyed(key, Coin { value: key, owner: 0 })),
                (3, Some(coin)) => pool.update(coin, |coin| coin.value += 1).unwrap(),
                (4, Some(coin)) => drop(pool.tx(|tx| -> Result<(), TxError> {
                    tx.free(coin)?;
                    tx.alloc_keyed(key, Coin { value: 0, owner: 1 })?;
                    tx.commit_with(key)
                })),
                (5, None) => drop(pool.force_get(key, Coin { value: 1, owner: 2 })),
                (6, Some(coin)) => pool.get_mut(coin).unwrap().owner += 1,
                _ => {}
            }
        }
        done += 100;
    }
    done
}

/// Counts the System V segments that this process has mapped.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/SYSV")).count()
}

/// Forks a child that runs `first` and then sleeps until it is killed.
fn fork(first: impl FnOnce()) -> i32 {
    // SAFETY: the child only stores to memory, or faults, and calls `pause`.
    match unsafe { libc::fork() } {
        0 => {
            // Rust's runtime would print a message for a SIGSEGV, and might wait for a lock of
            // another thread.
            // SAFETY: the default action runs no code.
            unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the record outlives the call.
            unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
            first();
            loop {
                // SAFETY: the call takes no argument.
                unsafe { libc::pause() };
            }
        }
        pid => pid,
    }
}

/// Dies of a signal, whose handler notes it in the pool and then restores the default action.
fn die_of(pool: &MemoryPoolMgr, signal: i32) {
    static POOL: AtomicPtr<MemoryPoolMgr> = AtomicPtr::new(std::ptr::null_mut());
    extern "C" fn note(signal: i32) {
        // SAFETY: `die_of` has stored its pool there, and never returns.
        unsafe { &*POOL.load(Ordering::Relaxed) }.note_signal(signal);
        // SAFETY: the default action runs no code; the signal comes again once it is unblocked.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: integers only.
        unsafe { libc::raise(signal) };
    }
    POOL.store(std::ptr::from_ref(pool).cast_mut(), Ordering::Relaxed);
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the record outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: the handler makes a few stores and calls only async-signal-safe functions.
    unsafe { libc::signal(signal, note as *const () as libc::sighandler_t) };
    // SAFETY: integers only.
    unsafe { libc::raise(signal) };
    loop {
        std::thread::park();
    }
}

/// Dies of SIGABRT in `folder`, with enough memory to make its core dump slow.
fn dump(folder: &str, bytes: usize) {
    std::env::set_current_dir(folder).unwrap();
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the record outlives the call.
    let allowed = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const unlimited) } == 0;
    let ballast = vec![1u8; bytes];
    println!(
        "{MARK}{}",
        if allowed && std::hint::black_box(&ballast).len() == bytes { "dumping" } else { "not allowed" }
    );
    std::process::abort();
}
