//! Damage to the files of a set and of the set that it builds on.

use super::{Bytes, says};
use hotpool::conf::BackendKind;
use hotpool::snapshot::{CHUNK, Chain, Compression, SetInfo, SetType, SetWriter, latest, list};
use hotpool::units::{self, Key};
use std::fs;
use std::path::{Path, PathBuf};

const BASE: u64 = 4096;
const BLOCK: u64 = 3 * CHUNK as u64;

/// A folder with two sets, the second of which builds on the first. It is removed with this value.
pub struct Shelf {
    folder: tempfile::TempDir,
    /// The files of both sets, as they were written.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The folder of the second set, and what a reader finds in it.
    second: PathBuf,
    content: Vec<Vec<u8>>,
}

/// Fills a chunk with bytes that compress well.
fn fill(round: u8) -> Vec<u8> {
    (0..CHUNK).map(|at| (at >> 10) as u8 ^ round).collect()
}

impl Shelf {
    pub fn make() -> Shelf {
        let folder = tempfile::tempdir().unwrap();
        let mut info = SetInfo::new(
            "zone",
            BackendKind::Sysv,
            (Key(0x7d50_0000), units::Bytes(BASE)),
            &[Key(0x7d50_0001)],
            units::Bytes(BLOCK),
        );
        info.types.push(SetType::new(1, "Hero", 7, "Hero { health: u32 }"));
        let first = SetWriter::begin(folder.path(), info.clone(), Compression::Lz4, None).unwrap();
        first.chunk(0, 0, &[7; BASE as usize]).unwrap();
        first.chunk(1, 0, &fill(1)).unwrap();
        first.chunk(1, 2, &fill(2)).unwrap();
        let first = first.finish().unwrap();
        let second = SetWriter::begin(folder.path(), info, Compression::Lz4, Some(&first)).unwrap();
        second.chunk(0, 0, &[8; BASE as usize]).unwrap();
        second.chunk(1, 1, &fill(3)).unwrap();
        let second = second.finish().unwrap().path().to_path_buf();
        let folders = [first.path(), &second];
        let paths = folders.iter().flat_map(|set| fs::read_dir(set).unwrap());
        let mut paths: Vec<PathBuf> = paths.map(|file| file.unwrap().path()).collect();
        // The names begin with the time and a random identity, which must not decide what is damaged.
        paths.sort_by_key(|path| (path.starts_with(&second), path.file_name().map(ToOwned::to_owned)));
        let files = paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        let content = read(&second).expect("nothing is damaged yet");
        Shelf { folder, files, second, content }
    }
}

/// Reads all chunks of a set; `None` if it is refused.
fn read(set: &Path) -> Option<Vec<Vec<u8>>> {
    let chain = match Chain::open(set) {
        Ok(chain) => chain,
        Err(error) => {
            assert!(says(&error));
            return None;
        }
    };
    let mut content = Vec::new();
    for segment in 0..chain.info().segments() {
        for number in chain.chunks(segment) {
            let mut bytes = Vec::new();
            match chain.read(segment, number, &mut bytes) {
                Ok(len) => bytes.truncate(len.unwrap_or(0)),
                Err(error) => {
                    assert!(says(&error));
                    return None;
                }
            }
            content.push(bytes);
        }
    }
    Some(content)
}

/// Corrects the checksums of a file.
fn seal(bytes: &mut Vec<u8>) {
    const CHECK: &[u8] = b"\n# crc32c ";
    if let Some(at) = bytes.windows(CHECK.len()).rposition(|window| window == CHECK) {
        let sum = crc32c::crc32c(&bytes[..at]);
        bytes.truncate(at + CHECK.len());
        bytes.extend(format!("{sum:08x}\n").bytes());
        return;
    }
    if bytes.len() < 96 {
        return;
    }
    let sum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    let foot = bytes.len() - 32;
    let table = u64::from_le_bytes(bytes[foot..foot + 8].try_into().unwrap()) as usize;
    if table < foot {
        let sum = crc32c::crc32c(&bytes[table..foot]);
        bytes[foot + 16..foot + 20].copy_from_slice(&sum.to_le_bytes());
    }
    let sum = crc32c::crc32c(&bytes[foot..foot + 20]);
    bytes[foot + 20..foot + 24].copy_from_slice(&sum.to_le_bytes());
}

/// Changes the bytes of a file. In a third of the cases the place is in the table or the foot.
fn damage(bytes: &mut Vec<u8>, input: &mut Bytes<'_>) {
    let (how, near) = (input.byte(), input.word(2) as usize);
    let len = bytes.len().max(1);
    let at = if how & 3 == 3 { len - 1 - near % len.min(128) } else { near % len };
    match how >> 2 & 7 {
        0 => bytes.truncate(at),
        1 => bytes.extend(vec![input.byte(); near % 300]),
        2 => {
            let token = [b"0".as_slice(), b"-1", b"9999999999", b"\"\"", b"[]"][input.byte() as usize % 5];
            let end = (at + input.byte() as usize % 8).min(bytes.len());
            bytes.splice(at.min(end)..end, token.iter().copied());
        }
        3 | 4 => {
            let word = input.word(8).to_le_bytes();
            let end = (at + 8).min(bytes.len());
            bytes[at.min(end)..end].copy_from_slice(&word[..end - at.min(end)]);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = byte.wrapping_add(input.byte().max(1));
            }
        }
    }
}

/// The fuzz target `sets`: reads two sets some of whose files are damaged, missing or exchanged.
///
/// If the checksums are not corrected, what is read is what was written.
pub fn sets(shelf: &Shelf, input: &[u8]) {
    let mut input = Bytes(input);
    let how = input.byte();
    let seals = how & 1 == 1;
    let mut touched = Vec::new();
    for _ in 0..=how >> 1 & 3 {
        let (path, bytes) = &shelf.files[input.byte() as usize % shelf.files.len()];
        touched.push((path, bytes));
        match input.byte() {
            0..16 => drop(fs::remove_file(path)),
            16..32 => {
                let (_, other) = &shelf.files[input.byte() as usize % shelf.files.len()];
                fs::write(path, other).unwrap();
            }
            _ => {
                let mut bytes = fs::read(path).unwrap_or_default();
                damage(&mut bytes, &mut input);
                if seals {
                    seal(&mut bytes);
                }
                fs::write(path, bytes).unwrap();
            }
        }
    }
    match list(shelf.folder.path()) {
        Ok(found) => assert!(found.len() <= 2),
        Err(error) => assert!(says(&error)),
    }
    if let Err(error) = latest(shelf.folder.path(), "zone") {
        assert!(says(&error));
    }
    let content = read(&shelf.second);
    if !seals {
        assert!(
            content.is_none_or(|content| content == shelf.content),
            "damage was read as if it were sound"
        );
    }
    for (path, bytes) in touched {
        fs::write(path, bytes).unwrap();
    }
}
