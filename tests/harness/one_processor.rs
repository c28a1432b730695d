//! A tracer and its child on one processor.
//!
//! They take turns. On two processors, each turn would wake one from its idle state, which takes
//! several times as long as an instruction with its two stops.

use std::sync::OnceLock;

/// Lets this process and its later children run on one processor, until it is dropped.
pub(crate) struct OneProcessor;

impl OneProcessor {
    pub(crate) fn here() -> Self {
        at_first();
        // SAFETY: takes nothing.
        let here = unsafe { libc::sched_getcpu() };
        let mut set = none();
        // SAFETY: the number of a processor, which the set has room for.
        unsafe { libc::CPU_SET(here as usize, &mut set) };
        allow(&set);
        OneProcessor
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        allow(at_first());
    }
}

fn none() -> libc::cpu_set_t {
    // SAFETY: integers, of which zeros are a value.
    unsafe { std::mem::zeroed() }
}

/// Returns the processors that this process had at first.
fn at_first() -> &'static libc::cpu_set_t {
    static ALL: OnceLock<libc::cpu_set_t> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = none();
        // SAFETY: the kernel fills the set, whose length it gets.
        unsafe { libc::sched_getaffinity(0, size_of_val(&all), &raw mut all) };
        all
    })
}

/// A refusal makes a test slower, and nothing else.
fn allow(set: &libc::cpu_set_t) {
    // SAFETY: the kernel reads the set, whose length it gets.
    unsafe { libc::sched_setaffinity(0, size_of_val(set), set) };
}
