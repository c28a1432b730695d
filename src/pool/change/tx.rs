//! All-or-nothing changes: of one object, or of many objects of several types with allocs and
//! frees.

use crate::conf::ProcessConf;
use crate::layout::UndoKind;
use crate::limits;
use crate::object::{Handle, Id, PoolObject};
use crate::pool::change::undo::{LogFull, States, Undo, undo_size_for};
use crate::pool::error::AllocError;
use crate::pool::forensics::black_box::Event;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::store::type_state::TypeState;
use crate::pool::store::type_table::TypeTable;
use crate::pool::store::typed::TypedMut;
use crate::units::Bytes;

/// Reasons why a step of a transaction was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TxError {
    /// The object with this handle was freed.
    #[error("object {0} was freed")]
    Stale(Handle),
    /// The transaction needs more room for old bytes than its log has.
    ///
    /// It is rolled back, whatever its closure returns.
    #[error(
        "the transaction does not fit into the undo log of {capacity} bytes; make it smaller{}",
        larger_log(*.undo_size, *.needs)
    )]
    TooLarge {
        /// Bytes of the log.
        capacity: usize,
        /// `UndoSize` of the configuration, which may differ from that of the pool.
        undo_size: usize,
        /// Bytes of its records, including the one that did not fit: the least that the log would
        /// need so far.
        needs: u64,
    },
    /// No object has this user key.
    #[error("no `{type_name}` has the user key {key}")]
    NoSuchKey {
        /// Name of the type.
        type_name: &'static str,
        /// The user key.
        key: u64,
    },
    /// The directory of queues has no room for another reader.
    #[error(
        "cannot receive in the transaction: the pool keeps the positions of {} readers, and has no room for another",
        limits::POSITIONS
    )]
    TooManyReaders,
    /// An object could not be allocated.
    #[error(transparent)]
    Alloc(#[from] AllocError),
}

/// Returns what would provide a larger undo log: a pool keeps the log with which it was created.
fn larger_log(undo_size: usize, needs: u64) -> String {
    let configured = Bytes(undo_size as u64);
    match undo_size_for(needs) {
        None => format!(", no UndoSize is that large (the largest is {})", Bytes(limits::MAX_UNDO_BYTES)),
        Some(enough) if enough <= configured => {
            format!(
                ", or create the pool anew: UndoSize = {configured} is sufficient, but this pool keeps the log with which it was created"
            )
        }
        Some(enough) => format!(", or create the pool anew with an UndoSize of at least {enough}"),
    }
}

impl States for TypeTable {
    fn state(&mut self, id: u16) -> Option<&mut TypeState> {
        self.get_mut(id)
    }
}

impl MemoryPoolMgr {
    /// Changes an object all or nothing: under a kill, and if `f` panics.
    ///
    /// It costs a copy of the object and three stores more than plain [`get_mut`](Self::get_mut).
    /// If killed before its end, the object is as it was.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::Stale`] if the object was freed, [`TxError::TooLarge`] if it does not fit
    /// into the undo log, and [`AllocError::NotAdded`] if the type was not added.
    #[inline]
    pub fn update<T: PoolObject, R>(&mut self, id: Id<T>, f: impl FnOnce(&mut T) -> R) -> Result<R, TxError> {
        self.try_update(id, |object| Ok(f(object)))
    }

    /// Changes an object all or nothing with a closure that can fail: an error undoes everything.
    ///
    /// # Errors
    ///
    /// Returns the error of `f`, and fails as [`update`](Self::update) does.
    #[inline]
    pub fn try_update<T: PoolObject, R, E: From<TxError>>(
        &mut self,
        id: Id<T>,
        f: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let tx = Tx::begin(self);
        let result = tx.pool.first_mut::<T, false>(id).map_err(E::from).and_then(f);
        tx.end(result)
    }

