//! A child with two threads, each of which can be stepped while the other one stands.

use super::Shared;
use crate::harness::stepper::OneProcessor;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// The type of a `ptrace` request in this C library.
#[cfg(target_env = "gnu")]
type Request = libc::c_uint;
#[cfg(not(target_env = "gnu"))]
type Request = libc::c_int;

/// What the threads tell the parent.
struct Board {
    threads: [AtomicI32; 2],
    done: [AtomicU32; 2],
}

fn board() -> &'static Board {
    static BOARD: OnceLock<Shared<Board>> = OnceLock::new();
    BOARD.get_or_init(Shared::new)
}

/// Called by a thread of the child: it is stepped from here on.
#[inline(always)]
pub(crate) fn begin(side: usize) {
    // SAFETY: without arguments.
    board().threads[side].store(unsafe { libc::gettid() }, Ordering::SeqCst);
    // SAFETY: stops for the tracer.
    unsafe { std::arch::asm!("int3") };
}

/// Called by a thread of the child: the operation has returned.
#[inline(always)]
pub(crate) fn end(side: usize) {
    board().done[side].store(1, Ordering::SeqCst);
    // SAFETY: stops for the tracer.
    unsafe { std::arch::asm!("int3") };
}

/// A child whose two threads are stopped.
pub(crate) struct Pair {
    pid: i32,
    _place: OneProcessor,
}

impl Pair {
    /// Forks a child that runs `run`, and returns once two threads have called `begin`.
    pub(crate) fn start(run: impl FnOnce()) -> Pair {
        for side in 0..2 {
            board().threads[side].store(0, Ordering::SeqCst);
            board().done[side].store(0, Ordering::SeqCst);
        }
        let place = OneProcessor::take();
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                // SAFETY: requests to be traced by the parent; no pointer is used.
                unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
                // SAFETY: stops for the tracer.
                unsafe { std::arch::asm!("int3") };
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                // SAFETY: exits without running destructors or handlers of the parent.
                unsafe { libc::_exit(if result.is_ok() { 0 } else { 101 }) }
            }
            pid => {
                let pair = Pair { pid, _place: place };
                assert_eq!(wait(pid), (pid, libc::SIGTRAP), "the child ended at once");
                let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACECLONE;
                assert_eq!(ask(libc::PTRACE_SETOPTIONS, pid, options as usize), 0);
                ask(libc::PTRACE_CONT, pid, 0);
                pair.meet();
                pair
            }
        }
    }

    /// Lets all threads run until two of them have begun.
    fn meet(&self) {
        let mut begun = 0;
        while begun < 2 {
            let (thread, signal) = wait(-1);
            let is_one = |other: &AtomicI32| other.load(Ordering::SeqCst) == thread;
            match signal {
                libc::SIGTRAP if board().threads.iter().any(is_one) => begun += 1,
                // A new thread, or its first stop.
                _ => _ = ask(libc::PTRACE_CONT, thread, 0),
            }
        }
    }

    /// Returns whether the operation of a thread has returned.
    pub(crate) fn is_done(&self, side: usize) -> bool {
        board().done[side].load(Ordering::SeqCst) != 0
    }

    /// Runs one instruction of a thread, unless its operation has returned.
    pub(crate) fn step(&self, side: usize) {
        let thread = board().threads[side].load(Ordering::SeqCst);
        if !self.is_done(side) {
            assert_eq!(ask(libc::PTRACE_SINGLESTEP, thread, 0), 0, "{}", std::io::Error::last_os_error());
            assert_eq!(wait(thread), (thread, libc::SIGTRAP), "the child ended");
        }
    }
}

impl Drop for Pair {
    /// Kills the child, and returns once the kernel has removed it.
    fn drop(&mut self) {
        // SAFETY: the pid is a child of this process that is not reaped yet.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        loop {
            let mut status = 0;
            // SAFETY: a valid pointer for the status.
            let ended = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
            if ended == -1 || ended == self.pid && !libc::WIFSTOPPED(status) {
                return;
            }
        }
    }
}

/// Waits until a thread stops; returns which, and the signal. An event counts as its own signal.
fn wait(thread: i32) -> (i32, i32) {
    let mut status = 0;
    // SAFETY: waits for threads of a child of this process, with a valid pointer for the status.
    let stopped = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
    assert!(stopped > 0 && libc::WIFSTOPPED(status), "the child ended: status {status:#x}");
    (stopped, status >> 8)
}

fn ask(request: Request, thread: i32, data: usize) -> i64 {
    // SAFETY: the requests used here take integers.
    unsafe { libc::ptrace(request, thread, 0, data) }
}
