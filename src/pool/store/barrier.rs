//! The write barrier of an image: it keeps the bytes that a page had at the moment of the image,
//! before the page changes for the first time.
//!
//! A page of a block is *watched* while its first change must be noticed. Whoever is about to change
//! bytes of a block calls [`Barrier::before`] for them first. It copies each watched page that the
//! image still needs, notes that the page has changed, and ends the watch. So the second change of a
//! page costs one look at a bit. Pages that will probably change are copied before, between two ticks, and
//! then count as changed until their bytes are given and compared.
//!
//! All of this is memory of the process. A kill loses it, and nothing in a segment tells of it.
//!
//! # What the unsafe code here relies on
//!
//! [`Barrier::new`] gets the regions of the blocks of a pool, which outlive the pool's barrier. A
//! page is read only while it is not lent for writing: everything that lends bytes
//! of a block for writing, or stores to them, calls `before` first, and [`Barrier::begin`],
//! [`Barrier::keep`] and [`Barrier::give`] borrow the pool exclusively, until all threads that copy
//! have ended. So no store happens to the bytes during a copy.
#![allow(unsafe_code)]

use crate::limits;
use crate::region::Region;
use crate::word::Word;
use std::ops::{Range, RangeInclusive};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a page: what is copied and noted as a whole.
pub(crate) const PAGE: usize = limits::PAGE as usize;
/// Pages of a chunk, which are given together.
pub(crate) const CHUNK_PAGES: usize = u64::BITS as usize;
/// Fewest pages whose copy takes longer than the start of a thread: half a millisecond.
const WORTH_THREADS: usize = 512;
/// Most threads that copy together. A few use all that the memory can give.
const MOST_THREADS: usize = 4;

/// The barrier of a pool.
pub(crate) struct Barrier {
    /// The blocks, by address.
    blocks: Vec<Block>,
    /// One bit for each page of all blocks, set while it is watched. Stored only under the lock.
    watched: Vec<Word>,
    /// How many threads copy together, if there is much to copy.
    threads: usize,
    state: Mutex<State>,
}

/// A block that is part of the pool.
struct Block {
    region: Region,
    /// Address of its first byte.
    start: usize,
    /// Its number in the pool.
    number: u32,
    /// Number of its first page among the pages of all blocks, a multiple of 64.
    first: usize,
    pages: usize,
}

// A region is an address and a length.
// SAFETY: the memory is read only while a thread has the lock of the barrier, and while it is not written.
unsafe impl Sync for Block {}

/// What the barrier knows of the pages.
#[derive(Default)]
struct State {
    /// Pages that the image has and that were not given yet.
    needed: Bits,
    /// Those of them that are kept first, because they changed before.
    hot: Bits,
    /// Pages that changed since the image began.
    changed: Bits,
    /// For each block in the order of `blocks`, the number of pages that the last image had.
    used: Vec<usize>,
    /// Whether changes are noted after a page was given.
    tracks: bool,
    kept: Kept,
}

/// A set of pages.
#[derive(Clone, Default)]
struct Bits {
    words: Vec<u64>,
    /// No word before this one has a page.
    low: usize,
}

impl Bits {
    fn none(words: usize) -> Self {
        Bits { words: vec![0; words], low: 0 }
    }

    fn contain(&self, page: usize) -> bool {
        self.words.get(page / 64).is_some_and(|word| word >> (page % 64) & 1 != 0)
    }

    fn set(&mut self, page: usize, to: bool) {
        if let Some(word) = self.words.get_mut(page / 64) {
            *word = *word & !(1 << (page % 64)) | u64::from(to) << (page % 64);
            self.low = if to { self.low.min(page / 64) } else { self.low };
        }
    }

    fn add(&mut self, other: &Bits) {
        self.words.iter_mut().zip(&other.words).for_each(|(all, more)| *all |= more);
        self.low = 0;
    }

    /// Adds pages of a block, whose first page is `first`.
    fn add_pages(&mut self, first: usize, pages: Range<usize>) {
        let words = self.words.iter_mut().skip(first / 64).take(pages.end.div_ceil(64)).enumerate();
        for (at, word) in words.skip(pages.start / 64) {
            let below = |page: usize| match page.saturating_sub(at * 64) {
                count @ 0..64 => (1 << count) - 1,
                _ => u64::MAX,
            };
            *word |= below(pages.end) & !below(pages.start);
        }
        self.low = 0;
    }

    /// Removes the pages that are not in another set.
    fn keep(&mut self, other: &Bits) {
        self.words.iter_mut().zip(&other.words).for_each(|(all, kept)| *all &= kept);
    }

    fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns the pages of those chunks of which `some` has a page.
    fn chunks_of(&self, some: &Bits) -> Bits {
        let pairs = self.words.iter().zip(&some.words);
        Bits { words: pairs.map(|(all, some)| if *some == 0 { 0 } else { *all }).collect(), low: 0 }
    }

    /// Returns the first page of the set.
    fn first(&mut self) -> Option<usize> {
        let found = self.words.iter().enumerate().skip(self.low).find(|(_, word)| **word != 0);
        self.low = found.map_or(self.words.len(), |(at, _)| at);
        found.map(|(at, word)| at * 64 + word.trailing_zeros() as usize)
    }
}

/// The bytes that a page had.
type Old = [u8; PAGE];

/// Old bytes of pages. The memory stays for the next image.
#[derive(Default)]
struct Kept {
    /// For each page, its old bytes; `None` if they are not kept.
    at: Vec<Option<Box<Old>>>,
    /// How many are kept.
    len: usize,
    free: Vec<Box<Old>>,
}

impl Kept {
    fn buffer(&mut self) -> Box<Old> {
        self.free.pop().unwrap_or_else(|| Box::new([0; PAGE]))
    }

    fn put(&mut self, page: usize, old: Box<Old>) {
        if let Some(at) = self.at.get_mut(page) {
            match at.replace(old) {
                Some(before) => self.free.push(before),
                None => self.len += 1,
            }
        }
    }

    /// Adds buffers for a chunk, each of which is written once, so that later writes take no page
    /// faults.
    fn reserve(&mut self) {
        self.free.extend((0..CHUNK_PAGES).map(|_| Box::new([u8::MAX; PAGE])));
    }

    #[inline]
    fn get(&self, page: usize) -> Option<&Old> {
        self.at.get(page)?.as_deref()
    }

    fn forget(&mut self, page: usize) {
        if let Some(old) = self.at.get_mut(page).and_then(Option::take) {
            self.free.push(old);
            self.len -= 1;
        }
    }

    fn clear(&mut self) {
        if self.len != 0 {
            (0..self.at.len()).for_each(|page| self.forget(page));
        }
    }
}

/// A page whose bytes are about to be kept.
struct Copy<'a> {
    block: &'a Block,
    page: usize,
    old: Box<Old>,
    is_done: bool,
}

impl Copy<'_> {
    fn run(&mut self) {
        let bytes = self.block.bytes(self.page, 1);
        if bytes.len() == PAGE {
            self.old.copy_from_slice(bytes);
        }
        self.is_done = true;
    }

    /// Runs all, on so many threads if these are worth their start. The threads end before it returns.
    fn run_all(copies: &mut [Copy<'_>], threads: usize) {
        if copies.len() >= WORTH_THREADS {
            let mut parts = copies.chunks_mut(copies.len().div_ceil(threads));
            let mine = parts.next();
            std::thread::scope(|scope| {
                for part in parts {
                    let run = move || part.iter_mut().for_each(Copy::run);
                    // If the host gives no thread, this one does it at the end.
                    let _ = std::thread::Builder::new().spawn_scoped(scope, run);
                }
                mine.into_iter().flatten().for_each(Copy::run);
            });
        }
        copies.iter_mut().filter(|copy| !copy.is_done).for_each(Copy::run);
    }
}

/// Bytes of the image.
pub(crate) struct Piece<'a> {
    /// Number of the block.
    pub(crate) block: u32,
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
}

