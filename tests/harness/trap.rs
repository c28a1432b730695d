//! Records what each instruction of an operation stores into a pool of this process.
//!
//! The watched pages are write-protected. A store faults. The handler unprotects its page and sets
//! the trap flag, so that the processor stops again after the instruction. The second handler
//! compares the page with a copy, records the difference and protects the page again. The code
//! under test is the code that ships, at any optimisation level, and runs at full speed between its
//! stores.
//!
//! Only one operation of one thread at a time is possible, because the handlers find their state in
//! a static.

use super::image::{Image, Mapped, Store};
use super::reach;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

const PAGE: usize = 4096;
const TRAP_FLAG: i64 = 0x100;

/// A range of watched bytes, with its address and the position of its copy.
struct Watched {
    start: usize,
    end: usize,
    segment: usize,
    copy_at: usize,
}

struct State {
    watched: Vec<Watched>,
    copies: Vec<Vec<u8>>,
    open: Vec<usize>,
    stores: Vec<Store>,
}

static STATE: AtomicPtr<State> = AtomicPtr::new(ptr::null_mut());

/// Runs a closure and returns what its instructions stored: one entry for each instruction that
/// changed a byte, in order.
pub fn stores<R>(segments: &[Mapped], run: impl FnOnce() -> R) -> (R, Vec<Store>) {
    let mut watched = Vec::new();
    for (number, segment) in segments.iter().enumerate() {
        let mut copy_at = 0;
        for range in segment.watched() {
            let start = segment.base as usize + range.start;
            watched.push(Watched { start, end: start + range.len(), segment: number, copy_at });
            copy_at += range.len();
        }
    }
    let copies = segments.iter().map(Mapped::copy).collect();
    let mut state = State { watched, copies, open: Vec::with_capacity(4), stores: Vec::with_capacity(1024) };
    let before = [install(libc::SIGSEGV, on_fault), install(libc::SIGTRAP, on_step)];
    state.protect(libc::PROT_READ);
    assert!(STATE.swap(&raw mut state, Ordering::SeqCst).is_null(), "one operation at a time");
    // Unwinding must not leave the handlers with a dangling state.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    STATE.store(ptr::null_mut(), Ordering::SeqCst);
    state.protect(libc::PROT_READ | libc::PROT_WRITE);
    for (signal, action) in [libc::SIGSEGV, libc::SIGTRAP].into_iter().zip(before) {
        // SAFETY: the same call returned this action.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
    match result {
        Ok(result) => (result, state.stores),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Returns the bytes that a kill after each store would leave.
pub fn images<'a>(start: &Image, stores: &'a [Store]) -> impl Iterator<Item = Image> + 'a {
    let mut image = start.clone();
    stores.iter().map(move |store| {
        image.apply(store);
        image.clone()
    })
}

impl State {
    fn protect(&self, protection: i32) {
        for part in &self.watched {
            set_protection(part.start, part.end - part.start, protection);
        }
    }

    fn is_watched(&self, address: usize) -> bool {
        self.watched.iter().any(|part| (part.start..part.end).contains(&address))
    }

    /// Records what has changed in a page.
    fn compare(&mut self, page: usize) {
        let Some(part) = self.watched.iter().find(|part| (part.start..part.end).contains(&page)) else {
            return;
        };
        let at = part.copy_at + (page - part.start);
        let copy = &mut self.copies[part.segment][at..at + PAGE];
        // SAFETY: a page of a segment; its only writer is this thread, which is in a handler.
        let now = unsafe { std::slice::from_raw_parts(page as *const u8, PAGE) };
        let Some(first) = now.iter().zip(&*copy).position(|(a, b)| a != b) else { return };
        let last = now.iter().zip(&*copy).rposition(|(a, b)| a != b).unwrap_or(first);
        // Record whole words: an aligned word is never torn, and is easier to read.
        let (first, end) = (first & !7, (last | 7) + 1);
        copy[first..end].copy_from_slice(&now[first..end]);
        self.stores.push(Store {
            segment: part.segment,
            at: at + first,
            bytes: now[first..end].to_vec(),
            begun: reach::begun(),
        });
    }
}

fn set_protection(start: usize, len: usize, protection: i32) {
    // SAFETY: pages of segments that outlive the trap.
    let answer = unsafe { libc::mprotect(start as *mut libc::c_void, len, protection) };
    assert_eq!(answer, 0, "mprotect: {}", std::io::Error::last_os_error());
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

fn install(signal: i32, handler: Handler) -> libc::sigaction {
    // SAFETY: all zero is a valid value of this struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    let mut before = action;
    // SAFETY: both records outlive the call. The handlers interrupt a store of the library, which
    // is never inside the allocator, so they may do what they do.
    unsafe { libc::sigaction(signal, &raw const action, &raw mut before) };
    before
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid record.
    let info = unsafe { &*info };
    // SAFETY: the record describes a fault, which has an address.
    let address = unsafe { info.si_addr() } as usize;
    // SAFETY: null, or the state of the current operation, which runs in this thread.
    let state = unsafe { STATE.load(Ordering::SeqCst).as_mut() };
    match state {
        Some(state) if state.is_watched(address) => {
            let page = address & !(PAGE - 1);
            set_protection(page, PAGE, libc::PROT_READ | libc::PROT_WRITE);
            state.open.push(page);
            // SAFETY: the kernel passes the context of the interrupted thread.
            let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
            context.uc_mcontext.gregs[libc::REG_EFL as usize] |= TRAP_FLAG;
        }
        _ => {
            // SAFETY: with the default action, the fault repeats and ends the process.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

extern "C" fn on_step(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as in `on_fault`.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
    // SAFETY: as in `on_fault`.
    let Some(state) = (unsafe { STATE.load(Ordering::SeqCst).as_mut() }) else { return };
    while let Some(page) = state.open.pop() {
        state.compare(page);
        set_protection(page, PAGE, libc::PROT_READ);
    }
}
