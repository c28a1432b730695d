//! Sets in files: what is written is read again, and whatever is cut, damaged, missing or mixed is
//! an error that names the file.

use hotpool::conf::BackendKind;
use hotpool::snapshot::{
    Arrival, CHUNK, Chain, Compression, Contents, Set, SetError, SetInfo, SetType, SetWriter, latest, list,
};
use hotpool::units::{Bytes, Key};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const BASE: u64 = 3 * CHUNK as u64 + 4096;
const BLOCK: u64 = 8 * CHUNK as u64;

fn info(process: &str) -> SetInfo {
    let base = (Key(0x7d30_0000), Bytes(BASE));
    let blocks = [Key(0x7d30_0001), Key(0x7d30_0002)];
    let mut info = SetInfo::new(process, BackendKind::Sysv, base, &blocks, Bytes(BLOCK));
    info.types.push(SetType::new(1, "Hero", 7, "Hero { health: u32 }"));
    info
}

/// Returns the bytes of a chunk: some compress well, some do not, and every fourth is zero.
fn content(segment: u32, number: u32, round: u64) -> Vec<u8> {
    let len = (segment_bytes(segment) - u64::from(number) * u64::from(CHUNK)).min(CHUNK.into());
    let mut random = fastrand::Rng::with_seed(u64::from(segment) << 32 | u64::from(number) | round << 40);
    match number % 4 {
        0 => vec![0; len as usize],
        1 => (0..len).map(|at| (at / 64 + round) as u8).collect(),
        _ => (0..len).map(|_| random.u8(..)).collect(),
    }
}

fn segment_bytes(segment: u32) -> u64 {
    if segment == 0 { BASE } else { BLOCK }
}

fn numbers(segment: u32) -> std::ops::Range<u32> {
    0..segment_bytes(segment).div_ceil(CHUNK.into()) as u32
}

/// Writes a set by three threads, one for each segment, and the chunks of each backwards.
fn write(shelf: &Path, compression: Compression) -> Set {
    let writer = SetWriter::begin(shelf, info("zone"), compression, None).unwrap();
    std::thread::scope(|scope| {
        for segment in 0..3 {
            let writer = &writer;
            scope.spawn(move || {
                for number in numbers(segment).rev() {
                    writer.chunk(segment, number, &content(segment, number, 0)).unwrap();
                }
            });
        }
    });
    writer.finish().unwrap()
}

fn assert_reads(chain: &Chain, expected: impl Fn(u32, u32) -> Vec<u8>) {
    let mut buffer = Vec::new();
    for segment in 0..3 {
        for number in numbers(segment) {
            let len = chain.read(segment, number, &mut buffer).unwrap();
            let expected = expected(segment, number);
            match len {
                Some(len) => assert!(buffer[..len] == expected, "chunk {number} of segment {segment}"),
                None => assert!(expected.iter().all(|byte| *byte == 0), "chunk {number} of {segment}"),
            }
        }
    }
}

const ALL: [Compression; 2] = [Compression::None, Compression::Lz4];

#[test]
fn what_is_written_is_read_again() {
    for compression in ALL {
        let shelf = tempfile::tempdir().unwrap();
        let set = write(shelf.path(), compression);
        let chain = Chain::open(set.path()).unwrap();
        assert_reads(&chain, |segment, number| content(segment, number, 0));
        assert_eq!(chain.info(), &info_at(chain.info().taken_ns));
        let mut bytes = 0;
        chain.verify(|chunk| bytes += chunk).unwrap();
        assert!(bytes < BASE + 2 * BLOCK, "chunks of zeros cost nothing");
        let found = list(shelf.path()).unwrap();
        assert_eq!((found.len(), found[0].id.as_str()), (1, set.id()));
        assert_eq!(latest(shelf.path(), "zone").unwrap().as_deref(), Some(set.path()));
        assert_eq!(latest(shelf.path(), "hall").unwrap(), None);
        assert_eq!(fs::read_dir(shelf.path()).unwrap().count(), 1, "nothing but the set is left");
    }
}

fn info_at(taken_ns: u64) -> SetInfo {
    let mut info = info("zone");
    info.taken_ns = taken_ns;
    info
}

