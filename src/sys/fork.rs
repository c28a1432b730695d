//! Keeps from a forked child what it must not have: mappings of segments, and descriptors that hold
//! a lock.
//!
//! `MADV_DONTFORK` keeps a mapping out of a child and leaves a hole in its address space. The
//! child's copy of the pool still points there. The allocator of the child would fill the hole with
//! other memory, and a write through the copy would corrupt it. So a handler of `pthread_atfork`
//! maps inaccessible pages into every hole before `fork` returns in the child. Using the pool there
//! ends with SIGSEGV, and nothing else is ever mapped there, however long the child lives.
//!
//! | state of a thread | when another thread forks | the child |
//! |---|---|---|
//! | before [`Section::enter`] | at once | has no mapping and no descriptor, because none existed |
//! | in a section | when the section has ended | has inaccessible pages where the segment was attached |
//! | after a detach in a section | at once | has nothing there |
//!
//! A process that calls `vfork` or `posix_spawn`, as [`std::process::Command`] does, runs no
//! handler and needs none: the child shares the memory of its parent until it executes another
//! program.
//!
//! Two kinds of children bypass this. A raw `clone` runs no handler, so the child has the holes. A
//! fork that began before the first section of the process, and copies it while that section runs,
//! can leave the child a mapping that nothing in it refers to.
//!
//! # What the unsafe code here relies on
//!
//! Only the thread that holds `LOCK` accesses `TABLE`: in a section, or between the handlers
//! `prepare` and `parent` of a fork. In the child, its only thread holds the lock, and finds the
//! table as the parent left it. The handlers therefore neither allocate, free nor wait in the
//! child: between `fork` and `exec`, a child of a process with threads may only call what a signal
//! handler may call. All signals are blocked while the lock is held, so that no signal handler can
//! fork meanwhile and wait for its own thread. A section runs no code of the program except its
//! allocator.
//!
//! In the child, `mmap` gets ranges that this process had attached. `MAP_FIXED_NOREPLACE` never
//! maps over anything. `MAP_FIXED` is used only for a range that the kernel refused to keep from
//! children: the mapping there is the child's copy of the segment. A descriptor in the table is
//! open and owned by its [`OwnFile`]; the copy of that [`OwnFile`] in the child does not use it.
#![allow(unsafe_code)]

use crate::limits::PAGE;
use crate::region::Region;
use std::cell::{Cell, UnsafeCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Number of forks between the first process of this ancestry and this process.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The process that created a value, as opposed to a child that has a copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Not sufficient alone: the first process of each PID namespace is 1.
    pid: u32,
    /// Not sufficient alone: a raw `clone` runs no handler.
    forks: u32,
}

impl Origin {
    /// Returns the identity of this process.
    pub(crate) fn here() -> Self {
        Origin { pid: super::pid(), forks: FORKS.load(Ordering::Relaxed) }
    }

    /// Returns whether the process that created the value is this one.
    pub(crate) fn is_here(self) -> bool {
        self == Origin::here()
    }
}

/// What children do not get.
struct Table {
    /// By address: the bytes, and whether a child inherits the mapping all the same.
    ranges: BTreeMap<usize, (usize, Inherited)>,
    descriptors: BTreeSet<RawFd>,
    /// Signals that were blocked in the forking thread.
    mask: MaybeUninit<libc::sigset_t>,
    /// Whether the handlers are registered with the C library.
    registered: bool,
}

/// Whether a child inherits a mapping, because the kernel refused to keep it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inherited {
    No,
    Yes,
}

impl Table {
    const fn new() -> Self {
        Table {
            ranges: BTreeMap::new(),
            descriptors: BTreeSet::new(),
            mask: MaybeUninit::uninit(),
            registered: false,
        }
    }
}

struct Locked(UnsafeCell<Table>);

// SAFETY: only the holder of `LOCK` accesses the table.
unsafe impl Sync for Locked {}

static TABLE: Locked = Locked(UnsafeCell::new(Table::new()));

