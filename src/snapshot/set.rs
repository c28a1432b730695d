//! Reading one set.

use super::codec::{self, Codec, Unreadable};
use super::contents::Contents;
use super::error::{SetError, part, system};
use super::manifest::{PartLine, SetInfo};
use super::part::{self as bytes, Chunk, Foot, Head};
use crate::units::Bytes;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// File name of the manifest.
pub(super) const MANIFEST: &str = "manifest.toml";

/// Largest manifest: 1 MiB of schemas, and a line for each block and part.
const MANIFEST_BYTES: u64 = 4 << 20;

/// A set whose manifest and tables were checked. Its chunks are checked when they are read.
#[derive(Debug)]
pub struct Set {
    path: PathBuf,
    contents: Contents,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
    bytes: u64,
    stored: u64,
    chunks: Vec<Chunk>,
}

impl Set {
    /// Opens the set in the folder `path`, and checks all but its chunks.
    ///
    /// # Errors
    ///
    /// Fails if a file is missing, was cut, is damaged or belongs to another set, if a newer hotpool
    /// wrote it, or if the system refuses.
    pub fn open(path: &Path) -> Result<Set, SetError> {
        let contents = Self::contents(path)?;
        let parts = contents.manifest.parts.iter().map(|line| Part::open(path, &contents, line));
        let parts = parts.collect::<Result<_, _>>()?;
        Ok(Set { path: path.to_path_buf(), parts, contents })
    }

    /// Reads the manifest of the set in the folder `path`.
    pub(super) fn contents(path: &Path) -> Result<Contents, SetError> {
        let file = path.join(MANIFEST);
        let meta = fs::metadata(&file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                SetError::NoSet { path: path.to_path_buf() }
            }
            _ => system("read", &file)(error),
        })?;
        if !meta.is_file() || meta.len() > MANIFEST_BYTES {
            return Err(SetError::Manifest { path: file, why: "it is no file, or too long".into() });
        }
        let text = fs::read(&file).map_err(system("read", &file))?;
        Contents::read(&text, &file)
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what the set is an image of.
    pub fn info(&self) -> &SetInfo {
        self.contents.info()
    }

    /// Returns the identity of the set.
    pub fn id(&self) -> &str {
        self.contents.id()
    }

    /// Returns the identity of the set that this one builds on.
    pub fn parent(&self) -> Option<&str> {
        self.contents.parent()
    }

    /// Returns the bytes of its files, without the manifest.
    pub fn stored(&self) -> Bytes {
        Bytes(self.parts.iter().map(|part| part.stored).sum())
    }

    /// Returns the bytes of a chunk in this set.
    pub fn chunk_bytes(&self) -> u32 {
        self.contents.manifest.chunk
    }

    /// Returns the numbers of the chunks of a segment that this set has, in order.
    pub fn chunks(&self, segment: u32) -> impl Iterator<Item = u32> + '_ {
        self.parts.get(segment as usize).into_iter().flat_map(|part| &part.chunks).map(|chunk| chunk.number)
    }

    /// Reads a chunk into the beginning of `to`, which is as long as a chunk; returns its length, or
    /// `None` if the set does not have it.
    ///
    /// # Errors
    ///
    /// Fails if the chunk is damaged, or if the system refuses.
    pub fn read(&self, segment: u32, number: u32, to: &mut Vec<u8>) -> Result<Option<usize>, SetError> {
        let Some(part) = self.parts.get(segment as usize) else { return Ok(None) };
        let Ok(at) = part.chunks.binary_search_by_key(&number, |chunk| chunk.number) else { return Ok(None) };
        let Some(chunk) = part.chunks.get(at) else { return Ok(None) };
        let chunk_bytes = u64::from(self.chunk_bytes());
        let len = part.bytes.saturating_sub(u64::from(number) * chunk_bytes).min(chunk_bytes) as usize;
        to.resize(len, 0);
        part.read(chunk, to)?;
        Ok(Some(len))
    }

    /// Reads every chunk of this set once, and checks it. `told` is called with the bytes of each.
    ///
    /// # Errors
    ///
    /// Fails with the first damaged chunk.
    pub fn verify(&self, mut told: impl FnMut(u64)) -> Result<(), SetError> {
        let mut buffer = Vec::new();
        for segment in 0..self.info().segments() {
            for number in self.chunks(segment) {
                let len = self.read(segment, number, &mut buffer)?;
                told(len.unwrap_or(0) as u64);
            }
        }
        Ok(())
    }
}

impl Part {
    fn open(folder: &Path, contents: &Contents, line: &PartLine) -> Result<Part, SetError> {
        let (path, manifest) = (folder.join(&line.file), &contents.manifest);
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => part(&path, "this part is missing"),
            _ => system("open", &path)(error),
        })?;
        let stored = file.metadata().map_err(system("read", &path))?.len();
        if stored < Head::BYTES + Foot::BYTES {
            return Err(part(&path, "it was cut"));
        }
        let read = |offset, len: u64| {
            let mut buffer = vec![0; len as usize];
            file.read_exact_at(&mut buffer, offset).map(|()| buffer).map_err(system("read", &path))
        };
        let damaged = |why: String| part(&path, why);
        let head = Head::decode(&read(0, Head::BYTES)?).map_err(damaged)?;
        if Some(head.set) != manifest.id() {
            return Err(part(&path, "it belongs to another set"));
        }
        if head.segment != line.segment || head.chunk != manifest.chunk {
            return Err(part(&path, "it is the part of another segment"));
        }
        let bytes = contents.info.segment_bytes(line.segment);
        if line.bytes != bytes {
            return Err(part(&path, "the manifest gives it another length than its segment"));
        }
        let foot = Foot::decode(&read(stored - Foot::BYTES, Foot::BYTES)?, stored).map_err(damaged)?;
        if (foot.count, foot.sum) != (line.chunks, line.check) {
            return Err(part(&path, "it is not the part that the manifest names"));
        }
        let table = read(foot.table, foot.count * Chunk::BYTES)?;
        let chunks = bytes::table(&table, &foot, bytes, manifest.chunk).map_err(damaged)?;
        Ok(Part { path, file, bytes, stored, chunks })
    }

    /// Reads a chunk whose length is that of `to`.
    fn read(&self, chunk: &Chunk, to: &mut [u8]) -> Result<(), SetError> {
        let damaged = || part(&self.path, format!("the checksum of its chunk {} is wrong", chunk.number));
        let refused = |error| system("read", &self.path)(error);
        if chunk.codec == Codec::Raw && chunk.stored as usize == to.len() {
            self.file.read_exact_at(to, chunk.offset).map_err(refused)?;
            return if crc32c::crc32c(to) == chunk.sum { Ok(()) } else { Err(damaged()) };
        }
        let mut stored = vec![0; chunk.stored as usize];
        self.file.read_exact_at(&mut stored, chunk.offset).map_err(refused)?;
        if crc32c::crc32c(&stored) != chunk.sum {
            return Err(damaged());
        }
        codec::grow(chunk.codec, &stored, to).map_err(|error| match error {
            Unreadable::Damaged => part(&self.path, format!("its chunk {} has another length", chunk.number)),
            Unreadable::Unknown(codec) => SetError::Codec { path: self.path.clone(), codec },
        })
    }
}
