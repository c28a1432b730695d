//! A child process that is stopped after any of its instructions, and killed there.
//!
//! The first run of an operation is single-stepped and its path recorded. Later runs are forked
//! from the same process, so they take the same path at the same addresses. A breakpoint brings
//! them near the target, single steps bring them to it. If a run leaves the path, its address shows
//! it.

pub(crate) use one_processor::OneProcessor;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

#[path = "one_processor.rs"]
mod one_processor;

/// The type of a `ptrace` request in this C library.
#[cfg(target_env = "gnu")]
type Request = libc::c_uint;
#[cfg(not(target_env = "gnu"))]
type Request = libc::c_int;

/// Memory that parent and child share.
struct Board {
    phase: AtomicU32,
}

const RUNNING: u32 = 1;
const DONE: u32 = 2;

fn board() -> &'static Board {
    use std::sync::OnceLock;
    static BOARD: OnceLock<usize> = OnceLock::new();
    let address = *BOARD.get_or_init(|| {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: the kernel chooses a free address.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        assert!(page.addr() != usize::MAX, "mmap: {}", std::io::Error::last_os_error());
        page as usize
    });
    // SAFETY: a zeroed page that is never unmapped.
    unsafe { &*(address as *const Board) }
}

/// Called by the child: it is stepped from here on.
#[inline(always)]
pub fn begin() {
    board().phase.store(RUNNING, Ordering::SeqCst);
    // SAFETY: stops for the tracer.
    unsafe { std::arch::asm!("int3") };
}

/// Called by the child: the operation has returned.
#[inline(always)]
pub fn end() {
    board().phase.store(DONE, Ordering::SeqCst);
    // SAFETY: stops for the tracer.
    unsafe { std::arch::asm!("int3") };
}

/// A traced child that is stopped.
pub struct Child {
    pid: i32,
    _place: OneProcessor,
}

impl Child {
    /// Forks a child that runs `run`, and returns once it has called `begin`.
    pub fn start(run: impl FnOnce()) -> Child {
        board().phase.store(0, Ordering::SeqCst);
        let place = OneProcessor::take();
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                // SAFETY: requests to be traced by the parent; no pointer is used.
                unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                // SAFETY: exits without running destructors or handlers of the parent.
                unsafe { libc::_exit(if result.is_ok() { 0 } else { 101 }) }
            }
            pid => {
                let child = Child { pid, _place: place };
                child.wait();
                assert_eq!(
                    board().phase.load(Ordering::SeqCst),
                    RUNNING,
                    "the child stopped before it began"
                );
                child.options();
                child
            }
        }
    }

    fn options(&self) {
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESECCOMP;
        self.ask(libc::PTRACE_SETOPTIONS, 0, options as usize);
    }

    /// Returns whether the operation has returned.
    pub fn is_done(&self) -> bool {
        board().phase.load(Ordering::SeqCst) == DONE
    }

    fn wait(&self) {
        let mut status = 0;
        loop {
            // SAFETY: waits for a child of this process, with a valid pointer for its status.
            let answer = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
            if answer == self.pid {
                break;
            }
        }
        assert!(
            libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP,
            "the child ended or was signalled: status {status:#x}"
        );
    }

    fn ask(&self, request: Request, address: usize, data: usize) -> i64 {
        // SAFETY: the requests used here take integers, or a record that outlives the call.
        unsafe { libc::ptrace(request, self.pid, address, data) }
    }

    /// Runs one instruction.
    pub fn step(&self) {
        assert_eq!(self.ask(libc::PTRACE_SINGLESTEP, 0, 0), 0, "{}", std::io::Error::last_os_error());
        self.wait();
    }

    /// Returns the address of the next instruction.
    pub fn rip(&self) -> usize {
        let at = std::mem::offset_of!(libc::user_regs_struct, rip);
        self.ask(libc::PTRACE_PEEKUSER, at, 0) as usize
    }

    fn set_rip(&self, rip: usize) {
        let at = std::mem::offset_of!(libc::user_regs_struct, rip);
        self.ask(libc::PTRACE_POKEUSER, at, rip);
    }

    /// Runs to a position of a path. Returns false if the child took another path.
    pub fn run_to(&self, path: &Path, place: usize) -> bool {
        let (near, hits) = path.near(place);
        if near != 0 {
            let address = path.rips[near];
            let text = self.ask(libc::PTRACE_PEEKTEXT, address, 0);
            let trap = text & !0xff | 0xcc;
            for hit in 0..=hits {
                self.ask(libc::PTRACE_POKETEXT, address, trap as usize);
                self.ask(libc::PTRACE_CONT, 0, 0);
                self.wait();
                self.ask(libc::PTRACE_POKETEXT, address, text as usize);
                if self.is_done() || self.rip() != address + 1 {
                    return false;
                }
                self.set_rip(address);
                if hit != hits {
                    self.step();
                    // A repeated string instruction keeps its address.
                    while self.rip() == address {
                        self.step();
                    }
                }
            }
        }
        for _ in near..place {
            self.step();
        }
        !self.is_done() && self.rip() == path.rips[place]
    }

    /// Runs to the end of the next system call, and returns what it may have done. Returns `None`
    /// if the operation ended first.
    pub fn to_call(&self) -> Option<Call> {
        for _ in 0..2 {
            assert_eq!(self.ask(libc::PTRACE_SYSCALL, 0, 0), 0, "{}", std::io::Error::last_os_error());
            self.wait();
            if self.is_done() {
                return None;
            }
        }
        Some(self.last_call())
    }

    /// Returns what the system call that has just ended may have done.
    fn last_call(&self) -> Call {
        let register = |at| self.ask(libc::PTRACE_PEEKUSER, at, 0);
        let number = register(std::mem::offset_of!(libc::user_regs_struct, orig_rax));
        let second = register(std::mem::offset_of!(libc::user_regs_struct, rsi));
        let third = register(std::mem::offset_of!(libc::user_regs_struct, rdx));
        let remove = i64::from(libc::IPC_RMID);
        let removes = match number {
            libc::SYS_shmctl => second == remove,
            libc::SYS_semctl => third == remove,
            _ => [libc::SYS_unlink, libc::SYS_unlinkat].contains(&number),
        };
        Call { removes }
    }

    /// Runs to the end of the next system call that may change something, in a child that called
    /// `stop_at_changes`. Returns `None` if the operation ended first.
    pub fn to_change(&self) -> Option<Call> {
        for request in [libc::PTRACE_CONT, libc::PTRACE_SYSCALL] {
            assert_eq!(self.ask(request, 0, 0), 0, "{}", std::io::Error::last_os_error());
            self.wait();
            if self.is_done() {
                return None;
            }
        }
        Some(self.last_call())
    }

    /// Runs to the end of the call that creates the first segment. The code before it reads all of
    /// `/proc`, which is too long for single steps, and stores to no segment.
    pub fn to_creation(&self) {
        let register = |at| self.ask(libc::PTRACE_PEEKUSER, at, 0);
        loop {
            assert!(self.to_call().is_some(), "the operation created no segment");
            let call = register(std::mem::offset_of!(libc::user_regs_struct, orig_rax));
            let flags = register(std::mem::offset_of!(libc::user_regs_struct, rdx));
            if call == libc::SYS_shmget && flags & i64::from(libc::IPC_CREAT) != 0 {
                return;
            }
        }
    }

    /// Kills the child with SIGKILL, and returns once the kernel has removed it.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: the pid is a child of this process that is not reaped yet.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let mut status = 0;
        loop {
            // SAFETY: as in `wait`.
            let answer = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
            if answer == -1 || libc::WIFSIGNALED(status) || libc::WIFEXITED(status) {
                break;
            }
        }
    }
}

