//! The backend `file`: one mapped file for each segment, in `Dir`.

use super::backend::{Access, Backend, SegmentFacts, key_of_name, replaced, segment_name};
use super::memory::populate::populate;
use super::segment::Segment;
use super::unlinked::Unlinked;
use crate::conf::BackendKind;
use crate::region::Region;
use crate::sys::{self, proc, sparse};
use crate::units::{Bytes, Key};
use memmap2::MmapOptions;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Files in a folder.
#[derive(Debug)]
pub(crate) struct FileBackend {
    dir: PathBuf,
    unlinked: Unlinked,
}

impl FileBackend {
    /// Creates the backend for segments in `dir`, which must exist.
    pub(crate) fn new(dir: &Path) -> Self {
        FileBackend { dir: dir.to_path_buf(), unlinked: Unlinked::default() }
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
        let path = self.file_of(key);
        Ok(find_file(&path)?.or_else(|| self.unlinked.facts_of(&path)))
    }

    fn list_once(&self, once: bool) {
        self.unlinked.list_once(once);
    }

    fn find(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        find_file(&self.file_of(key))
    }

    fn create(&self, key: Key, bytes: u64, mode: u32) -> io::Result<Segment> {
        // The file gets its name last, when it has its size and mode. An interrupted creation thus
        // leaves a file without the name of a segment, and never a segment of the wrong size.
        remove_dead_drafts(&self.dir, key);
        // Processes in two PID namespaces may have the same pid.
        let number = sys::random_id()?[0];
        let draft = self.dir.join(format!(".{}.{}.{number:x}", segment_name(key), std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&draft)?;
        let named = file
            .set_len(bytes)
            .and_then(|()| file.set_permissions(Permissions::from_mode(mode & 0o777)))
            // A process without room for the mapping leaves no file.
            .and_then(|()| attach_file(&draft, &facts_of(&file.metadata()?), Access::Write))
            .and_then(|_| fs::hard_link(&draft, self.file_of(key)));
        match (fs::remove_file(&draft), named) {
            // A start that cannot see this process has removed the draft as that of a dead process,
            // and is creating the segment.
            (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            (_, Err(error)) => return Err(error),
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Opened again under its name, because `/proc` shows mappings by that name.
        attach_file(&self.file_of(key), &facts_of(&file.metadata()?), Access::Write)
    }

    fn reserve(&self, key: Key, span: &Region, bytes: u64) -> io::Result<()> {
        reserve_in_file(&self.file_of(key), span, bytes)
    }

    fn attach(&self, key: Key, facts: &SegmentFacts, access: Access) -> io::Result<Segment> {
        attach_file(&self.file_of(key), facts, access)
    }

    fn remove(&self, key: Key, facts: &SegmentFacts) -> io::Result<()> {
        remove_file(&self.file_of(key), facts)
    }

    fn sweep(&self, key: Key) {
        remove_dead_drafts(&self.dir, key);
    }

    fn path(&self, key: Key) -> Option<PathBuf> {
        Some(self.file_of(key))
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        keys_in(&self.dir)
    }

    fn file(&self, key: Key, facts: &SegmentFacts) -> Option<File> {
        open_file(&self.file_of(key), facts)
    }

    fn writers(&self, key: Key, facts: &SegmentFacts) -> Vec<i32> {
        writers_of(key, facts)
    }
}

/// Opens the file of `facts` for reading.
pub(super) fn open_file(path: &Path, facts: &SegmentFacts) -> Option<File> {
    let file = File::open(path).ok()?;
    same_file(&file.metadata().ok()?, facts).ok().map(|()| file)
}

/// Removes drafts of `key` whose creator died before the file got its name.
///
/// If the creator is alive but not visible from here, its creation fails because the draft is gone.
/// The draft holds nothing.
fn remove_dead_drafts(dir: &Path, key: Key) {
    let prefix = format!(".{}.", segment_name(key));
    let Ok(entries) = fs::read_dir(dir) else { return };
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let maker = name.strip_prefix(&prefix).and_then(|rest| rest.split('.').next());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_file(dir.join(&name));
        }
    }
}

/// What is at `path`.
pub(super) fn find_file(path: &Path) -> io::Result<Option<SegmentFacts>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(facts_of(&found))),
        Ok(_) => Err(io::Error::other(format!("{} is not a file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn facts_of(found: &fs::Metadata) -> SegmentFacts {
    SegmentFacts {
        bytes: Bytes(found.len()),
        uid: found.uid(),
        gid: found.gid(),
        mode: found.mode() & 0o777,
        id: found.ino(),
        creator_pid: None,
        last_pid: None,
        attached: None,
        removed: false,
        changed: found.ctime() as u64,
        last_attach: None,
        last_detach: None,
    }
}

/// Maps the file of `facts`.
pub(super) fn attach_file(path: &Path, facts: &SegmentFacts, access: Access) -> io::Result<Segment> {
    let file = OpenOptions::new().read(true).write(access == Access::Write).open(path)?;
    same_file(&file.metadata()?, facts)?;
    let map = mapped(facts);
    Segment::kept(|| {
        Ok(Segment::mmap(match access {
            Access::Write => map.map_raw(&file)?,
            Access::Read => map.map_raw_read_only(&file)?,
        }))
    })
}

/// Reserves the disk space of the first `bytes` bytes of the file at `path`, mapped as `span`.
pub(super) fn reserve_in_file(path: &Path, span: &Region, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let inode = file.metadata()?.ino();
    if find_file(path)?.is_none_or(|facts| facts.id != inode) {
        return Err(replaced());
    }
    match sparse::reserve(&file, 0, bytes) {
        // The file system has no reservation: a write gives each page its space now.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL)) => {
            populate(span, 0, bytes)
        }
        answer => answer,
    }
}

fn mapped(facts: &SegmentFacts) -> MmapOptions {
    let mut options = MmapOptions::new();
    options.len(facts.bytes.0 as usize);
    options
}

/// Removes the file of `facts`.
pub(super) fn remove_file(path: &Path, facts: &SegmentFacts) -> io::Result<()> {
    same_file(&File::open(path)?.metadata()?, facts)?;
    fs::remove_file(path)
}

fn same_file(found: &fs::Metadata, facts: &SegmentFacts) -> io::Result<()> {
    let same = found.ino() == facts.id && found.len() == facts.bytes.0 && !facts.removed;
    if same { Ok(()) } else { Err(replaced()) }
}

/// Returns the keys of the files in `dir` that have the name of a segment.
pub(super) fn keys_in(dir: &Path) -> io::Result<Vec<Key>> {
    let names = fs::read_dir(dir)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| key_of_name(&name)).collect())
}

/// Returns the pids of the processes that have the file mapped for writing.
pub(super) fn writers_of(key: Key, facts: &SegmentFacts) -> Vec<i32> {
    let name = format!("/{}", segment_name(key));
    proc::writers(|path, inode| inode == facts.id && path.contains(&name))
}
