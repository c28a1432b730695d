//! Selects the processors for the bench and for the servers beside it.
//!
//! # What the unsafe code here relies on
//!
//! `sched_setaffinity` reads a set on the stack. A forked child calls only it and a `prctl` of
//! integers, which neither allocate nor lock.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The processor of the bench. Servers use the others.
#[derive(Clone, Copy, Debug)]
pub struct Pin {
    cpu: usize,
    cpus: usize,
}

impl Pin {
    /// Pins this process to `cpu`, or to the last processor.
    pub fn new(cpu: Option<usize>) -> io::Result<Pin> {
        let cpus = std::thread::available_parallelism()?.get();
        let pin = Pin { cpu: cpu.unwrap_or(cpus - 1), cpus };
        run_on(|number| number == pin.cpu)?;
        Ok(pin)
    }

    /// Returns the processor of the bench.
    pub fn cpu(self) -> usize {
        self.cpu
    }

    /// Returns whether there is only one processor. Once pinned, the standard library says so of any
    /// machine.
    pub fn is_alone(self) -> bool {
        self.cpus == 1
    }

    /// Moves the calling thread to the other processors, if there are any.
    pub fn leave(self) -> io::Result<()> {
        run_on(|number| self.cpus == 1 || number < self.cpus && number != self.cpu)
    }

    /// Lets the calling thread run on all processors again.
    pub fn end(self) -> io::Result<()> {
        run_on(|number| number < self.cpus)
    }

    /// Makes a command run on the other processors, if there are any. It ends with the bench,
    /// however the bench ends.
    pub fn beside(self, command: &mut Command) -> &mut Command {
        let Pin { cpu, cpus } = self;
        let other = move || {
            // SAFETY: integers only.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
            run_on(|number| cpus == 1 || number < cpus && number != cpu)
        };
        // SAFETY: the closure makes two system calls; see the top of this file.
        unsafe { command.pre_exec(other) }
    }
}

fn run_on(wanted: impl Fn(usize) -> bool) -> io::Result<()> {
    // SAFETY: an empty set is all zeroes.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for number in (0..libc::CPU_SETSIZE as usize).filter(|&number| wanted(number)) {
        // SAFETY: the number is below the size of the set.
        unsafe { libc::CPU_SET(number, &mut set) };
    }
    // SAFETY: the size passed is that of the set.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
