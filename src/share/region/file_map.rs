//! Regions without a key: anonymous memory, and parts of files.

use super::error::RegionError;
use super::manager::{ShareMgr, whole_pages};
use super::view::{Region, RegionView};
use crate::limits::{MAX_BLOCK_BYTES, PAGE};
use crate::share::memory::populate::populate;
use crate::sys::guard::{Guard, guarded, span};
use crate::sys::{self, pages, sparse};
use crate::units::Bytes;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

impl ShareMgr {
    /// Maps `bytes` zeros, rounded up to whole pages, that this process shares with the children it
    /// forks.
    ///
    /// # Errors
    ///
    /// The system has not enough memory.
    pub fn anonymous(bytes: Bytes) -> Result<Region, RegionError> {
        let bytes = whole_pages(bytes, 1)?;
        let refused = |call| move |source| RegionError::Memory { call, bytes, source };
        let zeros = sys::zeros().map_err(refused("open a file of zeros for"))?;
        let map = || MmapOptions::new().len(bytes as usize).map_raw(&zeros);
        let (map, guard) = guarded(map, span).map_err(refused("map"))?;
        let region = Region::new(RegionView::map(map, guard, bytes)?);
        populate(&region.data(), 0, bytes).map_err(refused("populate"))?;
        Ok(region)
    }
}

/// Which part of a file to map. The default is all of it.
///
/// # Examples
///
/// ```
/// use hotpool::share::FileMap;
///
/// # fn main() -> anyhow::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("scores");
/// let scores = FileMap::new().bytes(100 * 8).extend(true).open(&path)?; // creates the file
/// scores.store(8, &7u64)?;
/// scores.flush(0, scores.len())?; // the file has it now
/// assert_eq!(std::fs::read(&path)?[8], 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileMap {
    offset: u64,
    bytes: Option<u64>,
    extend: bool,
}

impl FileMap {
    /// Returns a map from the beginning of the file to its end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the offset at which the map begins, a multiple of 4,096.
    pub fn offset(self, offset: u64) -> Self {
        FileMap { offset, ..self }
    }

    /// Sets the length to `bytes` bytes.
    pub fn bytes(self, bytes: u64) -> Self {
        FileMap { bytes: Some(bytes), ..self }
    }

    /// Sets whether [`open`](Self::open) creates the file, or extends a file that is too short with
    /// zeros.
    pub fn extend(self, extend: bool) -> Self {
        FileMap { extend, ..self }
    }

    /// Maps the file for reading and writing, and reserves its disk space.
    ///
    /// # Errors
    ///
    /// The file is not a regular one or is too short, or the system refused: the disk may be full.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Region, RegionError> {
        let path = path.as_ref();
        let file = self.open_file(path, true)?;
        let bytes = self.judge(path, &file, self.extend)?;
        let refused = |call| {
            let path = path.to_path_buf();
            move |source| RegionError::File { path, call, source }
        };
        let end_of_part = self.offset + bytes;
        // If a file grows beyond the limit, the kernel sends SIGXFSZ, which ends the process.
        if pages::file_limit().is_some_and(|limit| end_of_part > limit) {
            return Err(refused("extend")(io::Error::from_raw_os_error(libc::EFBIG)));
        }
        sparse::reserve(&file, self.offset, bytes).map_err(refused("reserve disk space for"))?;
        let map = || self.options(bytes).map_raw(&file);
        let (map, guard) = guarded(map, span).map_err(refused("map"))?;
        Ok(Region::new(RegionView::map(map, guard, bytes)?))
    }

    /// Maps the file for reading only. It never creates or extends the file.
    ///
    /// # Errors
    ///
    /// The file is not a regular one, does not exist or is too short, or the system refused.
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<RegionView, RegionError> {
        let path = path.as_ref();
        let file = self.open_file(path, false)?;
        let bytes = self.judge(path, &file, false)?;
        let map = || self.options(bytes).map_raw_read_only(&file);
        let refused = |source| RegionError::File { path: path.into(), call: "map", source };
        let (map, guard): (MmapRaw, Guard) = guarded(map, span).map_err(refused)?;
        RegionView::map(map, guard, bytes)
    }

    fn options(&self, bytes: u64) -> MmapOptions {
        let mut options = MmapOptions::new();
        options.offset(self.offset).len(bytes as usize);
        options
    }

    fn open_file(&self, path: &Path, write: bool) -> Result<File, RegionError> {
        let refused = |source| RegionError::File { path: path.into(), call: "open", source };
        // Opening a pipe would wait for its other end.
        match std::fs::metadata(path) {
            Ok(found) if !found.is_file() => return Err(RegionError::NotAFile { path: path.into() }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(write).create(write && self.extend);
        options.open(path).map_err(refused)
    }

    /// Returns the bytes to map, if the file has them or may get them.
    fn judge(&self, path: &Path, file: &File, may_extend: bool) -> Result<u64, RegionError> {
        let path = || path.to_path_buf();
        let refused = |source| RegionError::File { path: path(), call: "measure", source };
        let file_bytes = file.metadata().map_err(refused)?.len();
        let offset = self.offset;
        if !offset.is_multiple_of(PAGE) {
            return Err(RegionError::Misaligned { at: offset, align: PAGE });
        }
        let bytes = match self.bytes {
            Some(bytes) => bytes,
            None if file_bytes == 0 => return Err(RegionError::EmptyFile { path: path() }),
            None => file_bytes.saturating_sub(offset).max(1),
        };
        let end = offset.checked_add(bytes).filter(|end| bytes != 0 && *end <= MAX_BLOCK_BYTES);
        let end = end.ok_or(RegionError::Size { bytes, min: Bytes(1), max: Bytes(MAX_BLOCK_BYTES) })?;
        // Without a requested size the file is not extended.
        if end > file_bytes && !(may_extend && self.bytes.is_some()) {
            return Err(RegionError::ShortFile { path: path(), offset, bytes, file_bytes });
        }
        Ok(bytes)
    }
}
