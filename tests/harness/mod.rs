//! The parts that the crash tests share: pools small enough to copy after every store, the
//! operations to kill, the ways to kill them, and the checks of the state that is left.
//!
//! The tests reach the states that a kill can leave in two ways. [`stepper`] runs a child under
//! ptrace and kills it, so that everything the kernel does at a death is part of the test. [`trap`]
//! runs an operation in this process with its memory protected, and records what each instruction
//! stores. It then builds the bytes that a kill after each instruction would leave, thousands a
//! second.
#![allow(dead_code, unreachable_pub, reason = "each test uses only a part")]

pub mod alone;
#[cfg(target_arch = "x86_64")]
pub mod calls;
#[cfg(target_arch = "x86_64")]
pub mod changing;
pub mod content;
pub mod image;
#[cfg(target_arch = "x86_64")]
pub mod imaging;
pub mod journal;
pub mod judge;
pub mod keys;
#[cfg(target_arch = "x86_64")]
pub mod kinds;
#[cfg(target_arch = "x86_64")]
pub mod migration;
pub mod model;
#[cfg(target_arch = "x86_64")]
pub mod namespaces;
pub mod own_keys;
pub mod reach;
#[cfg(target_arch = "x86_64")]
pub mod run;
pub mod scenario;
#[cfg(target_arch = "x86_64")]
pub mod stepper;
#[cfg(target_arch = "x86_64")]
pub mod trap;
