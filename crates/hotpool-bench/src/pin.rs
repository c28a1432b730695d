//! On which processor the bench and the servers beside it run.
//!
//! # What the unsafe code here relies on
//!
//! `sched_setaffinity` reads a set on the stack. In a forked child it and a `prctl` of integers are the only calls
//! that are made, and they neither allocate nor lock.
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

    /// Lets a command run on the other processors, if there are any. It ends with the bench, however that ends.
    pub fn beside(self, command: &mut Command) -> &mut Command {
        let Pin { cpu, cpus } = self;
        let other = move || {
            // SAFETY: integers alone.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
            run_on(|number| cpus == 1 || number < cpus && number != cpu)
        };
        // SAFETY: two system calls, see the top of this file.
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
