//! What the crash tests share: pools small enough to be copied after every store, the operations to be
//! killed, the ways to kill them, and the judgement of what is left.
//!
//! Two ways lead to the states that a kill can leave. [`stepper`] runs a child under ptrace and kills it for
//! real, so that everything the kernel does at a death is part of the test. [`trap`] runs an operation in
//! this process with its memory protected, and notes what each single instruction stores: then the bytes that a kill
//! behind any of them would leave are made by copying, thousands a second.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

#[cfg(target_arch = "x86_64")]
pub mod calls;
pub mod content;
pub mod image;
pub mod journal;
pub mod judge;
pub mod keys;
pub mod model;
pub mod reach;
#[cfg(target_arch = "x86_64")]
pub mod run;
pub mod scenario;
#[cfg(target_arch = "x86_64")]
pub mod stepper;
#[cfg(target_arch = "x86_64")]
pub mod trap;
