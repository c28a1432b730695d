//! Hash maps of boxed objects: std's and hashbrown's, each with its own default hasher.

use crate::keyed::Keyed;
use crate::object::Object;
use crate::rng::mix;
use crate::slots::Slots;

macro_rules! boxes {
    ($name:ident, $map:ty, $occupied:path, $vacant:path) => {
        #[doc = concat!("`", stringify!($map), "`; a handle is a key.")]
        pub struct $name<O> {
            objects: $map,
            made: u64,
        }

        impl<O: Object> Slots<O> for $name<O> {
            type Handle = u64;
            type Reader<'a>
                = &'a Self
            where
                O: 'a;

            fn empty(_count: usize) -> anyhow::Result<Self> {
                Ok($name { objects: Default::default(), made: 0 })
            }
            #[inline(always)]
            fn alloc(&mut self, object: O) -> u64 {
                self.made += 1;
                let key = mix(self.made);
                self.objects.insert(key, Box::new(object));
                key
            }
            #[inline(always)]
            fn free(&mut self, handle: u64) -> bool {
                self.objects.remove(&handle).is_some()
            }
            #[inline(always)]
            fn reader(&self) -> &Self {
                self
            }
            #[inline(always)]
            fn read<R>(reader: &Self, handle: u64, f: impl FnOnce(&O) -> R) -> Option<R> {
                reader.objects.get(&handle).map(|object| f(object))
            }
            #[inline(always)]
            fn each(&self, mut f: impl FnMut(&O)) {
                self.objects.values().for_each(|object| f(object));
            }
            #[inline(always)]
            fn write(&mut self, handle: u64, f: impl FnOnce(&mut O)) -> bool {
                self.objects.get_mut(&handle).map(|object| f(object)).is_some()
            }
            #[inline(always)]
            fn bits(handle: u64) -> u64 {
                handle
            }
            #[inline(always)]
            fn handle(bits: u64) -> Option<u64> {
                Some(bits)
            }
        }

        impl<O: Object> Keyed<O> for $name<O> {
            type Handle = u64;
            type Reader<'a>
                = &'a Self
            where
                O: 'a;

            fn empty(_count: usize) -> anyhow::Result<Self> {
                Ok($name { objects: Default::default(), made: 0 })
            }
            #[inline(always)]
            fn reader(&self) -> &Self {
                self
            }
            #[inline(always)]
            fn find<R>(reader: &Self, key: u64, f: impl FnOnce(&O) -> R) -> Option<R> {
                reader.objects.get(&key).map(|object| f(object))
            }
            #[inline(always)]
            fn insert(&mut self, key: u64, object: O) -> u64 {
                self.objects.insert(key, Box::new(object));
                key
            }
            #[inline(always)]
            fn remove(&mut self, key: u64, _handle: u64) -> bool {
                self.objects.remove(&key).is_some()
            }
            #[inline(always)]
            fn force(&mut self, key: u64, make: impl FnOnce() -> O) -> u64 {
                match self.objects.entry(key) {
                    $occupied(entry) => entry.get().value(),
                    $vacant(entry) => entry.insert(Box::new(make())).value(),
                }
            }
            #[inline(always)]
            fn remove_key(&mut self, key: u64) -> bool {
                self.objects.remove(&key).is_some()
            }
            #[inline(always)]
            fn get<R>(&self, handle: u64, f: impl FnOnce(&O) -> R) -> Option<R> {
                self.objects.get(&handle).map(|object| f(object))
            }
            #[inline(always)]
            fn update(&mut self, handle: u64, f: impl FnOnce(&mut O)) -> bool {
                self.objects.get_mut(&handle).map(|object| f(object)).is_some()
            }
        }
    };
}

boxes!(
    StdBoxes,
    std::collections::HashMap<u64, Box<O>>,
    std::collections::hash_map::Entry::Occupied,
    std::collections::hash_map::Entry::Vacant
);
boxes!(
    HashbrownBoxes,
    hashbrown::HashMap<u64, Box<O>>,
    hashbrown::hash_map::Entry::Occupied,
    hashbrown::hash_map::Entry::Vacant
);
