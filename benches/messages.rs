//! Queues between two processes: latency while spinning and while blocking, and throughput.
//!
//! `cargo bench --bench messages`. A child answers each message over a second queue; the one-way latency
//! is half of a round trip, and its median is printed. Without a processor for each of the two
//! processes the figures say little.

use hotpool::conf::{QueueConf, QueueKind};
use hotpool::queue::{Receiver, RecvError, Sender};
use hotpool::units::{Bytes, Key};
use std::time::{Duration, Instant};

const FIRST_KEY: u32 = 0x6c00_0000;

/// A queue with keys of this process's own.
fn queue(number: u32, capacity: u32, bytes: usize) -> QueueConf {
    let key = Key(FIRST_KEY | (std::process::id() & 0xfffff) << 4 | number);
    let mut conf = QueueConf::new("bench", key, QueueKind::Channel, capacity, Bytes(bytes as u64));
    (conf.writers, conf.readers) = (vec!["w".into()], vec!["r".into()]);
    conf
}

/// Runs `work` in another process until `measure` is done; then removes the queues.
fn beside<R>(queues: &[&QueueConf], work: impl FnOnce(), measure: impl FnOnce() -> R) -> R {
    // SAFETY: this process has one thread; the child runs `work` and ends.
    let pid = unsafe { libc::fork() };
    assert!(pid != -1, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        work();
        // SAFETY: ends without what belongs to the parent.
        unsafe { libc::_exit(0) };
    }
    let result = measure();
    // SAFETY: a child of this process.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    // SAFETY: as above, without a place for its status.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    for queue in queues {
        hotpool::sync::remove(queue.key).unwrap();
    }
    result
}

fn next(rx: &mut Receiver<[u8]>, spins: bool) -> Vec<u8> {
    loop {
        match if spins { rx.try_recv() } else { rx.recv() } {
            Ok(message) => return message.value,
            Err(RecvError::Empty) => std::hint::spin_loop(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Median one-way latency.
fn latency(bytes: usize, spins: bool, rounds: usize) -> Duration {
    let (there, back) = (queue(0, 16, bytes), queue(1, 16, bytes));
    let answer = || {
        let mut rx: Receiver<[u8]> = Receiver::open(&there, "r").unwrap();
        let mut tx: Sender<[u8]> = Sender::open(&back, "w").unwrap();
        loop {
            let message = next(&mut rx, spins);
            tx.send(&message).unwrap();
        }
    };
    beside(&[&there, &back], answer, || {
        let mut tx: Sender<[u8]> = Sender::open(&there, "w").unwrap();
        let mut rx: Receiver<[u8]> = Receiver::open(&back, "r").unwrap();
        let message = vec![7; bytes];
        let mut times: Vec<Duration> = (0..rounds)
            .map(|_| {
                let began = Instant::now();
                tx.send(&message).unwrap();
                assert_eq!(next(&mut rx, spins).len(), bytes);
                began.elapsed() / 2
            })
            .collect();
        times.sort();
        times[rounds / 2]
    })
}

/// Messages a second, in the best of several runs.
fn throughput(bytes: usize, capacity: u32, count: u64, in_place: bool) -> f64 {
    let conf = queue(2, capacity, bytes);
    let swallow = || {
        let mut rx: Receiver<[u8]> = Receiver::open(&conf, "r").unwrap();
        loop {
            std::hint::black_box(rx.recv_ref().unwrap().first());
        }
    };
    beside(&[&conf], swallow, || {
        let mut tx: Sender<[u8]> = Sender::open(&conf, "w").unwrap();
        let message = vec![7; bytes];
        let mut run = || {
            let began = Instant::now();
            for _ in 0..count {
                if in_place {
                    let mut loan = tx.loan(bytes).unwrap();
                    loan.bytes().fill(7);
                    loan.commit().unwrap();
                } else {
                    tx.send(&message).unwrap();
                }
            }
            count as f64 / began.elapsed().as_secs_f64()
        };
        (0..5).map(|_| run()).fold(0.0, f64::max)
    })
}

fn main() {
    for bytes in [64, 1024] {
        println!("latency, spinning, {bytes:5} B: {:?}", latency(bytes, true, 20_000));
        println!("latency, blocking, {bytes:5} B: {:?}", latency(bytes, false, 5_000));
    }
    println!("throughput, 1 KiB, 4096 places: {:.2} M/s", throughput(1024, 4096, 1_000_000, false) / 1e6);
    println!("throughput, 64 B, 4096 places:  {:.2} M/s", throughput(64, 4096, 1_000_000, false) / 1e6);
    let frame = 1280 * 720 * 3;
    println!("frames of {frame} B, 2 places:  {:.0} /s", throughput(frame, 2, 1000, true));
}
