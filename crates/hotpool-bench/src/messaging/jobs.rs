//! What the two processes do in a round.

use super::link::Link;
use super::op::Op;
use crate::stats::Spread;
use anyhow::ensure;
use std::hint::black_box;
use std::time::Instant;

/// Messages of a batch: half of what a queue has room for.
const BATCH: usize = 32;

/// Does the part of the bench. Returns the median time of a message one way, in nanoseconds, if it
/// is known at this end.
pub fn lead(link: &mut impl Link, op: Op, size: usize) -> anyhow::Result<Option<f64>> {
    let mut message = vec![7; size];
    if op.is_latency() {
        let mut times = Vec::with_capacity(op.spans());
        for number in 0..op.spans() as u64 {
            let began = Instant::now();
            mark(&mut message, number);
            link.send(&message)?;
            take(link, number)?;
            times.push(began.elapsed().as_nanos() as f64 / 2.0);
        }
        return Ok(Some(Spread::of(times).median));
    }
    if op == Op::Batches {
        let mut batch = vec![message; BATCH];
        for first in (0..messages(op)).step_by(BATCH) {
            for (number, message) in (first..).zip(&mut batch) {
                mark(message, number);
            }
            link.send_all(&batch)?;
        }
    } else {
        for number in 0..messages(op) {
            mark(&mut message, number);
            link.send(&message)?;
        }
    }
    // The other end has read all of them.
    take(link, 0)?;
    Ok(None)
}

/// Does the part of the other process.
pub fn follow(link: &mut impl Link, op: Op, size: usize) -> anyhow::Result<Option<f64>> {
    let mut message = vec![7; size];
    if op.is_latency() {
        for number in 0..op.spans() as u64 {
            take(link, number)?;
            mark(&mut message, number);
            link.send(&message)?;
        }
        return Ok(None);
    }
    let mut times = Vec::with_capacity(op.spans());
    let mut began = Instant::now();
    for number in 0..messages(op) {
        take(link, number)?;
        if (number + 1) % op.span() as u64 == 0 {
            times.push(began.elapsed().as_nanos() as f64 / op.span() as f64);
            began = Instant::now();
        }
    }
    mark(&mut message, 0);
    link.send(&message)?;
    Ok(Some(Spread::of(times).median))
}

fn messages(op: Op) -> u64 {
    (op.spans() * op.span()) as u64
}

fn mark(message: &mut [u8], number: u64) {
    message[..8].copy_from_slice(&number.to_le_bytes());
}

/// Receives a message and reads all of it.
fn take(link: &mut impl Link, number: u64) -> anyhow::Result<()> {
    let mut found = 0;
    link.receive(|bytes| {
        let (words, _) = bytes.as_chunks::<8>();
        found = words.first().map_or(0, |word| u64::from_le_bytes(*word));
        black_box(words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word))));
    })?;
    ensure!(found == number, "message {found} came in place of {number}");
    Ok(())
}