/// Pid of the process that holds the table, 0 if it is free.
///
/// Every process has a lock of its own. One that names another process was copied by a fork without
/// handlers.
static LOCK: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Set between `prepare` and `parent` or `child`. A fork during the registration of the
    /// handlers leaves a child that has registered them twice.
    static FORKING: Cell<bool> = const { Cell::new(false) };
}

fn acquire() {
    const TRIES: u32 = 100;
    const PAUSE: Duration = Duration::from_micros(50);
    let (me, mut tries) = (std::process::id(), 0);
    loop {
        let Err(holder) = LOCK.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) else { return };
        let taken =
            holder != me && LOCK.compare_exchange(holder, me, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            // SAFETY: this thread holds the lock. The copied table may be half changed, so it is
            // not dropped.
            unsafe { TABLE.0.get().write(Table::new()) };
            return;
        }
        tries += 1;
        match tries {
            ..TRIES => std::thread::yield_now(),
            // The holder may have a lower priority and must get to run.
            _ => std::thread::sleep(PAUSE),
        }
    }
}

fn release() {
    LOCK.store(0, Ordering::Release);
}

/// Blocks all signals of this thread and returns the mask from before.
fn block_signals() -> MaybeUninit<libc::sigset_t> {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: the call fills the set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the call reads the first set, which is filled, and fills the other.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    before
}

fn unblock_signals(before: &MaybeUninit<libc::sigset_t>) {
    // SAFETY: `block_signals` has filled the set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
}

/// A span in which no thread of this process forks; the handlers of `fork` wait for its end.
///
/// What is attached or opened in it can be entered in the table before a child gets a copy.
pub(crate) struct Section {
    mask: MaybeUninit<libc::sigset_t>,
    /// The mask belongs to the thread.
    _thread: PhantomData<*const ()>,
}

impl Section {
    /// Waits until no other thread is in a section or forks, and begins one. A thread must not
    /// enter it twice.
    pub(crate) fn enter() -> io::Result<Self> {
        let mask = block_signals();
        acquire();
        let section = Section { mask, _thread: PhantomData };
        let registered = section.with(|table| table.registered);
        if !registered {
            // SAFETY: the handlers take no argument, never unwind, and stay in the program.
            let code = unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
            if code != 0 {
                return Err(io::Error::from_raw_os_error(code));
            }
            section.with(|table| table.registered = true);
        }
        Ok(section)
    }

    fn with<R>(&self, act: impl FnOnce(&mut Table) -> R) -> R {
        // SAFETY: a section holds the lock, and the reference does not outlive the call.
        act(unsafe { &mut *TABLE.0.get() })
    }

    /// Keeps children out of a mapping until [`release`](Self::release).
    pub(crate) fn keep(&self, range: &Region, inherited: Inherited) {
        if let Ok(start) = range.span(0, 0) {
            let bytes = range.len().next_multiple_of(PAGE) as usize;
            self.with(|table| table.ranges.insert(start.as_ptr().addr(), (bytes, inherited)));
        }
    }

    /// Removes a mapping that is detached in this section.
    pub(crate) fn release(&self, range: &Region) {
        if let Ok(start) = range.span(0, 0) {
            self.with(|table| table.ranges.remove(&start.as_ptr().addr()));
        }
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        release();
        unblock_signals(&self.mask);
    }
}

/// An open file that no forked child has: the copy in the child is closed before `fork` returns
/// there.
///
/// It serves descriptors that hold a lock, which a child would otherwise keep after its parent
/// dies.
#[derive(Debug)]
pub(crate) struct OwnFile {
    file: ManuallyDrop<File>,
    origin: Origin,
}

impl OwnFile {
    /// Wraps the file that `open` returns. The closure may lock it, too.
    pub(crate) fn open(open: impl FnOnce() -> io::Result<File>) -> io::Result<Self> {
        let section = Section::enter()?;
        let file = open()?;
        section.with(|table| table.descriptors.insert(file.as_raw_fd()));
        Ok(OwnFile { file: ManuallyDrop::new(file), origin: Origin::here() })
    }

