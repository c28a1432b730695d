//! The backend `heap`: memory of the process, found by key inside it, which does not outlive the
//! process.
//!
//! It serves tests, and turns shared memory off.

use super::backend::{Access, Backend, SegmentFacts, replaced};
use super::heap_memory::Memory;
use super::segment::Segment;
use crate::conf::BackendKind;
use crate::region::Region;
use crate::sys::{self, sysv};
use crate::units::{Bytes, Key};
#[cfg(feature = "__internal_fuzzing")]
use crate::{
    limits::PAGE,
    sys::mem::{self, Advice},
};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Memory of this process.
#[derive(Debug)]
pub(crate) struct HeapBackend;

#[derive(Debug)]
struct Entry {
    facts: SegmentFacts,
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct Registry {
    live: BTreeMap<u32, Entry>,
    removed: Vec<(u32, SegmentFacts, Weak<Memory>)>,
    next_id: u64,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { live: BTreeMap::new(), removed: Vec::new(), next_id: 1 });

/// Locks the registry, which is consistent after every statement, so a panic of a holder does no
/// harm.
fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Registers memory under a key.
    fn enter(&mut self, key: Key, mode: u32, memory: &Arc<Memory>) {
        let facts = SegmentFacts {
            bytes: Bytes(memory.bytes),
            uid: sysv::effective_uid(),
            gid: 0,
            mode: mode & 0o777,
            id: self.next_id,
            creator_pid: Some(std::process::id() as i32),
            last_pid: Some(std::process::id() as i32),
            attached: None,
            removed: false,
            changed: sys::wall_seconds(),
            last_attach: None,
            last_detach: None,
        };
        self.next_id += 1;
        self.live.insert(key.0, Entry { facts, memory: Arc::clone(memory) });
    }

    /// Removes the segment under a key; its memory stays until its last detach.
    fn leave(&mut self, key: Key) -> Option<Arc<Memory>> {
        let entry = self.live.remove(&key.0)?;
        if Arc::strong_count(&entry.memory) > 1 {
            self.removed.push((key.0, entry.facts, Arc::downgrade(&entry.memory)));
        }
        Some(entry.memory)
    }
}

#[cfg(feature = "__internal_fuzzing")]
impl Memory {
    /// Creates memory between two inaccessible pages, so that an access beyond either end is a
    /// fault.
    fn fenced(bytes: u64) -> io::Result<Self> {
        let end = bytes.next_multiple_of(PAGE) + PAGE;
        let whole = Arc::new(Memory::new(end + PAGE)?);
        let segment = Segment::heap(Arc::clone(&whole));
        mem::advise(&segment.region(), 0, PAGE, Advice::Fence)?;
        mem::advise(&segment.region(), end, PAGE, Advice::Fence)?;
        drop(segment);
        let map = Arc::try_unwrap(whole).map_err(|_| io::ErrorKind::ResourceBusy)?.map;
        Ok(Memory::part(map, PAGE as usize, bytes))
    }
}

/// Maps memory of the process under no key, which begins as zeros.
#[cfg(feature = "snapshots")]
pub(crate) fn scratch(bytes: u64) -> io::Result<Segment> {
    Ok(Segment::heap(Arc::new(Memory::new(bytes)?)))
}

/// Reuse of memory, and lookups without facts, for the fuzz targets.
#[cfg(feature = "__internal_fuzzing")]
impl HeapBackend {
    /// Returns the segment under `key`.
    pub(super) fn find(key: Key) -> Option<Segment> {
        registry().live.get(&key.0).map(|entry| Segment::heap(Arc::clone(&entry.memory)))
    }

    /// Replaces the segment under `key` by a new one of `bytes` bytes.
    ///
    /// The memory may be that of an older segment of this size, with its old bytes.
    pub(super) fn replace(key: Key, bytes: u64) -> io::Result<Segment> {
        let mut registry = registry();
        Self::spare(registry.leave(key));
        let memory = match Self::spare_of(bytes) {
            Some(memory) => memory,
            None => Arc::new(Memory::fenced(bytes)?),
        };
        registry.enter(key, 0o600, &memory);
        Ok(Segment::heap(memory))
    }

    /// Removes the segment under `key`.
    pub(super) fn discard(key: Key) {
        Self::spare(registry().leave(key));
    }

    fn spares() -> MutexGuard<'static, Vec<Arc<Memory>>> {
        static SPARES: Mutex<Vec<Arc<Memory>>> = Mutex::new(Vec::new());
        SPARES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(memory: Option<Arc<Memory>>) {
        const MOST: usize = 16;
        let mut spares = Self::spares();
        if spares.len() == MOST {
            spares.remove(0);
        }
        spares.extend(memory.filter(|memory| Arc::strong_count(memory) == 1));
    }

    fn spare_of(bytes: u64) -> Option<Arc<Memory>> {
        let mut spares = Self::spares();
        let at = spares.iter().rposition(|memory| memory.bytes == bytes)?;
        Some(spares.remove(at))
    }
}

impl Backend for HeapBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Heap
    }

    fn stat(&self, key: Key) -> io::Result<Option<SegmentFacts>> {
        let mut registry = registry();
        registry.removed.retain(|(_, _, memory)| memory.strong_count() != 0);
        if let Some(entry) = registry.live.get(&key.0) {
            let attached = Arc::strong_count(&entry.memory) as u64 - 1;
            return Ok(Some(SegmentFacts { attached: Some(attached), ..entry.facts.clone() }));
        }
        let removed = registry.removed.iter().rev().find(|(removed, ..)| *removed == key.0);
        Ok(removed.map(|(_, facts, memory)| SegmentFacts {
            attached: Some(memory.strong_count() as u64),
            removed: true,
            ..facts.clone()
        }))
    }

    fn create(&self, key: Key, bytes: u64, mode: u32) -> io::Result<Segment> {
        let mut registry = registry();
        if registry.live.contains_key(&key.0) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let memory = Arc::new(Memory::new(bytes)?);
        registry.enter(key, mode, &memory);
        Ok(Segment::heap(memory))
    }

    /// Does nothing: only memory that other processes share is reserved.
    fn reserve(&self, _key: Key, _span: &Region, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// Attaches the segment; with [`Access::Read`] the caller promises not to write, because all
    /// share one mapping.
    fn attach(&self, key: Key, facts: &SegmentFacts, _access: Access) -> io::Result<Segment> {
        match registry().live.get(&key.0) {
            Some(entry) if entry.facts.id == facts.id => Ok(Segment::heap(Arc::clone(&entry.memory))),
            _ => Err(replaced()),
        }
    }

    fn remove(&self, key: Key, facts: &SegmentFacts) -> io::Result<()> {
        let mut registry = registry();
        match registry.live.get(&key.0) {
            Some(entry) if entry.facts.id == facts.id => {}
            _ => return Err(replaced()),
        }
        registry.leave(key);
        Ok(())
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        Ok(registry().live.keys().map(|key| Key(*key)).collect())
    }

    fn writers(&self, _key: Key, _facts: &SegmentFacts) -> Vec<i32> {
        Vec::new()
    }
}
