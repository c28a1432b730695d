//! On which processor the bench and the servers beside it run.
//!
//! # What the unsafe code here relies on
//!
//! `sched_setaffinity` reads a set on the stack. In a forked child it is the only call that is
//! made, and it neither allocates nor locks.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The processor of the bench; the others are for servers.
#[derive(Clone, Copy, Debug)]
pub struct Pin {
    cpu: usize,
    cpus: usize,
}

impl Pin {
    /// Pins this process to `cpu`, or to the last one there is.
    pub fn new(cpu: Option<usize>) -> io::Result<Pin> {
        let cpus = std::thread::available_parallelism()?.get();
        let pin = Pin { cpu: cpu.unwrap_or(cpus - 1), cpus };
        run_on(|number| number == pin.cpu)?;
        Ok(pin)
    }

    /// The processor of the bench.
    pub fn cpu(self) -> usize {
        self.cpu
    }

    /// Lets a command run on the other processors, if there are any.
    pub fn beside(self, command: &mut Command) -> &mut Command {
        let Pin { cpu, cpus } = self;
        let other = move || run_on(|number| cpus == 1 || number < cpus && number != cpu);
        // SAFETY: one system call, see the top of this file.
        unsafe { command.pre_exec(other) }
    }
}

fn run_on(wanted: impl Fn(usize) -> bool) -> io::Result<()> {
    // SAFETY: a set of no processors is all zeroes.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for number in (0..libc::CPU_SETSIZE as usize).filter(|&number| wanted(number)) {
        // SAFETY: the number is below the size of the set.
        unsafe { libc::CPU_SET(number, &mut set) };
    }
    // SAFETY: the set is as large as said.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