impl Barrier {
    /// Creates a barrier that watches nothing; `blocks` are the number and the memory of each block.
    pub(crate) fn new(blocks: impl Iterator<Item = (u32, Region)>) -> Self {
        let mut first = 0;
        let mut blocks: Vec<Block> = blocks
            .filter_map(|(number, region)| {
                let start = region.span(0, 0).ok()?.as_ptr().addr();
                let pages = region.len() as usize / PAGE;
                let block = Block { region, start, number, first, pages };
                first += pages.next_multiple_of(64);
                Some(block)
            })
            .collect();
        blocks.sort_by_key(|block| block.start);
        let words = first / 64;
        let none = || Bits::none(words);
        let used = vec![0; blocks.len()];
        let kept = Kept { at: (0..first).map(|_| None).collect(), ..Kept::default() };
        let state = State { needed: none(), hot: none(), changed: none(), used, kept, ..State::default() };
        let threads = std::thread::available_parallelism().map_or(1, |all| all.get().min(MOST_THREADS));
        let watched = (0..words).map(|_| Word::new(0)).collect();
        Barrier { blocks, watched, threads, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline(always)]
    fn is_watched(&self, page: usize) -> bool {
        self.watched.get(page / 64).is_some_and(|word| word.load() >> (page % 64) & 1 != 0)
    }

    fn begin_watch(&self, page: usize) {
        if let Some(word) = self.watched.get(page / 64) {
            word.store(word.load() | 1 << (page % 64));
        }
    }

    fn end_watch(&self, page: usize) {
        if let Some(word) = self.watched.get(page / 64) {
            word.store(word.load() & !(1 << (page % 64)));
        }
    }

    /// Returns the block with this address.
    #[inline(always)]
    fn block_at(&self, address: usize) -> Option<&Block> {
        let after = self.blocks.partition_point(|block| block.start <= address);
        self.blocks.get(after.wrapping_sub(1)).filter(|block| address < block.start + block.pages * PAGE)
    }

    /// Prepares for a change of `bytes` bytes, which may lie outside all blocks.
    #[inline]
    pub(crate) fn before(&self, start: *const u8, bytes: usize) {
        let Some(block) = self.block_at(start.addr()) else { return };
        let page = |address: usize| block.first + (address - block.start) / PAGE;
        let last = page(start.addr() + bytes.saturating_sub(1)).min(block.first + block.pages);
        let mut pages = page(start.addr())..=last;
        if pages.any(|page| self.is_watched(page)) {
            self.first_changes(block, page(start.addr())..=last);
        }
    }

    /// Prepares for a change of bytes of a region.
    pub(crate) fn before_bytes(&self, region: &Region, offset: u64, bytes: u64) {
        if let Ok(start) = region.span(offset, bytes) {
            self.before(start.as_ptr(), bytes as usize);
        }
    }

    #[cold]
    #[inline(never)]
    fn first_changes(&self, block: &Block, pages: RangeInclusive<usize>) {
        let mut state = self.state();
        for page in pages {
            if !self.is_watched(page) {
                continue;
            }
            if state.needed.contain(page) && state.kept.get(page).is_none() {
                let mut copy = Copy { block, page, old: state.kept.buffer(), is_done: false };
                copy.run();
                state.kept.put(page, copy.old);
            }
            state.changed.set(page, true);
            self.end_watch(page);
        }
    }

    /// Begins an image of all chunks in use, or, with `only_changed`, of those that changed since the
    /// last one. `used` tells the bytes in use of a block. Returns their pages.
    ///
    /// From here on all pages in use are watched. If `tracks`, a page stays watched after it was
    /// given, so that a later image can leave it out. Pages that changed since the watch began are
    /// [kept first](Self::keep): they will probably change soon again.
    ///
    /// The caller borrows the pool exclusively.
    pub(crate) fn begin(&self, only_changed: bool, tracks: bool, used: impl Fn(u32) -> u64) -> Changed {
        let mut state = self.state();
        let mut all = Bits::none(self.watched.len());
        let mut counts = Vec::with_capacity(self.blocks.len());
        for (block, before) in self.blocks.iter().zip(&state.used) {
            let count = (used(block.number) as usize).div_ceil(PAGE).min(block.pages);
            all.add_pages(block.first, 0..count);
            counts.push((block.first, *before..count));
        }
        for (word, bits) in self.watched.iter().zip(&all.words) {
            word.store(*bits);
        }
        let mut changed = std::mem::replace(&mut state.changed, Bits::none(self.watched.len()));
        counts.iter().for_each(|(first, new)| changed.add_pages(*first, new.clone()));
        state.kept.clear();
        state.used = counts.into_iter().map(|(_, new)| new.end).collect();
        state.needed = if only_changed { all.chunks_of(&changed) } else { all };
        changed.keep(&state.needed);
        state.hot = changed;
        state.tracks = tracks;
        Changed(state.needed.clone())
    }

    /// Watches all pages in use, without an image. `used` tells the bytes in use of a block.
    ///
    /// The caller borrows the pool exclusively.
    pub(crate) fn track(&self, used: impl Fn(u32) -> u64) {
        self.begin(false, true, used);
        self.state().needed = Bits::none(self.watched.len());
    }

    /// Keeps about so many pages that will probably change soon, at least those of a chunk, so that a
    /// change finds them kept. Returns how many pages it has looked at: 0 if there are none.
    ///
    /// The caller borrows the pool exclusively.
    pub(crate) fn keep(&self, most: usize) -> usize {
        let mut state = self.state();
        let State { needed, hot, kept, changed, .. } = &mut *state;
        let (mut copies, mut looked) = (Vec::new(), 0);
        while looked == 0 || copies.len() + CHUNK_PAGES <= most {
            let Some(page) = hot.first() else { break };
            let has = |block: &&Block| (block.first..block.first + block.pages).contains(&page);
            let Some(block) = self.blocks.iter().find(has) else { break };
            let chunk = page / CHUNK_PAGES * CHUNK_PAGES;
            for page in chunk..chunk + CHUNK_PAGES {
                if hot.contain(page) && needed.contain(page) && kept.get(page).is_none() {
                    copies.push(Copy { block, page, old: kept.buffer(), is_done: false });
                }
                hot.set(page, false);
            }
            looked += CHUNK_PAGES;
        }
        Copy::run_all(&mut copies, self.threads);
        for copy in copies {
            // The change itself then costs nothing. If none comes, `give` sees it.
            changed.set(copy.page, true);
            self.end_watch(copy.page);
            kept.put(copy.page, copy.old);
        }
        looked
    }

    /// Gets memory for a chunk of old bytes, as long as there is less than has changed; returns false
    /// if there is enough.
    pub(crate) fn reserve(&self) -> bool {
        let mut state = self.state();
        let is_short = state.kept.len + state.kept.free.len() < state.changed.count();
        if is_short {
            state.kept.reserve();
        }
        is_short
    }

    /// Gives the pages of the next chunk of the image to `take`; returns false if there is none.
    ///
    /// The caller borrows the pool exclusively. After an error of `take`, the chunk is given again.
    pub(crate) fn give<E>(&self, take: &mut dyn FnMut(Piece<'_>) -> Result<(), E>) -> Result<bool, E> {
        let mut state = self.state();
        let State { needed, kept, tracks, changed, .. } = &mut *state;
        let Some(page) = needed.first() else { return Ok(false) };
        let Some(block) = self.blocks.iter().find(|b| (b.first..b.first + b.pages).contains(&page)) else {
            return Ok(false);
        };
        let chunk = page / CHUNK_PAGES * CHUNK_PAGES;
        let end = (chunk + CHUNK_PAGES).min(block.first + block.pages);
        let mut at = chunk;
        while at < end {
            let is_live = |page: &usize| needed.contain(*page) && kept.get(*page).is_none();
            let count = (at..end).take_while(is_live).count();
            let offset = ((at - block.first) * PAGE) as u64;
            match kept.get(at) {
                _ if count != 0 => {
                    take(Piece { block: block.number, offset, bytes: block.bytes(at, count) })?;
                }
                Some(bytes) => take(Piece { block: block.number, offset, bytes })?,
                None => {}
            }
            at += count.max(1);
        }
        for page in chunk..end {
            needed.set(page, false);
            if !*tracks {
                self.end_watch(page);
            } else if kept.get(page).is_some_and(|old| old == block.bytes(page, 1)) {
                // It is as in the image: only a change from here on is one.
                changed.set(page, false);
                self.begin_watch(page);
            }
            kept.forget(page);
        }
        Ok(true)
    }

    /// Drops the image. Pages that it would have had count as changed.
    pub(crate) fn abandon(&self, had: &Changed) {
        let mut state = self.state();
        state.changed.add(&had.0);
        state.needed = Bits::none(self.watched.len());
        state.hot = Bits::none(self.watched.len());
        state.kept.clear();
    }

    /// Returns the old bytes that are kept.
    pub(crate) fn kept_bytes(&self) -> u64 {
        (self.state().kept.len * PAGE) as u64
    }

    /// Returns whether the page of an address is watched.
    pub(crate) fn watches(&self, address: usize) -> bool {
        let page = |block: &Block| block.first + (address - block.start) / PAGE;
        self.block_at(address).is_some_and(|block| self.is_watched(page(block)))
    }
}

/// Pages of an image.
#[derive(Clone)]
pub(crate) struct Changed(Bits);

impl Block {
    /// Returns the bytes of consecutive pages, none of which is lent for writing.
    fn bytes(&self, page: usize, count: usize) -> &[u8] {
        let (offset, bytes) = ((page - self.first) * PAGE, count * PAGE);
        let Ok(start) = self.region.span(offset as u64, bytes as u64) else { return &[] };
        // SAFETY: inside the mapping, which outlives the barrier. No store happens while the pages
        // are read, see the top of this file.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), bytes) }
    }
}

impl std::fmt::Debug for Barrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Barrier").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}
