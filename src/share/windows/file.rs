//! The backend `file` on Windows: one mapped file for each segment, in `Dir`.
//!
//! Windows has neither owner, group nor mode of a file: the permissions are those of the folder.

use crate::conf::BackendKind;
use crate::share::backend::{Access, Backend, SegmentFacts, key_of_name, replaced, segment_name};
use crate::share::segment::Segment;
use crate::units::{Bytes, Key};
use memmap2::MmapOptions;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use winapi_util::file::{Information, information};

/// Files in a folder.
#[derive(Debug)]
pub(crate) struct FileBackend {
    dir: PathBuf,
}

impl FileBackend {
    /// Creates the backend for segments in `dir`, which must exist.
    pub(crate) fn new(dir: &Path) -> Self {
        FileBackend { dir: dir.to_path_buf() }
    }

    fn file_of(&self, key: Key) -> PathBuf {
        self.dir.join(segment_name(key))
    }
}

impl Backend for FileBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::File
    }

    fn stat(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        find_file(&self.file_of(key))
    }

    /// A kill before the file has its size leaves an empty file, which counts as a leftover.
    fn create(&self, key: Key, bytes: u64, _mode: u32) -> io::Result<Segment> {
        let path = self.file_of(key);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let made = file.set_len(bytes).and_then(|()| find_file(&path)?.ok_or_else(replaced));
        let made = made.and_then(|facts| attach_file(&path, &facts, Access::Write));
        made.inspect_err(|_| drop(fs::remove_file(&path)))
    }

    fn attach(&self, key: Key, facts: &SegmentFacts, access: Access) -> io::Result<Segment> {
        attach_file(&self.file_of(key), facts, access)
    }

    fn remove(&self, key: Key, facts: &SegmentFacts) -> io::Result<()> {
        remove_file(&self.file_of(key), facts)
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        keys_in(&self.dir)
    }

    /// Returns nothing, because Windows does not report who has a file mapped.
    fn writers(&self, _key: Key, _facts: &SegmentFacts) -> Vec<i32> {
        Vec::new()
    }
}

/// Returns the facts about the file at `path`; `None` if there is none.
pub(super) fn find_file(path: &Path) -> io::Result<Option<SegmentFacts>> {
    match File::open(path) {
        Ok(file) => information(&file).map(|found| Some(facts_of(&found))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn facts_of(found: &Information) -> SegmentFacts {
    /// Seconds from the first day of this clock, in 1601, to 1970.
    const EPOCH: u64 = 11_644_473_600;
    SegmentFacts {
        bytes: Bytes(found.file_size()),
        uid: 0,
        gid: 0,
        mode: 0,
        id: found.file_index(),
        creator_pid: None,
        last_pid: None,
        attached: None,
        removed: false,
        changed: (found.creation_time().unwrap_or(0) / 10_000_000).saturating_sub(EPOCH),
        last_attach: None,
        last_detach: None,
    }
}

fn same_file(file: &File, facts: &SegmentFacts) -> io::Result<()> {
    let found = information(file)?;
    let is_same = found.file_index() == facts.id && found.file_size() == facts.bytes.0;
    if is_same { Ok(()) } else { Err(replaced()) }
}

/// Maps the file of `facts`.
pub(super) fn attach_file(path: &Path, facts: &SegmentFacts, access: Access) -> io::Result<Segment> {
    let file = OpenOptions::new().read(true).write(access == Access::Write).open(path)?;
    same_file(&file, facts)?;
    let mut options = MmapOptions::new();
    options.len(facts.bytes.0 as usize);
    Segment::kept(|| {
        Ok(Segment::mmap(match access {
            Access::Write => options.map_raw(&file)?,
            Access::Read => options.map_raw_read_only(&file)?,
        }))
    })
}

/// Removes the file of `facts`. Windows refuses that while a process has it mapped.
pub(super) fn remove_file(path: &Path, facts: &SegmentFacts) -> io::Result<()> {
    same_file(&File::open(path)?, facts)?;
    fs::remove_file(path)
}

/// Returns the keys of the files in `dir` that have the name of a segment.
pub(super) fn keys_in(dir: &Path) -> io::Result<Vec<Key>> {
    let names = fs::read_dir(dir)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| key_of_name(&name)).collect())
}
