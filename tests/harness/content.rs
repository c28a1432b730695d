//! The objects of a pool as a plain value that can be compared.

use bytemuck::{Pod, Zeroable};
use hotpool::{Handle, Id, MemoryPoolMgr, PoolError, PoolObject};
use std::collections::BTreeMap;

/// A type without keys. The slots of all these types take 120 bytes, so that an extent of four
/// pages has 128 slots.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 1)]
pub struct Plain {
    pub words: [u64; 14],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 2, keyed)]
pub struct Keyed {
    pub words: [u64; 13],
}

/// A keyed type whose slots have one life: every free retires a slot.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 3, keyed)]
pub struct Worn {
    pub words: [u64; 13],
}

/// A type that a killed operation adds.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
#[pool(id = 4)]
pub struct Late {
    pub words: [u64; 14],
}

/// Returns words that differ from each other and from those of any other number.
pub fn words<const N: usize>(number: u64) -> [u64; N] {
    std::array::from_fn(|at| number << 8 | at as u64)
}

/// An object: its words, and its user key if its type is keyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    pub key: Option<u64>,
    pub words: Vec<u64>,
}

/// All objects, by the bits of their handles.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    pub objects: BTreeMap<u64, Object>,
    /// The words of the quarantined objects, by the bits of their handles.
    pub quarantined: BTreeMap<u64, Vec<u64>>,
    pub last_committed: u64,
}

/// Adds the types that every pool of these tests has before an operation is killed.
pub fn add_types(pool: &mut MemoryPoolMgr) -> Result<(), PoolError> {
    pool.add_type::<Plain>()?;
    pool.add_type::<Keyed>()?;
    pool.set_last_generation(1);
    pool.add_type::<Worn>()?;
    pool.set_last_generation(hotpool::limits::MAX_GENERATION);
    Ok(())
}

impl Content {
    /// Reads all objects in every possible way. Returns an error if one way fails.
    pub fn read(pool: &MemoryPoolMgr) -> Result<Content, String> {
        let mut content = Content { last_committed: pool.last_committed(), ..Content::default() };
        content.read_type::<Plain>(pool, |_, _| None)?;
        content.read_type::<Keyed>(pool, key_of)?;
        content.read_type::<Worn>(pool, key_of)?;
        content.read_type::<Late>(pool, |_, _| None)?;
        content.read_quarantine(pool)?;
        for (id, object) in &content.objects {
            let Some(key) = object.key else { continue };
            let found = match Handle::from_bits(*id).map(|handle| handle.type_id()) {
                Some(Worn::TYPE_ID) => pool.find::<Worn>(key).map(Id::to_bits),
                _ => pool.find::<Keyed>(key).map(Id::to_bits),
            };
            if found != Some(*id) {
                return Err(format!("key {key} leads to {found:x?}, its object is {id:x}"));
            }
        }
        Ok(content)
    }

    /// Reads every listed object. That the quarantine holds nothing else is checked by `verify`.
    fn read_quarantine(&mut self, pool: &MemoryPoolMgr) -> Result<(), String> {
        for object in pool.quarantined() {
            let words = match object.type_id() {
                Plain::TYPE_ID => parked::<Plain>(pool, object),
                Keyed::TYPE_ID => parked::<Keyed>(pool, object),
                Worn::TYPE_ID => parked::<Worn>(pool, object),
                _ => parked::<Late>(pool, object),
            };
            let words = words.ok_or_else(|| format!("{object} is listed but is not in quarantine"))?;
            if self.quarantined.insert(object.to_bits(), words).is_some() {
                return Err(format!("{object} is listed twice"));
            }
        }
        Ok(())
    }