/// What a system call may have done.
#[derive(Clone, Copy)]
pub struct Call {
    /// It removes a segment, semaphores or a file.
    pub removes: bool,
}

/// The addresses of an operation's instructions, and which of them changed something.
pub struct Path {
    rips: Vec<usize>,
    /// For each instruction, how often its address was reached before.
    hits: Vec<u32>,
    /// The positions after an instruction that stored to a segment or entered the kernel.
    pub changes: Vec<usize>,
    /// The kernel's code, into which no breakpoint can be written.
    vdso: Range<usize>,
}

impl Path {
    /// Steps a child to the end of its operation. Calls `changed` after each instruction, and
    /// before each one that enters the kernel.
    pub fn walk(child: &Child, mut changed: impl FnMut(Moment) -> bool) -> Path {
        let mut path = Path { rips: vec![child.rip()], hits: vec![0], changes: Vec::new(), vdso: vdso() };
        let mut seen: HashMap<usize, u32> = HashMap::new();
        seen.insert(path.rips[0], 1);
        loop {
            let rip = path.rips[path.rips.len() - 1];
            let enters = is_syscall(rip);
            if enters {
                changed(Moment::BeforeKernel);
            }
            child.step();
            if child.is_done() {
                return path;
            }
            let next = child.rip();
            let count = seen.entry(next).or_insert(0);
            path.hits.push(*count);
            if next != rip {
                *count += 1;
            }
            path.rips.push(next);
            if changed(Moment::Behind) || enters {
                path.changes.push(path.rips.len() - 1);
            }
        }
    }

    /// Returns the number of instructions.
    pub fn len(&self) -> usize {
        self.rips.len()
    }

    /// Whether the instruction at a place had been run at most so many times before.
    pub fn is_new(&self, place: usize, most: u32) -> bool {
        self.hits.get(place).is_none_or(|hits| *hits <= most)
    }

    /// Returns an earlier position that a breakpoint reaches cheaply, and how often its address is
    /// reached before.
    fn near(&self, place: usize) -> (usize, u32) {
        let from = place.saturating_sub(2000);
        let cost = |at: usize| self.hits[at] as usize * 8 + (place - at);
        let fit =
            |at: usize| at != 0 && !self.vdso.contains(&self.rips[at]) && self.rips[at] != self.rips[at - 1];
        let best = (from..=place).rev().filter(|at| fit(*at)).min_by_key(|at| cost(*at));
        match best {
            Some(at) if cost(at) + 4 < place => (at, self.hits[at]),
            _ => (0, 0),
        }
    }
}

/// When `Path::walk` calls back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The next instruction enters the kernel.
    BeforeKernel,
    /// An instruction has been run.
    Behind,
}

/// Returns whether the child has a `syscall` at an address. The child has the same text as this
/// process.
fn is_syscall(rip: usize) -> bool {
    // SAFETY: the child was forked from this process and runs the same text.
    let bytes = unsafe { std::ptr::read_unaligned(rip as *const [u8; 2]) };
    bytes == [0x0f, 0x05]
}

fn vdso() -> Range<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap_or("0-0 ");
    let (start, end) = line.split_once(' ').and_then(|(range, _)| range.split_once('-')).unwrap();
    usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap()
}