    /// Changes the object with this user key all or nothing, as [`update`](Self::update) does.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::NoSuchKey`] if there is none, and fails as [`update`](Self::update) does.
    pub fn update_by_key<T: PoolObject, R>(
        &mut self,
        key: u64,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, TxError> {
        match self.find::<T>(key) {
            Some(id) => self.update(id, f),
            None => Err(no_such_key::<T>(self, key)),
        }
    }

    /// Changes many objects all or nothing: under a kill, if `f` returns an error, and if it
    /// panics.
    ///
    /// A handle from a transaction that was rolled back never resolves.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Purse { gold: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_0120), Bytes(1 << 20), &[Key(0x4850_0121)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Purse>()?;
    /// # let (from, to) = (pool.alloc(Purse { gold: 5 })?, pool.alloc(Purse { gold: 0 })?);
    /// pool.tx(|tx| {
    ///     tx.get_mut(from)?.gold -= 3;
    ///     tx.get_mut(to)?.gold += 3;
    ///     tx.commit_with(42)
    /// })?;
    /// assert_eq!(pool.last_committed(), 42);
    /// # assert_eq!((pool.get(from).unwrap().gold, pool.get(to).unwrap().gold), (2, 3));
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error of `f`, and [`TxError::TooLarge`] even if `f` ignores it.
    #[inline]
    pub fn tx<R, E: From<TxError>>(&mut self, f: impl FnOnce(&mut Tx<'_>) -> Result<R, E>) -> Result<R, E> {
        self.freed.clear();
        self.kept.clear();
        let mut tx = Tx::begin(self);
        let result = f(&mut tx);
        tx.end(result)
    }

    /// Returns the tag of the last transaction that was committed with a tag; 0 before the first.
    ///
    /// After a restart it tells which message was the last to take effect.
    pub fn last_committed(&self) -> u64 {
        self.base.header.last_tag.load()
    }
}

/// Operations of a transaction that take the pool and not the `Tx`, which therefore need not be in
/// memory.
impl MemoryPoolMgr {
    /// Returns an object that the transaction has neither freed nor kept; `AGAIN` if it may be
    /// requested again.
    #[inline(always)]
    fn first_mut<T: PoolObject, const AGAIN: bool>(&mut self, id: Id<T>) -> Result<&mut T, TxError> {
        let Some(typed) = self.types.of_mut::<T>().and_then(|state| state.slots.typed_mut::<T>()) else {
            return Err(not_added::<T>());
        };
        match typed.into_kept(id, &mut self.undo) {
            Some(Ok(object)) => {
                if AGAIN {
                    self.kept.insert(id.handle());
                }
                Ok(object)
            }
            Some(Err(LogFull)) => Err(overflow(&mut self.undo, &self.conf, size_of::<T>())),
            None => Err(TxError::Stale(id.handle())),
        }
    }

    /// Returns an object that the transaction has freed or kept already.
    #[inline(never)]
    fn kept_mut<T: PoolObject>(&mut self, id: Id<T>) -> Result<&mut T, TxError> {
        if self.freed.contains(id.handle()) {
            return Err(self.not_there(id));
        }
        match self.types.of_mut::<T>().and_then(|state| state.slots.typed_mut::<T>()) {
            Some(typed) => typed.into_mut(id).ok_or(TxError::Stale(id.handle())),
            None => Err(not_added::<T>()),
        }
    }

    /// Returns why the object with a handle does not exist.
    #[cold]
    fn not_there<T: PoolObject>(&self, id: Id<T>) -> TxError {
        match self.types.of::<T>() {
            Some(_) => TxError::Stale(id.handle()),
            None => not_added::<T>(),
        }
    }

    /// Notes a tag for the post-mortem: which messages took effect before a death.
    ///
    /// It follows the commit, so the black box never has a tag too many; `last_committed` never has
    /// one too few.
    #[inline(never)]
    fn note_tag(&self, old: u64) {
        self.black_box().event(Event::Commit, self.last_committed(), old);
    }

    #[cold]
    #[inline(never)]
    fn finish_tx(&mut self) {
        let finished = self.undo.finish(&mut self.types);
        if let Err(what) = finished {
            log::error!("{}: cannot finish a transaction: {what}", self.base_key());
        }
    }

    #[cold]
    #[inline(never)]
    fn roll_back_tx(&mut self) {
        self.undo.overflow = 0;
        let undone = self.undo.rollback(&mut self.types, &self.base.header.last_tag);
        if let Err(what) = undone {
            log::error!("{}: cannot roll back a transaction: {what}", self.base_key());
        }
    }
}

/// Records that a record with `payload` bytes did not fit.
///
/// The transaction is then rolled back, whatever its closure returns.
#[cold]
#[inline(never)]
fn overflow(undo: &mut Undo, conf: &ProcessConf, payload: usize) -> TxError {
    undo.overflow = undo.with_another(payload);
    too_large(undo, conf)
}

#[cold]
#[inline(never)]
fn too_large(undo: &Undo, conf: &ProcessConf) -> TxError {
    TxError::TooLarge {
        capacity: undo.capacity(),
        undo_size: conf.undo_size.0 as usize,
        needs: undo.overflow,
    }
}

#[cold]
#[inline(never)]
fn not_added<T: PoolObject>() -> TxError {
    AllocError::NotAdded(T::NAME).into()
}

/// Returns why no object has the user key.
#[cold]
fn no_such_key<T: PoolObject>(pool: &MemoryPoolMgr, key: u64) -> TxError {
    match pool.try_view::<T>() {
        Some(_) => TxError::NoSuchKey { type_name: T::NAME, key },
        None => not_added::<T>(),
    }
}

/// A transaction: its changes are committed together, or not at all.
///
/// Reads see its own changes: an object that it has freed is gone, although the slot is used again
/// only after the commit.
pub struct Tx<'a> {
    pub(in crate::pool) pool: &'a mut MemoryPoolMgr,
    open: bool,
    /// The tag that `commit_with` has replaced.
    old_tag: Option<u64>,
}

impl<'a> Tx<'a> {
    #[inline(always)]
    fn begin(pool: &'a mut MemoryPoolMgr) -> Self {
        Tx { pool, open: true, old_tag: None }
    }

