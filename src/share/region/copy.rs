//! Copies between shared memory and memory of the process, through atomics.
//!
//! # What the unsafe code here relies on
//!
//! A caller passes the start of a range that lies inside a live mapping (`Region::span`). A range
//! that is written lies inside a mapping for writing. Other processes may write to it meanwhile.
//! Every access to it is a relaxed atomic: of one byte, or of eight bytes at an address that is a
//! multiple of eight. Any bytes are valid values of those atomics.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Splits `len` bytes from `address` into single bytes up to a multiple of eight, words, and single
/// bytes.
fn parts(address: usize, len: usize) -> (usize, usize) {
    let first = (address.wrapping_neg() & 7).min(len);
    (first, (len - first) / 8)
}

fn byte<'a>(start: NonNull<u8>, at: usize) -> &'a AtomicU8 {
    // SAFETY: the callers stay below the length of their range.
    let address = unsafe { start.add(at) };
    // SAFETY: see the top of this file; the reference is used once.
    unsafe { AtomicU8::from_ptr(address.as_ptr()) }
}

fn word<'a>(start: NonNull<u8>, at: usize) -> &'a AtomicU64 {
    // SAFETY: the callers stay eight bytes below the length of their range.
    let address = unsafe { start.add(at) };
    // SAFETY: see the top of this file; `parts` has aligned the address; the reference is used once.
    unsafe { AtomicU64::from_ptr(address.cast::<u64>().as_ptr()) }
}

/// Copies from shared memory, which is readable for `to.len()` bytes from `from`.
pub(super) fn read(from: NonNull<u8>, to: &mut [u8]) {
    let (first, words) = parts(from.as_ptr().addr(), to.len());
    let (head, rest) = to.split_at_mut(first);
    let (middle, tail) = rest.split_at_mut(words * 8);
    for (n, to) in head.iter_mut().enumerate() {
        *to = byte(from, n).load(Ordering::Relaxed);
    }
    for (n, to) in middle.chunks_exact_mut(8).enumerate() {
        to.copy_from_slice(&word(from, first + n * 8).load(Ordering::Relaxed).to_ne_bytes());
    }
    for (n, to) in tail.iter_mut().enumerate() {
        *to = byte(from, first + words * 8 + n).load(Ordering::Relaxed);
    }
}

/// Copies to shared memory, which is writable for `from.len()` bytes from `to`.
pub(super) fn write(to: NonNull<u8>, from: &[u8]) {
    let (first, words) = parts(to.as_ptr().addr(), from.len());
    let (head, rest) = from.split_at(first);
    let (middle, tail) = rest.split_at(words * 8);
    for (n, from) in head.iter().enumerate() {
        byte(to, n).store(*from, Ordering::Relaxed);
    }
    for (n, from) in middle.chunks_exact(8).enumerate() {
        let mut eight = [0; 8];
        eight.copy_from_slice(from);
        word(to, first + n * 8).store(u64::from_ne_bytes(eight), Ordering::Relaxed);
    }
    for (n, from) in tail.iter().enumerate() {
        byte(to, first + words * 8 + n).store(*from, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_and_length_is_copied_exactly() {
        let source: Vec<u8> = (1..=40).collect();
        for (at, len) in (0..16).flat_map(|at| (0..=24).map(move |len| (at, len))) {
            let mut words = [0u64; 6];
            let start = NonNull::from(&mut words).cast::<u8>();
            // SAFETY: below 48 bytes.
            let to = unsafe { start.add(at) };
            write(to, &source[..len]);
            let mut back = vec![0; len];
            read(to, &mut back);
            assert_eq!(back, source[..len]);
            let mut all = [0; 48];
            read(start, &mut all);
            assert!(all[..at].iter().chain(&all[at + len..]).all(|byte| *byte == 0), "{at} {len}");
        }
    }
}
