//! Keys that no other live process of this host uses in its tests.
//!
//! A range of keys is reserved by an abstract socket with its name: one process can bind it, and the
//! name goes with the last process that has the socket. Forked children have it, too. The pid would
//! not do: keys have room for a few of its bits, and two live processes may agree in these.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};

/// The first key of all ranges, the number of ranges, and the keys of one.
const FIRST: u32 = 0x5000_0000;
const RANGES: u32 = 0x1_0000;
const KEYS: u32 = 0x1000;

/// A range of this process.
struct Range {
    /// The next key that was not given away, and the end.
    next: u32,
    end: u32,
    _reserved: UnixDatagram,
}

/// Returns the first of `count` consecutive keys that nothing else uses while this process lives.
///
/// It is a multiple of the next power of two.
pub(crate) fn own_keys(count: u32) -> u32 {
    static RANGES: Mutex<Vec<Range>> = Mutex::new(Vec::new());
    assert!(count <= KEYS, "a range has {KEYS} keys");
    let mut ranges = RANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let first = |range: &Range| range.next.next_multiple_of(count.next_power_of_two());
    if ranges.last().is_none_or(|range| first(range) + count > range.end) {
        ranges.push(Range::reserve());
    }
    let range = ranges.last_mut().expect("it was just pushed");
    let first = first(range);
    range.next = first + count;
    first
}

impl Range {
    fn reserve() -> Range {
        let near = std::process::id();
        for number in (near..near + RANGES).map(|number| number % RANGES) {
            let name = format!("hotpool-test-keys-{number:04x}");
            let address = SocketAddr::from_abstract_name(name).expect("the name is short");
            if let Ok(socket) = UnixDatagram::bind_addr(&address) {
                let next = FIRST + number * KEYS;
                return Range { next, end: next + KEYS, _reserved: socket };
            }
        }
        panic!("other processes have reserved all {RANGES} ranges of keys");
    }
}