#[test]
fn a_set_of_changes_needs_the_set_that_it_builds_on() {
    let shelf = tempfile::tempdir().unwrap();
    let first = write(shelf.path(), Compression::None);
    let writer = SetWriter::begin(shelf.path(), info("zone"), Compression::Lz4, Some(&first)).unwrap();
    // Chunk 1 becomes zeros, chunk 2 other bytes.
    writer.chunk(1, 1, &vec![0; CHUNK as usize]).unwrap();
    writer.chunk(1, 2, &content(1, 2, 9)).unwrap();
    let second = writer.finish().unwrap();
    assert_eq!(second.parent(), Some(first.id()));
    assert_reads(&Chain::open(second.path()).unwrap(), |segment, number| match (segment, number) {
        (1, 1) => vec![0; CHUNK as usize],
        (1, 2) => content(1, 2, 9),
        _ => content(segment, number, 0),
    });
    fs::remove_dir_all(first.path()).unwrap();
    let error = Chain::open(second.path()).unwrap_err();
    assert!(matches!(error, SetError::NoParent { .. }), "{error}");
}

#[test]
fn a_set_is_whole_or_absent() {
    let shelf = tempfile::tempdir().unwrap();
    let writer = SetWriter::begin(shelf.path(), info("zone"), Compression::None, None).unwrap();
    writer.chunk(0, 1, &content(0, 1, 0)).unwrap();
    assert!(list(shelf.path()).unwrap().is_empty(), "a draft is no set");
    // Another writer does not remove the draft of one that works.
    write(shelf.path(), Compression::None);
    assert_eq!(fs::read_dir(shelf.path()).unwrap().count(), 2);
    drop(writer);
    assert_eq!(fs::read_dir(shelf.path()).unwrap().count(), 1);
    // What a killed writer leaves is removed by the next: its lock is free.
    let left = shelf.path().join(".making-0011");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("lock"), "").unwrap();
    write(shelf.path(), Compression::None);
    assert!(!left.exists());
}

/// Copies the files of a set into a new arrival.
fn arrive(set: &Set, shelf: &Path) -> Arrival {
    let arrival = Arrival::begin(shelf).unwrap();
    for file in fs::read_dir(set.path()).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), arrival.folder().join(file.file_name())).unwrap();
    }
    arrival
}

#[test]
fn an_arriving_set_is_whole_or_absent() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let set = write(from.path(), Compression::Lz4);
    let path = set.path().join("manifest.toml");
    let contents = Contents::read(&fs::read(&path).unwrap(), &path).unwrap();
    assert_eq!(contents.find(to.path()), None);
    assert_eq!(contents.files().collect::<Vec<_>>(), ["base.part", "block-0000.part", "block-0001.part"]);

    drop(arrive(&set, to.path()));
    let arrival = arrive(&set, to.path());
    let part = OpenOptions::new().write(true).open(arrival.folder().join("block-0001.part")).unwrap();
    part.write_all_at(b"damage", 1_000).unwrap();
    assert!(matches!(arrival.finish(), Err(SetError::Part { .. })));
    let arrival = arrive(&set, to.path());
    fs::remove_file(arrival.folder().join("base.part")).unwrap();
    assert!(matches!(arrival.finish(), Err(SetError::Part { .. })));
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0, "a damaged set leaves nothing");

    let there = arrive(&set, to.path()).finish().unwrap();
    assert_eq!(there.path(), to.path().join(contents.name()));
    assert_eq!(contents.find(to.path()).as_deref(), Some(there.path()));
    // A set that arrives twice is there once.
    assert_eq!(arrive(&set, to.path()).finish().unwrap().path(), there.path());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
    assert_eq!(files(there.path()).len(), files(set.path()).len());
}

#[test]
fn chunks_that_do_not_fit_are_refused() {
    let shelf = tempfile::tempdir().unwrap();
    let writer = SetWriter::begin(shelf.path(), info("zone"), Compression::None, None).unwrap();
    for (segment, number, len) in [(3, 0, CHUNK), (0, 4, CHUNK), (0, 3, CHUNK), (1, 0, 4096), (0, 3, 0)] {
        let error = writer.chunk(segment, number, &vec![1; len as usize]).unwrap_err();
        assert!(matches!(error, SetError::Outside { .. }), "{error}");
    }
    writer.chunk(0, 3, &[1; 4096]).unwrap();
    writer.chunk(0, 3, &[2; 4096]).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, SetError::Twice { segment: 0, number: 3 }), "{error}");
    assert!(list(shelf.path()).unwrap().is_empty());
}

