//! Backend `heap`: memory of the process, found again by key inside it. Nothing survives
//! the process. For tests, and to turn shared memory off.

use super::backend::{Access, Backend, SegmentFacts, replaced};
use super::segment::Segment;
use crate::conf::BackendKind;
use crate::sys::{self, sysv};
use crate::units::{Bytes, Key};
use memmap2::{MmapMut, MmapRaw};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Memory of this process.
#[derive(Debug)]
pub(crate) struct HeapBackend;

#[derive(Debug)]
struct Entry {
    facts: SegmentFacts,
    memory: Arc<MmapRaw>,
}

#[derive(Debug)]
struct Registry {
    live: BTreeMap<u32, Entry>,
    removed: Vec<(u32, SegmentFacts, Weak<MmapRaw>)>,
    next_id: u64,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { live: BTreeMap::new(), removed: Vec::new(), next_id: 1 });

/// The registry is whole between any two of its statements: a panic of a holder voids nothing.
fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
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
        let memory = Arc::new(MmapRaw::from(MmapMut::map_anon(bytes as usize)?));
        let id = registry.next_id;
        registry.next_id += 1;
        let facts = SegmentFacts {
            bytes: Bytes(bytes),
            uid: sysv::effective_uid(),
            gid: 0,
            mode: mode & 0o777,
            id,
            creator_pid: Some(std::process::id() as i32),
            last_pid: Some(std::process::id() as i32),
            attached: None,
            removed: false,
            changed: sys::wall_seconds(),
            last_attach: None,
            last_detach: None,
        };
        registry.live.insert(key.0, Entry { facts, memory: Arc::clone(&memory) });
        Ok(Segment::heap(memory))
    }

    /// [`Access::Read`] is a promise of the caller here: the memory is one mapping.
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
        if let Some(entry) = registry.live.remove(&key.0) {
            registry.removed.push((key.0, entry.facts, Arc::downgrade(&entry.memory)));
        }
        Ok(())
    }

    fn keys(&self) -> io::Result<Vec<Key>> {
        Ok(registry().live.keys().map(|key| Key(*key)).collect())
    }

    fn writers(&self, _key: Key, _facts: &SegmentFacts) -> Vec<i32> {
        Vec::new()
    }
}