    /// Commits on `Ok`, and leaves the rollback to the drop on an error.
    #[inline(always)]
    fn end<R, E: From<TxError>>(mut self, result: Result<R, E>) -> Result<R, E> {
        if self.pool.undo.overflow != 0 && result.is_ok() {
            return Err(too_large(&self.pool.undo, &self.pool.conf).into());
        }
        if result.is_ok() {
            self.open = false;
            if self.pool.undo.commit() {
                self.pool.finish_tx();
            }
            if let Some(old) = self.old_tag {
                self.pool.note_tag(old);
            }
        }
        result
    }

    #[cold]
    pub(super) fn full(&mut self, _: LogFull) -> TxError {
        overflow(&mut self.pool.undo, &self.pool.conf, 0)
    }

    #[inline(always)]
    pub(in crate::pool) fn is_freed(&self, handle: Handle) -> bool {
        self.pool.freed.contains(handle)
    }

    /// Returns the object with this handle; `None` if it was freed, also by this transaction.
    #[inline]
    pub fn get<T: PoolObject>(&self, id: Id<T>) -> Option<&T> {
        if self.is_freed(id.handle()) { None } else { self.pool.get(id) }
    }

    /// Returns the object with this handle for writing.
    ///
    /// Its old bytes are kept until the end of the transaction, once for each object.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::Stale`] if it was freed, [`TxError::TooLarge`] if its old bytes do not
    /// fit into the log, and [`AllocError::NotAdded`] if the type was not added.
    #[inline(always)]
    pub fn get_mut<T: PoolObject>(&mut self, id: Id<T>) -> Result<&mut T, TxError> {
        if self.pool.kept.contains(id.handle()) {
            return self.pool.kept_mut(id);
        }
        self.pool.first_mut::<T, true>(id)
    }

    #[inline(always)]
    fn typed_mut<T: PoolObject>(&mut self) -> Option<TypedMut<'_, T>> {
        self.pool.types.of_mut::<T>()?.slots.typed_mut()
    }

