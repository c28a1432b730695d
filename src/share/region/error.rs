//! Why a region could not be created, opened, grown, removed or accessed.

use crate::share::error::ShareError;
use crate::units::{Bytes, Key, plural};
use std::io;
use std::path::PathBuf;

/// Why a region could not be created, opened, grown, removed or accessed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// A region exists under the key.
    #[error(
        "cannot create a region under {key}: one of {bytes} exists (generation {generation}); open it, or remove it first"
    )]
    Exists {
        /// Key of its current generation.
        key: Key,
        /// Number of its current generation.
        generation: u64,
        /// Size of its data.
        bytes: Bytes,
    },
    /// No whole region exists under the key.
    #[error("there is no region under {key}; create it first")]
    NotFound {
        /// First key of the region.
        key: Key,
    },
    /// Something else is under the key; it was not touched.
    #[error(
        "cannot use {key} for a region: {why}; see `ipcs` or the folder of the segments, or choose another key"
    )]
    Foreign {
        /// The key under which it was found.
        key: Key,
        /// The segment that was found.
        why: String,
    },
    /// Another process is creating, growing or removing the region and did not finish in time.
    #[error(
        "cannot change the region under {key}: process {pid} has been changing it for {waited_ms} ms; see whether it is stopped"
    )]
    Busy {
        /// First key of the region.
        key: Key,
        /// The other process; 0 if it is not visible from here.
        pid: i32,
        /// How long this process has waited, in milliseconds.
        waited_ms: u64,
    },
    /// The region was grown or removed since it was opened.
    #[error("cannot grow the region under {key}: it was grown or removed since it was opened; open it again")]
    Superseded {
        /// First key of the region.
        key: Key,
    },
    /// The region has no second key for its next generation.
    #[error(
        "cannot grow the region under {key}: it was opened with one key; name a second one for the next generation"
    )]
    NoSecondKey {
        /// Its only key.
        key: Key,
    },
    /// Anonymous memory and files have no generations.
    #[error("only a named region can grow; map a file again with a larger size and `extend`")]
    NotNamed,
    /// The size is 0, too large, or smaller than the region.
    #[error("a size of {bytes} bytes is not possible here; it must be from {min} to {max}")]
    Size {
        /// The requested size in bytes.
        bytes: u64,
        /// The smallest possible size.
        min: Bytes,
        /// The largest possible size.
        max: Bytes,
    },
    /// The backend has no mappings for reading only.
    #[error(
        "cannot open the region under {key} for reading only: backend heap has one mapping for all; use sysv, posix or file"
    )]
    OneMapping {
        /// First key of the region.
        key: Key,
    },
    /// An access is outside the region.
    #[error("offset {at} with {} is outside the region of {}", plural(*bytes, "byte"), plural(*len, "byte"))]
    OutOfRange {
        /// Offset of the access.
        at: u64,
        /// Bytes of the access.
        bytes: u64,
        /// Bytes of the region.
        len: u64,
    },
    /// An offset is not a multiple of the required alignment.
    #[error("offset {at} is not a multiple of {align}")]
    Misaligned {
        /// The offset.
        at: u64,
        /// The required alignment.
        align: u64,
    },
    /// The file is not a regular one.
    #[error("cannot map {}: it is not a regular file", path.display())]
    NotAFile {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file is empty, and no size was requested.
    #[error("cannot map {}: it is empty; request a size, with `extend`", path.display())]
    EmptyFile {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file ends before the end of the requested part.
    #[error(
        "cannot map {} at offset {offset} of {}: it has {}; request less, or use `extend`",
        plural(*bytes, "byte"), path.display(), plural(*file_bytes, "byte")
    )]
    ShortFile {
        /// Path of the file.
        path: PathBuf,
        /// Offset of the requested part.
        offset: u64,
        /// Bytes of the requested part.
        bytes: u64,
        /// Bytes of the file.
        file_bytes: u64,
    },
    /// The system refused a call on a file.
    #[error("cannot {call} {}: {source}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// What was attempted.
        call: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The system refused a call on memory without a name or key.
    #[error("cannot {call} {} of memory: {source}", plural(*bytes, "byte"))]
    Memory {
        /// What was attempted.
        call: &'static str,
        /// Bytes of the range.
        bytes: u64,
        /// The error of the system.
        source: io::Error,
    },
    /// The system refused a call on a segment.
    #[error(transparent)]
    Segment(#[from] ShareError),
}