fn read_all(path: &Path) -> Result<(), SetError> {
    Chain::open(path)?.verify(|_| ())
}

fn files(set: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(set).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn copy(set: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    files(set).iter().for_each(|file| _ = fs::copy(file, to.join(file.file_name().unwrap())).unwrap());
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    for compression in ALL {
        let shelf = tempfile::tempdir().unwrap();
        let set = write(shelf.path(), compression);
        read_all(set.path()).unwrap();
        let mut random = fastrand::Rng::with_seed(0x5eed);
        for file in files(set.path()) {
            let len = fs::metadata(&file).unwrap().len();
            let handle = OpenOptions::new().read(true).write(true).open(&file).unwrap();
            // The head, the foot and the table lie at the ends.
            let ends = (0..64.min(len)).chain(len.saturating_sub(200)..len);
            let inside = (0..60).map(|_| random.u64(..len));
            for at in ends.chain(inside.collect::<Vec<_>>()) {
                let mut byte = [0];
                handle.read_exact_at(&mut byte, at).unwrap();
                handle.write_all_at(&[byte[0] ^ 1 << random.u8(..8)], at).unwrap();
                let error = read_all(set.path()).unwrap_err().to_string();
                let name = file.file_name().unwrap().to_str().unwrap();
                assert!(error.contains(name), "byte {at} of {name}: {error}");
                handle.write_all_at(&byte, at).unwrap();
            }
        }
        read_all(set.path()).unwrap();
    }
}

#[test]
fn cut_and_missing_and_mixed_parts_are_refused() {
    let shelf = tempfile::tempdir().unwrap();
    let (set, other) = (write(shelf.path(), Compression::None), write(shelf.path(), Compression::None));
    for (number, file) in files(set.path()).iter().enumerate() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let broken = |how: &str, change: &dyn Fn(&Path)| {
            let to = shelf.path().join(format!("broken-{number}-{how}"));
            copy(set.path(), &to);
            change(&to.join(name));
            let error = read_all(&to).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(name) || matches!(error, SetError::NoSet { .. }), "{name} {how}: {said}");
            said
        };
        broken("missing", &|path| fs::remove_file(path).unwrap());
        broken("empty", &|path| fs::write(path, "").unwrap());
        for cut in [1, 31, 32, 100] {
            broken(&format!("cut-{cut}"), &|path| {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(file.metadata().unwrap().len() - cut).unwrap();
            });
        }
        let from = other.path().join(name);
        if name != "manifest.toml" {
            let said = broken("mixed", &|path| _ = fs::copy(&from, path).unwrap());
            assert!(said.contains("belongs to another set"), "{said}");
        }
    }
    // A manifest of another set names none of the parts.
    let to = shelf.path().join("another-manifest");
    copy(set.path(), &to);
    fs::copy(other.path().join("manifest.toml"), to.join("manifest.toml")).unwrap();
    assert!(read_all(&to).unwrap_err().to_string().contains("belongs to another set"));
}

#[test]
fn a_set_of_a_newer_format_is_refused_as_such() {
    let shelf = tempfile::tempdir().unwrap();
    let set = write(shelf.path(), Compression::None);
    let path = set.path().join("manifest.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (body, _) = text.rsplit_once("\n# crc32c ").unwrap();
    let body = body.replace("format = 1", "format = 2\nnew = true");
    let sum = crc32c::crc32c(body.as_bytes());
    fs::write(&path, format!("{body}\n# crc32c {sum:08x}\n")).unwrap();
    let error = Set::open(set.path()).unwrap_err();
    assert!(matches!(error, SetError::Newer { format: 2, known: 1, .. }), "{error}");
    let found = list(shelf.path()).unwrap();
    assert!(matches!(found[0].info, Err(SetError::Newer { .. })));
}
