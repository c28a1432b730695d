//! Measures the cost of opening a pool again, by its number of objects: the user time of `open` and
//! `add_type`, the wall time of both in a fresh process, and the wall time of `shmat` alone.
//!
//! Run `cargo bench --bench attach`. The user time must not grow with the number of objects. The
//! kernel counts it in clock ticks, so the bench takes the mean of thousands of attaches, each with
//! its detach.
//! clock tick, so it is the mean of thousands of attaches in a row, each with its detach.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::ProcessConf;
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
/// Number of attaches in a row, so that the clock tick does not matter.
const IN_A_ROW: u32 = 4000;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Object {
    words: [u64; 8],
}

fn conf(base: u32, count: u64) -> ProcessConf {
    let bytes = Bytes((count * 80 + (2 << 20)).next_multiple_of(1 << 20));
    ProcessConf::new("attach", Key(base), bytes, &[Key(base + 1)])
}

/// Returns the user time of this process so far.
fn user() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer leads to a `rusage`.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: all zeroes is a valid `rusage`, and the call may have filled it.
    let time = unsafe { usage.assume_init() }.ru_utime;
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
}

/// Measures an `shmat` of the segment under `key`.
fn shmat(key: u32) -> Duration {
    // SAFETY: integers only.
    let id = unsafe { libc::shmget(key as i32, 0, 0) };
    let start = Instant::now();
    // SAFETY: the kernel chooses the address.
    let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
    let time = start.elapsed();
    // SAFETY: nothing refers to the mapping.
    unsafe { libc::shmdt(at) };
    time
}

/// Runs in the child: attaches and prints the times in nanoseconds.
fn attach(base: u32, count: u64) {
    let mapped = shmat(base + 1);
    let start = Instant::now();
    let mut pool = MemoryPoolMgr::open(&conf(base, count)).unwrap();
    let opened = start.elapsed();
    pool.add_type::<Object>().unwrap();
    let wall = start.elapsed();
    assert_eq!(pool.len::<Object>() as u64, count);
    println!("{} {} {}", opened.as_nanos(), wall.as_nanos(), mapped.as_nanos());
}

/// Returns the user time of an attach, as the mean of many.
fn user_time(conf: &ProcessConf) -> Duration {
    let before = user();
    for _ in 0..IN_A_ROW {
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        pool.add_type::<Object>().unwrap();
    }
    (user() - before) / IN_A_ROW
}

fn median(mut numbers: Vec<u64>) -> Duration {
    numbers.sort_unstable();
    Duration::from_nanos(numbers[numbers.len() / 2])
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, base, count] = arguments.as_slice()
        && word == "--child"
    {
        return attach(base.parse().unwrap(), count.parse().unwrap());
    }
    println!("{:>9} {:>12} {:>12} {:>12} {:>12}", "objects", "user", "open", "+ add_type", "shmat");
    for count in [1_000, 100_000, 10_000_000] {
        let base = 0x7b00_0000 | (std::process::id() & 0xffff) << 8;
        let mut pool = MemoryPoolMgr::open(&conf(base, count)).unwrap();
        pool.add_type::<Object>().unwrap();
        (0..count).for_each(|seed| _ = pool.alloc(Object { words: [seed; 8] }).unwrap());
        pool.close().unwrap();
        let user = user_time(&conf(base, count));
        let mut columns = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let output = command.args(["--child", &base.to_string(), &count.to_string()]).output().unwrap();
            let numbers = String::from_utf8(output.stdout).unwrap();
            for (column, number) in columns.iter_mut().zip(numbers.split_whitespace()) {
                column.push(number.parse().unwrap());
            }
        }
        let [open, all, mapped] = columns.map(median);
        println!("{count:9} {user:12.1?} {open:12.1?} {all:12.1?} {mapped:12.1?}");
        MemoryPoolMgr::open(&conf(base, count)).unwrap().destroy().unwrap();
    }
}