    /// Returns several objects for writing.
    ///
    /// # Errors
    ///
    /// Fails as [`get_mut`](Self::get_mut) does; [`TxError::Stale`] also if a handle occurs twice.
    pub fn get_several_mut<T: PoolObject, const N: usize>(
        &mut self,
        ids: [Id<T>; N],
    ) -> Result<[&mut T; N], TxError> {
        for (at, id) in ids.into_iter().enumerate() {
            if ids[..at].contains(&id) {
                return Err(TxError::Stale(id.handle()));
            }
            self.get_mut(id)?;
        }
        let first = ids.first().map(|id| id.handle());
        let objects = self.typed_mut().and_then(|typed| typed.into_several(ids));
        match (objects, first) {
            (Some(objects), _) => Ok(objects),
            (None, Some(first)) => Err(TxError::Stale(first)),
            (None, None) => Err(not_added::<T>()),
        }
    }

    /// Returns the object with this user key; an object that this transaction freed is not found.
    pub fn get_by_key<T: PoolObject>(&self, key: u64) -> Option<&T> {
        self.get(self.find::<T>(key)?)
    }

    /// Returns the object with this user key for writing.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::NoSuchKey`] if there is none, and fails as [`get_mut`](Self::get_mut)
    /// does.
    pub fn get_mut_by_key<T: PoolObject>(&mut self, key: u64) -> Result<&mut T, TxError> {
        match self.find::<T>(key) {
            Some(id) => self.get_mut(id),
            None => Err(no_such_key::<T>(self.pool, key)),
        }
    }