    fn read_type<T: PoolObject + bytemuck::Pod>(
        &mut self,
        pool: &MemoryPoolMgr,
        key: fn(&MemoryPoolMgr, Handle) -> Option<u64>,
    ) -> Result<(), String> {
        let before = self.objects.len();
        for (id, object) in pool.iter::<T>() {
            if pool.get(id).map(std::ptr::from_ref) != Some(std::ptr::from_ref(object)) {
                return Err(format!("the walk found {id}, but its handle does not resolve to it"));
            }
            let words = words_of(object);
            self.objects.insert(id.to_bits(), Object { key: key(pool, id.handle()), words });
        }
        match self.objects.len() - before == pool.len::<T>() {
            true => Ok(()),
            false => Err(format!("{} counts {} objects", T::NAME, pool.len::<T>())),
        }
    }

    /// Checks that this is a state that an operation from `before` to `after` may leave. If
    /// `written` is true, objects that `named` accepts may be half written.
    pub fn between(
        &self,
        before: &Content,
        after: &Content,
        written: bool,
        named: &dyn Fn(u64) -> bool,
    ) -> Result<(), String> {
        if self == before || self == after {
            return Ok(());
        }
        let same = self.objects.keys().eq(before.objects.keys()) && self.quarantined == before.quarantined;
        if !written || !same {
            return Err(format!(
                "the state is neither that before nor that after: {}",
                self.difference(before)
            ));
        }
        for (id, object) in &self.objects {
            let (old, new) = (&before.objects[id], after.objects.get(id));
            let Some(new) = new.filter(|new| **new != *object && *old != *object) else { continue };
            let words = object.words.iter().zip(old.words.iter().zip(&new.words));
            if object.key != old.key || words.into_iter().any(|(now, (old, new))| now != old && now != new) {
                return Err(format!("object {id:x} holds a word that was never written: {object:x?}"));
            }
            if !named(*id) {
                return Err(format!("object {id:x} is half written but not named"));
            }
        }
        Ok(())
    }

    /// Returns the objects that differ from `before`.
    pub fn written_since<'a>(&'a self, before: &'a Content) -> impl Iterator<Item = u64> + 'a {
        let changed = self.objects.iter().filter(|(id, object)| before.objects.get(id) != Some(object));
        changed.map(|(id, _)| *id)
    }

    pub fn difference(&self, other: &Content) -> String {
        let lost: Vec<_> = other.objects.iter().filter(|(id, o)| self.objects.get(id) != Some(o)).collect();
        let new: Vec<_> = self.objects.iter().filter(|(id, o)| other.objects.get(id) != Some(o)).collect();
        let parked = (&self.quarantined, &other.quarantined);
        format!("compared with the state before: lost {lost:x?}, new {new:x?}; quarantine {parked:x?}")
    }
}

fn words_of<T: PoolObject + bytemuck::Pod>(object: &T) -> Vec<u64> {
    let words = bytemuck::bytes_of(object).chunks_exact(8);
    words.map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn parked<T: PoolObject + bytemuck::Pod>(pool: &MemoryPoolMgr, object: Handle) -> Option<Vec<u64>> {
    pool.quarantined_object::<T>(object.typed()?).map(|object| words_of(&object))
}

fn key_of(pool: &MemoryPoolMgr, handle: Handle) -> Option<u64> {
    match handle.type_id() {
        Worn::TYPE_ID => pool.view::<Worn>().key(handle.typed()?),
        _ => pool.view::<Keyed>().key(handle.typed()?),
    }
}

/// Returns whether a handle resolves.
pub fn resolves(pool: &MemoryPoolMgr, bits: u64) -> bool {
    let Some(handle) = Handle::from_bits(bits) else { return false };
    match handle.type_id() {
        Plain::TYPE_ID => handle.typed().and_then(|id| pool.get::<Plain>(id)).is_some(),
        Keyed::TYPE_ID => handle.typed().and_then(|id| pool.get::<Keyed>(id)).is_some(),
        Worn::TYPE_ID => handle.typed().and_then(|id| pool.get::<Worn>(id)).is_some(),
        Late::TYPE_ID => handle.typed().and_then(|id| pool.get::<Late>(id)).is_some(),
        _ => false,
    }
}
