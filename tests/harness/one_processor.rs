//! A tracer and its child on one processor.
//!
//! They take turns. On two processors, each turn would wake one from its idle state, which takes
//! several times as long as an instruction with its two stops.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;

/// Lets this process and its later children run on one processor, until it is dropped.
pub(crate) struct OneProcessor;

impl OneProcessor {
    /// Chooses a processor on which no other tracer runs its children, as long as there is one.
    pub(crate) fn take() -> Self {
        allow(&processors().own);
        OneProcessor
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        allow(&processors().all);
    }
}

/// The processors of this process.
struct Processors {
    all: libc::cpu_set_t,
    /// The one for its children, or all if other tracers have each of them.
    own: libc::cpu_set_t,
    /// Its name belongs to this process and its children while they live.
    _reserved: Option<UnixDatagram>,
}

fn processors() -> &'static Processors {
    static OWN: OnceLock<Processors> = OnceLock::new();
    OWN.get_or_init(|| {
        let mut all = none();
        // SAFETY: the kernel fills the set, whose length it gets.
        unsafe { libc::sched_getaffinity(0, size_of_val(&all), &raw mut all) };
        for number in 0..libc::CPU_SETSIZE as usize {
            // SAFETY: the set has room for the number.
            if unsafe { libc::CPU_ISSET(number, &all) }
                && let Some(reserved) = reserve(number)
            {
                let mut own = none();
                // SAFETY: as above.
                unsafe { libc::CPU_SET(number, &mut own) };
                return Processors { all, own, _reserved: Some(reserved) };
            }
        }
        Processors { all, own: all, _reserved: None }
    })
}

/// Reserves a processor; `None` if another process has it.
fn reserve(number: usize) -> Option<UnixDatagram> {
    let name = SocketAddr::from_abstract_name(format!("hotpool-tracer-{number}")).ok()?;
    UnixDatagram::bind_addr(&name).ok()
}

fn none() -> libc::cpu_set_t {
    // SAFETY: integers, of which zeros are a value.
    unsafe { std::mem::zeroed() }
}

/// A refusal makes a test slower, and nothing else.
fn allow(set: &libc::cpu_set_t) {
    // SAFETY: the kernel reads the set, whose length it gets.
    unsafe { libc::sched_setaffinity(0, size_of_val(set), set) };
}
