//! Writing a set: chunks in any order, from any number of threads.

use super::codec::{self, Codec, Compression};
use super::error::{SetError, system};
use super::manifest::{Manifest, PartLine, SetInfo, hex, part_name};
use super::part::{CHUNK, Chunk, Foot, Head};
use super::set::{MANIFEST, Set};
use super::shelf;
use crate::sys::{self, sparse};
use crate::units::Bytes;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Bytes of a part after which the disk is told to write them.
const STRETCH: u64 = 8 << 20;

/// Most parts that are synced at once.
const SYNCS: usize = 8;

/// A set that is being written.
///
/// Until [`finish`](Self::finish) it has another name, so it is whole or absent. Dropped before, it is
/// removed. What a kill leaves is removed by the next writer in the same folder.
#[derive(Debug)]
pub struct SetWriter {
    info: SetInfo,
    id: [u64; 2],
    parent: Option<String>,
    compression: Compression,
    /// Folder of the sets.
    shelf: PathBuf,
    /// Folder in which this set is written; `None` once it was renamed.
    draft: Option<PathBuf>,
    /// Held while the draft is written.
    _lock: File,
    parts: Vec<PartWriter>,
}

#[derive(Debug)]
struct PartWriter {
    path: PathBuf,
    file: File,
    /// Where the next chunk begins.
    end: AtomicU64,
    chunks: Mutex<Vec<Chunk>>,
}

impl SetWriter {
    /// Begins a set in the folder `shelf`, which is created if it is absent.
    ///
    /// With a `parent`, the set has only the chunks that changed since, and needs that set to be
    /// read. Drafts of writers that are gone are removed.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a file or a folder.
    pub fn begin(
        shelf: &Path,
        info: SetInfo,
        compression: Compression,
        parent: Option<&Set>,
    ) -> Result<SetWriter, SetError> {
        Self::begin_on(shelf, info, compression, parent.map(|set| set.id().to_string()))
    }

    /// Begins a set that builds on the one with the identity `parent`.
    pub(super) fn begin_on(
        shelf: &Path,
        info: SetInfo,
        compression: Compression,
        parent: Option<String>,
    ) -> Result<SetWriter, SetError> {
        fs::create_dir_all(shelf).map_err(system("create", shelf))?;
        shelf::sweep(shelf);
        let (id, draft, lock) = draft_in(shelf)?;
        let mut writer = SetWriter {
            id,
            parent,
            compression,
            shelf: shelf.to_path_buf(),
            draft: Some(draft.clone()),
            _lock: lock,
            parts: Vec::new(),
            info,
        };
        for segment in 0..writer.info.segments() {
            let path = draft.join(part_name(segment));
            let file = File::create_new(&path).map_err(system("create", &path))?;
            let head = Head { set: id, segment, chunk: CHUNK };
            file.write_all_at(&head.encode(), 0).map_err(system("write", &path))?;
            let (end, chunks) = (AtomicU64::new(Head::BYTES), Mutex::default());
            writer.parts.push(PartWriter { path, file, end, chunks });
        }
        Ok(writer)
    }

    /// Returns what the set is an image of.
    pub fn info(&self) -> &SetInfo {
        &self.info
    }

    /// Returns the identity of the set.
    pub fn id(&self) -> String {
        hex(self.id)
    }

    /// Writes the chunk `number` of a segment: [`CHUNK`] bytes, or what the segment has left.
    ///
    /// Segment 0 is the base, the others are the blocks. Each chunk is written at most once. In a set
    /// without a parent, chunks that are not written are zero.
    ///
    /// # Errors
    ///
    /// Fails if the chunk is not one of the segment, or if the system refuses to write, for example
    /// because the disk is full.
    pub fn chunk(&self, segment: u32, number: u32, bytes: &[u8]) -> Result<(), SetError> {
        let from = u64::from(number) * u64::from(CHUNK);
        let wanted = self.info.segment_bytes(segment).saturating_sub(from).min(CHUNK.into());
        let part = self.parts.get(segment as usize).filter(|_| bytes.len() as u64 == wanted && wanted != 0);
        let Some(part) = part else {
            return Err(SetError::Outside { segment, number, bytes: Bytes(bytes.len() as u64) });
        };
        let small = codec::shrink(bytes, self.compression);
        let (codec, stored) = small.as_ref().map_or((Codec::Raw, bytes), |(codec, small)| (*codec, small));
        if codec == Codec::Zero && self.parent.is_none() {
            return Ok(());
        }
        let offset = part.end.fetch_add(stored.len() as u64, Ordering::Relaxed);
        part.write(stored, offset)?;
        let (stored, sum) = (stored.len() as u32, crc32c::crc32c(stored));
        let mut chunks = part.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.push(Chunk { number, codec, offset, stored, sum });
        Ok(())
    }

