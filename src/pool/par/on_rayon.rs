//! Parallel iterators of rayon: the objects of a view, and the portions of a portion.
//!
//! There is none over `&mut T`. A job could keep the references that it was given, and write objects
//! that its thread no longer names. A portion marks each object while its closure runs.

use crate::object::{Id, PoolObject};
use crate::pool::access::view::View;
use crate::pool::par::portion::{Chunks, Portion};
use rayon::iter::plumbing::{
    Consumer, Folder, Producer, ProducerCallback, UnindexedConsumer, UnindexedProducer, bridge,
    bridge_unindexed,
};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::fmt;

/// Words of the map that are not divided further: 1,024 slots.
const LEAST_WORDS: u32 = 16;

impl<'a, T: PoolObject + Sync> View<'a, T> {
    /// Returns a parallel iterator of rayon over all live objects with their handles.
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// use rayon::iter::ParallelIterator;
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Monster { hp: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_01a0), Bytes(1 << 20), &[Key(0x4850_01a1)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Monster>()?;
    /// for hp in 0..1000 {
    ///     pool.alloc(Monster { hp })?;
    /// }
    /// let sum: u64 = pool.view::<Monster>().par_iter().map(|(_, monster)| monster.hp).sum();
    /// assert_eq!(sum, 499_500);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn par_iter(self) -> ParIter<'a, T> {
        let slots = self.typed.slots();
        ParIter { view: self, first: 0, end: slots.word_of(slots.capacity()) }
    }
}

impl<'a, T: PoolObject + Sync> IntoParallelIterator for View<'a, T> {
    type Item = (Id<T>, &'a T);
    type Iter = ParIter<'a, T>;

    fn into_par_iter(self) -> ParIter<'a, T> {
        self.par_iter()
    }
}

/// A parallel iterator over the live objects of a view: see [`View::par_iter`].
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct ParIter<'a, T> {
    view: View<'a, T>,
    /// The words of the map.
    first: u32,
    end: u32,
}

impl<'a, T: PoolObject + Sync> ParallelIterator for ParIter<'a, T> {
    type Item = (Id<T>, &'a T);

    fn drive_unindexed<C: UnindexedConsumer<Self::Item>>(self, consumer: C) -> C::Result {
        bridge_unindexed(self, consumer)
    }
}

impl<'a, T: PoolObject + Sync> UnindexedProducer for ParIter<'a, T> {
    type Item = (Id<T>, &'a T);

    fn split(self) -> (Self, Option<Self>) {
        if self.end - self.first < 2 * LEAST_WORDS {
            return (self, None);
        }
        let middle = self.first + (self.end - self.first) / 2;
        (ParIter { end: middle, ..self }, Some(ParIter { first: middle, ..self }))
    }

    fn fold_with<F: Folder<Self::Item>>(self, mut folder: F) -> F {
        let typed = self.view.typed;
        let slots = typed.slots();
        for number in self.first..self.end {
            let first = slots.first_of_word(number);
            let mut bits = slots.word(number).map_or(0, |word| word.load() & slots.full);
            while bits != 0 && !folder.full() {
                let at = bits.trailing_zeros();
                bits &= bits - 1;
                if let Some(found) = typed.at(first + at) {
                    folder = folder.consume(found);
                }
            }
        }
        folder
    }
}

impl<'a, T: PoolObject + Send + Sync> IntoParallelIterator for Chunks<'a, T> {
    type Item = Portion<'a, T>;
    type Iter = ParChunks<'a, T>;

    /// Returns a parallel iterator of rayon over the portions.
    ///
    /// ```
    /// # use bytemuck::{Pod, Zeroable};
    /// # use hotpool::conf::{BackendKind, ProcessConf};
    /// # use hotpool::units::{Bytes, Key};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// use rayon::iter::{IntoParallelIterator, ParallelIterator};
    /// # #[repr(C)] #[derive(Clone, Copy, Pod, Zeroable, PoolObject)] #[pool(id = 1)]
    /// # struct Monster { hp: u64 }
    /// # let mut conf = ProcessConf::new("zone", Key(0x4850_01a4), Bytes(1 << 20), &[Key(0x4850_01a5)]);
    /// # conf.backend = BackendKind::Heap;
    /// # let mut pool = MemoryPoolMgr::open(&conf)?;
    /// # pool.add_type::<Monster>()?;
    /// for hp in 0..1000 {
    ///     pool.alloc(Monster { hp })?;
    /// }
    /// let chunks = pool.view_mut::<Monster>().into_portion().par_chunks(256);
    /// chunks.into_par_iter().for_each(|mut part| part.for_each(|_, monster| monster.hp += 1));
    /// assert_eq!(pool.iter::<Monster>().map(|(_, monster)| monster.hp).sum::<u64>(), 500_500);
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn into_par_iter(self) -> ParChunks<'a, T> {
        ParChunks(self)
    }
}

/// A parallel iterator over portions: see [`Portion::par_chunks`].
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct ParChunks<'a, T>(Chunks<'a, T>);

impl<'a, T: PoolObject + Send + Sync> ParallelIterator for ParChunks<'a, T> {
    type Item = Portion<'a, T>;

    fn drive_unindexed<C: UnindexedConsumer<Self::Item>>(self, consumer: C) -> C::Result {
        bridge(self, consumer)
    }

    fn opt_len(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

impl<T: PoolObject + Send + Sync> IndexedParallelIterator for ParChunks<'_, T> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn drive<C: Consumer<Self::Item>>(self, consumer: C) -> C::Result {
        bridge(self, consumer)
    }

    fn with_producer<C: ProducerCallback<Self::Item>>(self, callback: C) -> C::Output {
        callback.callback(self)
    }
}

impl<'a, T: PoolObject + Send + Sync> Producer for ParChunks<'a, T> {
    type Item = Portion<'a, T>;
    type IntoIter = Chunks<'a, T>;

    fn into_iter(self) -> Chunks<'a, T> {
        self.0
    }

    fn split_at(self, index: usize) -> (Self, Self) {
        let (before, after) = self.0.split_at(index);
        (ParChunks(before), ParChunks(after))
    }
}

impl<T: PoolObject> fmt::Debug for ParIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParIter").field("view", &self.view).finish_non_exhaustive()
    }
}

impl<T: PoolObject> fmt::Debug for ParChunks<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParChunks").field(&self.0).finish()
    }
}
