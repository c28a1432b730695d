//! The reasons why a set cannot be written or read.

use crate::units::Bytes;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why a set cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// The system refused a call.
    #[error("cannot {call} {}: {source}", .path.display())]
    System {
        /// What was tried.
        call: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason of the system.
        source: io::Error,
    },
    /// The folder is no set: it has no manifest.
    #[error("{} is no snapshot, or a damaged one: it has no manifest.toml", .path.display())]
    NoSet {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is damaged, or is not one.
    #[error("{}: {why}; take an older set", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A newer hotpool wrote the set.
    #[error("{} has the format {format}, and this build reads {known}: use a newer hotpool", .path.display())]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest format that this build reads.
        known: u32,
    },
    /// A part is missing, damaged, or of another set.
    #[error("{}: {why}; take an older set", .path.display())]
    Part {
        /// The part.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The set that this one builds on is missing.
    #[error("{} builds on the set {parent}, which is not beside it", .path.display())]
    NoParent {
        /// The folder of the set.
        path: PathBuf,
        /// The identity of the missing set.
        parent: String,
    },
    /// A chunk does not fit the segment that it was given for.
    #[error("chunk {number} of segment {segment}, {bytes} long, is outside of the segment")]
    Outside {
        /// Number of the segment.
        segment: u32,
        /// Number of the chunk.
        number: u32,
        /// Its length.
        bytes: Bytes,
    },
    /// A chunk was written twice.
    #[error("chunk {number} of segment {segment} was written twice")]
    Twice {
        /// Number of the segment.
        segment: u32,
        /// Number of the chunk.
        number: u32,
    },
    /// The build cannot decompress a chunk.
    #[error("{} is compressed with {codec}, which this build cannot read: build with the feature `{codec}`", .path.display())]
    Codec {
        /// The part.
        path: PathBuf,
        /// The compression.
        codec: &'static str,
    },
}

/// Returns a function that turns a refusal of the system into an error.
pub(crate) fn system<'a>(call: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> SetError + 'a {
    move |source| SetError::System { call, path: path.to_path_buf(), source }
}

/// Returns the error of a damaged part.
pub(crate) fn part(path: &Path, why: impl Into<String>) -> SetError {
    SetError::Part { path: path.to_path_buf(), why: why.into() }
}