    /// Changes the object with this user key.
    ///
    /// # Errors
    ///
    /// Fails as [`get_mut_by_key`](Self::get_mut_by_key) does.
    pub fn update_by_key<T: PoolObject, R>(
        &mut self,
        key: u64,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, TxError> {
        self.get_mut_by_key(key).map(f)
    }

    /// Iterates over all live objects of a type with their handles, in the order of their slots.
    ///
    /// Objects that this transaction freed are left out.
    pub fn iter<T: PoolObject>(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.pool.iter::<T>().filter(|(id, _)| !self.is_freed(id.handle()))
    }

    /// Returns the number of live objects of a type, without those that this transaction freed.
    pub fn len<T: PoolObject>(&self) -> usize {
        self.pool.len::<T>().saturating_sub(self.pool.freed.of_type(T::TYPE_ID).count())
    }

    /// Returns whether a type has no live object.
    pub fn is_empty<T: PoolObject>(&self) -> bool {
        self.len::<T>() == 0
    }

    /// Allocates an object.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::TooLarge`] if its record does not fit into the log, and
    /// [`TxError::Alloc`] if the allocation fails.
    #[inline]
    pub fn alloc<T: PoolObject>(&mut self, value: T) -> Result<Id<T>, TxError> {
        self.room_for_record()?;
        Ok(self.pool.alloc_noted(value)?)
    }

    /// Allocates an object with a user key.
    ///
    /// # Errors
    ///
    /// Returns [`AllocError::KeyExists`] if an object that this transaction has not freed has the
    /// key. Returns [`AllocError::Crowded`] if the transaction frees and allocates the same key
    /// more than about ten times: its freed objects keep their index entries until the commit.
    /// Fails as [`alloc`](Self::alloc) does.
    pub fn alloc_keyed<T: PoolObject>(&mut self, key: u64, value: T) -> Result<Id<T>, TxError> {
        self.room_for_record()?;
        if let Some(holder) = self.find::<T>(key) {
            return Err(AllocError::KeyExists { key, holder: holder.handle() }.into());
        }
        Ok(self.pool.alloc_keyed_noted(key, value)?)
    }

    /// Returns the handle of the object with this user key; an object that this transaction freed
    /// is not found.
    pub fn find<T: PoolObject>(&self, key: u64) -> Option<Id<T>> {
        let view = self.pool.try_view::<T>()?;
        view.find_where(key, |id| !self.is_freed(id.handle()))
    }

    /// Frees an object at the commit; from now on the transaction does not find it.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::Stale`] if it was freed, and [`TxError::TooLarge`] if its record does not
    /// fit.
    pub fn free<T: PoolObject>(&mut self, id: Id<T>) -> Result<(), TxError> {
        if self.get(id).is_none() {
            return Err(self.pool.not_there(id));
        }
        self.free_handle(id.handle())
    }

    /// Frees an object that lives and that this transaction has not freed.
    #[inline(always)]
    pub(in crate::pool) fn free_handle(&mut self, object: Handle) -> Result<(), TxError> {
        let noted = self.pool.undo.note(UndoKind::Free, object.to_bits());
        noted.map_err(|full| self.full(full))?;
        self.pool.freed.insert(object);
        if !self.pool.kept.contains(object) {
            self.pool.kept.insert(object);
        }
        Ok(())
    }

    /// Sets the tag that [`MemoryPoolMgr::last_committed`] returns from the commit on.
    ///
    /// The tag is, for example, the number of the message that the transaction carries out.
    ///
    /// # Errors
    ///
    /// Returns [`TxError::TooLarge`] if its record does not fit.
    pub fn commit_with(&mut self, tag: u64) -> Result<(), TxError> {
        let old = self.pool.base.header.last_tag.load();
        let noted = self.pool.undo.note(UndoKind::Tag, old);
        noted.map_err(|full| self.full(full))?;
        self.pool.base.header.last_tag.store(tag);
        self.old_tag.get_or_insert(old);
        Ok(())
    }

    #[inline(always)]
    fn room_for_record(&mut self) -> Result<(), TxError> {
        if self.pool.undo.has_room(0) { Ok(()) } else { Err(self.full(LogFull)) }
    }
}

impl Drop for Tx<'_> {
    /// Rolls the transaction back unless it was committed: after an error, or during a panic.
    #[inline(always)]
    fn drop(&mut self) {
        if self.open {
            self.pool.roll_back_tx();
        }
    }
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("pool", &self.pool).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::TxError;
    use crate::conf::{BackendKind, ProcessConf};
    use crate::object::PoolObject;
    use crate::pool::error::AllocError;
    use crate::pool::manager::MemoryPoolMgr;
    use crate::pool::store::index::hash::{Addressing, Hash};
    use crate::units::{Bytes, Key};
    use bytemuck::{Pod, Zeroable};

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 1, keyed)]
    struct Item {
        owner: u64,
    }

    /// Keys whose entries have both groups in common in an index of `size` groups and in every smaller one.
    fn chosen(size: u64, seed: u64, count: usize) -> Vec<u64> {
        let groups = |key: u64| {
            let (addressing, hash) = (Addressing::new(size), Hash::of(key, seed));
            (addressing.first(hash), addressing.second(hash))
        };
        (0..).filter(|key| groups(*key) == groups(0)).take(count).collect()
    }

    #[test]
    fn seventeen_chosen_keys_in_one_transaction_are_refused_and_cost_nothing_lasting() {
        let mut conf = ProcessConf::new("chosen", Key(0x7d8e_0000), Bytes(64 << 10), &[Key(0x7d8e_0001)]);
        conf.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Item>().unwrap();
        let kept = pool.alloc_keyed(u64::MAX, Item { owner: 9 }).unwrap();
        let size = 2 * pool.types.of::<Item>().unwrap().index.capacity();
        let keys = chosen(size, pool.base.header.geometry.hash_seed.load(), 17);
        let free = pool.bytes_free();
        for _ in 0..10 {
            let mut made = 0;
            let refused = pool.tx(|tx| {
                for &key in &keys {
                    tx.alloc_keyed(key, Item { owner: key })?;
                    made += 1;
                }
                Ok::<_, TxError>(())
            });
            let Err(TxError::Alloc(error @ AllocError::Crowded { .. })) = refused else {
                panic!("{refused:?}")
            };
            assert!(error.to_string().ends_with("or use other keys"), "{error}");
            assert!((12..17).contains(&made), "{made}");
            assert_eq!((pool.bytes_free(), pool.len::<Item>()), (free, 1));
            assert!(keys.iter().all(|key| pool.find::<Item>(*key).is_none()));
        }
        // The same keys one by one are refused at the same one, and the others stay.
        let made = keys.iter().take_while(|key| pool.alloc_keyed(**key, Item { owner: 0 }).is_ok()).count();
        assert!((12..17).contains(&made), "{made}");
        assert_eq!((pool.bytes_free(), pool.find::<Item>(u64::MAX)), (free, Some(kept)));
        assert!(pool.verify().is_sound(), "{}", pool.verify());
        pool.destroy().unwrap();
    }
}