    /// Returns the file; `None` in a child, where the number may belong to another file by now.
    pub(crate) fn file(&self) -> Option<&File> {
        self.origin.is_here().then_some(&*self.file)
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            return;
        }
        // Entering cannot fail here: `open` has registered the handlers already.
        let section = Section::enter();
        // SAFETY: the file is taken only here.
        let file = unsafe { ManuallyDrop::take(&mut self.file) };
        if let Ok(section) = section {
            section.with(|table| table.descriptors.remove(&file.as_raw_fd()));
            // Closed inside the section: once it ends, another file may get the number.
            drop(file);
        }
    }
}

extern "C" fn prepare() {
    if FORKING.replace(true) {
        return;
    }
    let mask = block_signals();
    acquire();
    // SAFETY: this thread holds the lock.
    let table = unsafe { &mut *TABLE.0.get() };
    table.mask = mask;
}

extern "C" fn parent() {
    if FORKING.replace(false) {
        leave();
    }
}

extern "C" fn child() {
    if !FORKING.replace(false) {
        return;
    }
    FORKS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the only thread of this process still holds the lock that `prepare` acquired.
    let table = unsafe { &mut *TABLE.0.get() };
    // Children of this child inherit no descriptor, and inherit the pages that are mapped below, so
    // the table becomes empty. Dropping the sets would call the allocator.
    let ranges = ManuallyDrop::new(mem::take(&mut table.ranges));
    let descriptors = ManuallyDrop::new(mem::take(&mut table.descriptors));
    fence(&ranges);
    for &descriptor in descriptors.iter() {
        // SAFETY: an integer; the copy of the `OwnFile` does not use it in this process.
        unsafe { libc::close(descriptor) };
    }
    leave();
}

fn leave() {
    // SAFETY: this thread holds the lock.
    let mask = unsafe { (*TABLE.0.get()).mask };
    release();
    unblock_signals(&mask);
}

/// Maps inaccessible pages where the parent has segments, with one mapping for adjacent ranges.
fn fence(ranges: &BTreeMap<usize, (usize, Inherited)>) {
    let mut run: Option<(usize, usize)> = None;
    for (&start, &(bytes, inherited)) in ranges {
        if inherited == Inherited::Yes {
            cover(start, bytes, libc::MAP_FIXED);
            continue;
        }
        run = match run {
            Some((first, end)) if end == start => Some((first, start + bytes)),
            before => {
                cover_run(before);
                Some((start, start + bytes))
            }
        };
    }
    cover_run(run);
}

fn cover_run(run: Option<(usize, usize)>) {
    if let Some((first, end)) = run {
        cover(first, end - first, libc::MAP_FIXED_NOREPLACE);
    }
}

fn cover(start: usize, bytes: usize, fixed: libc::c_int) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
    let address = std::ptr::without_provenance_mut(start);
    // SAFETY: see the top of this file.
    let got = unsafe { libc::mmap(address, bytes, libc::PROT_NONE, flags, -1, 0) };
    if got != address {
        give_up();
    }
}

