//! Sets to send.

use hotpool::conf::BackendKind;
use hotpool::snapshot::{CHUNK, Compression, Set, SetInfo, SetWriter};
use hotpool::units::{Bytes, Key};
use std::collections::BTreeMap;
use std::path::Path;

/// Chunks of a block.
pub const BLOCK: u32 = 12;

/// Writes a set with a base of one chunk and a block of twelve. `round` makes the content.
pub fn write(shelf: &Path, process: &str, round: u64, parent: Option<&Set>) -> Set {
    write_of(shelf, process, round, parent, BLOCK)
}

/// Writes a set whose block has `chunks` chunks. With a parent, it has every fourth of them.
pub fn write_of(shelf: &Path, process: &str, round: u64, parent: Option<&Set>, chunks: u32) -> Set {
    let length = |chunks: u32| Bytes(u64::from(chunks) * u64::from(CHUNK));
    let base = (Key(0x7d32_0000), length(1));
    let mut info = SetInfo::new(process, BackendKind::Sysv, base, &[Key(0x7d32_0001)], length(chunks));
    info.taken_ns = (1_000 + round) * 1_000_000_000;
    let writer = SetWriter::begin(shelf, info, Compression::None, parent).unwrap();
    writer.chunk(0, 0, &content(round, 0)).unwrap();
    let step = if parent.is_some() { 4 } else { 1 };
    for number in (0..chunks).step_by(step) {
        writer.chunk(1, number, &content(round, number + 1)).unwrap();
    }
    writer.finish().unwrap()
}

fn content(round: u64, number: u32) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(round << 32 | u64::from(number));
    (0..CHUNK).map(|_| random.u8(..)).collect()
}

/// Returns the bytes of the files of a set.
pub fn files(set: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(set).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}