    /// Returns the bytes that were written so far.
    pub fn written(&self) -> Bytes {
        Bytes(self.parts.iter().map(|part| part.end.load(Ordering::Relaxed)).sum())
    }

    /// Completes the set and returns it.
    ///
    /// All files reach the disk before the folder gets its name.
    ///
    /// # Errors
    ///
    /// Fails if a chunk was written twice, or if the system refuses to write, for example because the
    /// disk is full. The set is then absent.
    pub fn finish(mut self) -> Result<Set, SetError> {
        let Some(draft) = self.draft.clone() else { return Set::open(&self.shelf) };
        let mut manifest = Manifest::of(&self.info, self.id, self.parent.as_deref(), CHUNK);
        for (segment, part) in (0..).zip(&mut self.parts) {
            let line = part.end(segment, self.info.segment_bytes(segment))?;
            manifest.parts.push(line);
        }
        self.sync_parts()?;
        let path = draft.join(MANIFEST);
        let text = manifest.encode();
        let text = text.map_err(|error| SetError::Manifest { path: path.clone(), why: error.to_string() })?;
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(system("write", &path))?;
        sync(&draft)?;
        let to = self.shelf.join(self.info.folder(&self.id()));
        fs::rename(&draft, &to).map_err(system("rename", &draft))?;
        self.draft = None;
        // A kill before this leaves the file in the set, where it means nothing.
        let _ = fs::remove_file(to.join(shelf::LOCK));
        sync(&self.shelf)?;
        Set::open(&to)
    }
}

impl SetWriter {
    /// Brings all parts to the disk, several at once, because each waits for it.
    fn sync_parts(&self) -> Result<(), SetError> {
        let next = AtomicUsize::new(0);
        let sync = || -> Result<(), SetError> {
            while let Some(part) = self.parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                part.file.sync_all().map_err(system("sync", &part.path))?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            // Without another thread, this one does the work alone.
            let others: Vec<_> = (1..SYNCS.min(self.parts.len()))
                .map_while(|_| {
                    thread::Builder::new().name("hotpool-sync".into()).spawn_scoped(scope, sync).ok()
                })
                .collect();
            let own = sync();
            let join = |other: thread::ScopedJoinHandle<'_, _>| {
                other.join().unwrap_or_else(|panic| resume_unwind(panic))
            };
            others.into_iter().map(join).fold(own, Result::and)
        })
    }
}

impl Drop for SetWriter {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            shelf::discard(draft);
        }
    }
}

impl PartWriter {
    /// Writes bytes at an offset. From time to time the disk is told to begin, so that it does not wait
    /// for the last chunk.
    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), SetError> {
        self.file.write_all_at(bytes, offset).map_err(system("write", &self.path))?;
        let (stretch, next) = (offset / STRETCH, (offset + bytes.len() as u64) / STRETCH);
        if stretch != next {
            sparse::begin_write_back(&self.file, stretch * STRETCH, (next - stretch) * STRETCH);
        }
        Ok(())
    }

    /// Writes the table and the foot, and returns the line of the manifest. The disk does not have them
    /// yet.
    fn end(&mut self, segment: u32, bytes: u64) -> Result<PartLine, SetError> {
        let mut chunks = std::mem::take(&mut *self.chunks.lock().unwrap_or_else(PoisonError::into_inner));
        chunks.sort_unstable_by_key(|chunk| chunk.number);
        let mut pairs = chunks.iter().zip(chunks.iter().skip(1));
        if let Some((chunk, _)) = pairs.find(|(one, next)| one.number == next.number) {
            return Err(SetError::Twice { segment, number: chunk.number });
        }
        let at = self.end.load(Ordering::Relaxed);
        let (foot, end) = Foot::end(&chunks, at);
        self.file.write_all_at(&end, at).map_err(system("write", &self.path))?;
        sparse::begin_write_back(&self.file, 0, at + end.len() as u64);
        Ok(PartLine { file: part_name(segment), segment, bytes, chunks: foot.count, check: foot.sum })
    }
}

/// Creates a draft and locks it; returns the identity of its set with both.
pub(super) fn draft_in(shelf: &Path) -> Result<([u64; 2], PathBuf, File), SetError> {
    loop {
        let id = sys::random_id().map_err(system("name a set in", shelf))?;
        let draft = shelf.join(format!("{}{}", shelf::DRAFT, hex(id)));
        fs::create_dir(&draft).map_err(system("create", &draft))?;
        if let Some(lock) = shelf::lock(&draft)? {
            return Ok((id, draft, lock));
        }
    }
}

/// Makes the entries of a folder durable.
pub(super) fn sync(folder: &Path) -> Result<(), SetError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(system("sync", folder))
}
