//! What each single instruction of an operation stores into a pool of this process.
//!
//! The watched pages are protected against writing. A store faults; the handler opens its page and sets the
//! trap flag, so that the processor stops again behind the instruction; there the page is compared with a
//! copy, the difference noted, and the page closed. The code that runs is the code that ships, at any
//! optimisation level, and runs at full speed between its stores.
//!
//! One operation of one thread at a time: the handlers find their state in a static.

use super::image::{Image, Mapped, Store};
use super::reach;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

const PAGE: usize = 4096;
const TRAP_FLAG: i64 = 0x100;

/// A run of watched bytes: where they are, and where their copy is.
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

/// Runs something and returns what its instructions have stored, one entry for each that changed
/// a byte, in their order.
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
    // Unwinding must not leave the handlers with a dead state.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    STATE.store(ptr::null_mut(), Ordering::SeqCst);
    state.protect(libc::PROT_READ | libc::PROT_WRITE);
    for (signal, action) in [libc::SIGSEGV, libc::SIGTRAP].into_iter().zip(before) {
        // SAFETY: the action is what the same call returned.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
    match result {
        Ok(result) => (result, state.stores),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The bytes that a kill behind each of the stores leaves, the first behind the first.
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

    /// Notes what has changed in a page.
    fn compare(&mut self, page: usize) {
        let Some(part) = self.watched.iter().find(|part| (part.start..part.end).contains(&page)) else {
            return;
        };
        let at = part.copy_at + (page - part.start);
        let copy = &mut self.copies[part.segment][at..at + PAGE];
        // SAFETY: a page of a segment, whose one writer is this thread, which is in a handler.
        let now = unsafe { std::slice::from_raw_parts(page as *const u8, PAGE) };
        let Some(first) = now.iter().zip(&*copy).position(|(a, b)| a != b) else { return };
        let last = now.iter().zip(&*copy).rposition(|(a, b)| a != b).unwrap_or(first);
        // Whole words: an aligned word is not cut, and is easier to read.
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
    // SAFETY: pages of segments that live as long as the trap.
    let answer = unsafe { libc::mprotect(start as *mut libc::c_void, len, protection) };
    assert_eq!(answer, 0, "mprotect: {}", std::io::Error::last_os_error());
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

fn install(signal: i32, handler: Handler) -> libc::sigaction {
    // SAFETY: all zero is a value of it.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    let mut before = action;
    // SAFETY: both records live through the call; the handlers do what may be done where a store of the
    // library was interrupted, which is never inside of the allocator.
    unsafe { libc::sigaction(signal, &raw const action, &raw mut before) };
    before
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a record.
    let info = unsafe { &*info };
    // SAFETY: it is that of a fault, which has an address.
    let address = unsafe { info.si_addr() } as usize;
    // SAFETY: null, or the state of the one operation, whose thread this is.
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
            // SAFETY: the fault happens again behind this and ends the process.
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