/// Aborts the child.
///
/// Another handler of `fork` mapped memory into the hole, or the address space is exhausted. The
/// child must not continue: its copy of the pool points to that memory.
#[cold]
fn give_up() -> ! {
    let text = "hotpool: cannot keep a forked child out of the pool's memory: the child aborts\n";
    // SAFETY: the call reads `text.len()` bytes of the text.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    // SAFETY: it takes no argument, and a signal handler may call it.
    unsafe { libc::abort() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{FromRawFd, IntoRawFd};

    /// Forks a child that runs `act` and exits with its result; returns the exit code.
    fn in_a_child(act: impl FnOnce() -> i32) -> i32 {
        // SAFETY: the child does only what a signal handler may do, and calls `_exit`.
        match unsafe { libc::fork() } {
            // SAFETY: an integer.
            0 => unsafe { libc::_exit(act()) },
            pid => {
                let mut status = 0;
                // SAFETY: a child of this process, and a valid place for its status.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                assert!(libc::WIFEXITED(status), "it ended by {}", libc::WTERMSIG(status));
                libc::WEXITSTATUS(status)
            }
        }
    }

    fn is_open(descriptor: RawFd) -> bool {
        // SAFETY: integers.
        unsafe { libc::fcntl(descriptor, libc::F_GETFD) != -1 }
    }

    #[test]
    fn a_child_has_no_copy_of_an_own_file_and_leaves_alone_what_has_its_number() {
        let own = OwnFile::open(|| File::open("/dev/null")).unwrap();
        let number = own.file().unwrap().as_raw_fd();
        let code = in_a_child(|| {
            let closed = !is_open(number) && own.file().is_none();
            // SAFETY: integers.
            let again = unsafe { libc::dup2(2, number) } == number;
            // SAFETY: the child has its own copy, and drops it once.
            drop(unsafe { std::ptr::read(&raw const own) });
            i32::from(closed) | i32::from(again && is_open(number)) << 1
        });
        assert_eq!(code, 3);
        assert!(is_open(number) && own.file().is_some());
    }

    #[test]
    fn a_file_that_is_dropped_is_forgotten() {
        let own = OwnFile::open(|| File::open("/dev/null")).unwrap();
        let number = own.file().unwrap().as_raw_fd();
        drop(own);
        // SAFETY: integers; no other test gets a number this high.
        let other = unsafe { libc::fcntl(2, libc::F_DUPFD, 900) };
        assert!(other >= 900);
        let section = Section::enter().unwrap();
        assert!(!section.with(|table| table.descriptors.contains(&number)));
        drop(section);
        assert_eq!(in_a_child(|| i32::from(is_open(other))), 1);
        // SAFETY: the descriptor was opened here and has no other owner.
        drop(unsafe { File::from_raw_fd(other) });
    }

    #[test]
    fn a_fork_waits_for_a_section() {
        let section = Section::enter().unwrap();
        let forker = std::thread::spawn(|| in_a_child(|| 0));
        let file = File::open("/dev/null").unwrap();
        section.with(|table| table.descriptors.insert(file.as_raw_fd()));
        // If the fork did not wait, the child would have the descriptor.
        for _ in 0..1000 {
            std::thread::yield_now();
            assert!(!forker.is_finished());
        }
        let number = file.into_raw_fd();
        section.with(|table| table.descriptors.remove(&number));
        drop(section);
        assert_eq!(forker.join().unwrap(), 0);
        // SAFETY: the descriptor was opened here and has no other owner.
        drop(unsafe { File::from_raw_fd(number) });
    }

    /// The signal mask is unchanged after a section and after a fork, in both processes.
    #[test]
    fn the_signals_that_were_blocked_are_those_that_are() {
        let blocked = || {
            let mut mask = MaybeUninit::uninit();
            // SAFETY: the call fills the set.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr()) };
            // SAFETY: the set is filled.
            let is_in = |signal| i32::from(unsafe { libc::sigismember(mask.as_ptr(), signal) } == 1);
            is_in(libc::SIGUSR1) | is_in(libc::SIGTERM) << 1
        };
        let mut mine = MaybeUninit::uninit();
        // SAFETY: the call fills the set.
        unsafe { libc::sigemptyset(mine.as_mut_ptr()) };
        // SAFETY: the call adds to the filled set.
        unsafe { libc::sigaddset(mine.as_mut_ptr(), libc::SIGUSR1) };
        // SAFETY: the call reads the set; the mask belongs to this thread, which ends with the
        // test.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mine.as_ptr(), std::ptr::null_mut()) };
        let section = Section::enter().unwrap();
        assert_eq!(blocked(), 3);
        drop(section);
        assert_eq!((blocked(), in_a_child(blocked), blocked()), (1, 1, 1));
    }

    /// Tests both halves of what tells a copy from its original.
    #[test]
    fn a_child_is_not_where_a_value_of_its_parent_was_made() {
        let origin = Origin::here();
        let same_pid = |origin: Origin| Origin { pid: std::process::id(), ..origin };
        assert!(origin.is_here());
        let code = in_a_child(|| i32::from(origin.is_here()) | i32::from(same_pid(origin).is_here()) << 1);
        assert_eq!(code, 0);
    }
}
