//! slotmap, alone and with a hashbrown map for keys.

use crate::keyed::Keyed;
use crate::object::Object;
use crate::slots::Slots;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use slotmap::{DefaultKey, Key, KeyData, SlotMap};

impl<O: Object> Slots<O> for SlotMap<DefaultKey, O> {
    type Handle = DefaultKey;
    type Reader<'a> = &'a Self;

    fn empty(_count: usize) -> anyhow::Result<Self> {
        Ok(SlotMap::new())
    }
    #[inline(always)]
    fn alloc(&mut self, object: O) -> DefaultKey {
        self.insert(object)
    }
    #[inline(always)]
    fn free(&mut self, handle: DefaultKey) -> bool {
        self.remove(handle).is_some()
    }
    #[inline(always)]
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn read<R>(reader: &Self, handle: DefaultKey, f: impl FnOnce(&O) -> R) -> Option<R> {
        reader.get(handle).map(f)
    }
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(&O)) {
        self.iter().for_each(|(_, object)| f(object));
    }
    #[inline(always)]
    fn write(&mut self, handle: DefaultKey, f: impl FnOnce(&mut O)) -> bool {
        self.get_mut(handle).map(f).is_some()
    }
    #[inline(always)]
    fn bits(handle: DefaultKey) -> u64 {
        handle.data().as_ffi()
    }
    #[inline(always)]
    fn handle(bits: u64) -> Option<DefaultKey> {
        Some(KeyData::from_ffi(bits).into())
    }
}

/// A slotmap and a hash map from user key to handle.
pub struct SlotMapAndIndex<O> {
    objects: SlotMap<DefaultKey, O>,
    index: HashMap<u64, DefaultKey>,
}

impl<O: Object> Keyed<O> for SlotMapAndIndex<O> {
    type Handle = DefaultKey;
    type Reader<'a> = &'a Self;

    fn empty(_count: usize) -> anyhow::Result<Self> {
        Ok(SlotMapAndIndex { objects: SlotMap::new(), index: HashMap::new() })
    }
    #[inline(always)]
    fn reader(&self) -> &Self {
        self
    }
    #[inline(always)]
    fn find<R>(reader: &Self, key: u64, f: impl FnOnce(&O) -> R) -> Option<R> {
        reader.objects.get(*reader.index.get(&key)?).map(f)
    }
    #[inline(always)]
    fn insert(&mut self, key: u64, object: O) -> DefaultKey {
        let handle = self.objects.insert(object);
        self.index.insert(key, handle);
        handle
    }
    #[inline(always)]
    fn remove(&mut self, key: u64, handle: DefaultKey) -> bool {
        self.index.remove(&key);
        self.objects.remove(handle).is_some()
    }
    #[inline(always)]
    fn force(&mut self, key: u64, make: impl FnOnce() -> O) -> u64 {
        match self.index.entry(key) {
            Entry::Occupied(entry) => self.objects.get(*entry.get()).map_or(0, O::value),
            Entry::Vacant(entry) => {
                let object = make();
                let value = object.value();
                entry.insert(self.objects.insert(object));
                value
            }
        }
    }
    #[inline(always)]
    fn remove_key(&mut self, key: u64) -> bool {
        self.index.remove(&key).is_some_and(|handle| self.objects.remove(handle).is_some())
    }
    #[inline(always)]
    fn get<R>(&self, handle: DefaultKey, f: impl FnOnce(&O) -> R) -> Option<R> {
        self.objects.get(handle).map(f)
    }
    #[inline(always)]
    fn update(&mut self, handle: DefaultKey, f: impl FnOnce(&mut O)) -> bool {
        self.objects.get_mut(handle).map(f).is_some()
    }
}
