//! The slots of one type, without their Rust type: their addresses, and which are free.
//!
//! # What the unsafe code here relies on
//!
//! [`Slots::push`] builds [`Slots`] from extents that `Region` found inside a mapping. So for every
//! slot below the capacity, `start(index)` is the address of `stride` mapped bytes that belong to
//! no other slot and to no map. For every word of the map below its number of words, `word(number)`
//! is a mapped word. The mapping outlives the `Slots` (see `region.rs`). Addresses are stored
//! biased, as slot 0 would have them if the extent extended down to it, so that an index needs no
//! subtraction. They are computed with wrapping arithmetic, and only used with the bias undone.
//!
//! # The map
//!
//! The slots of each extent are preceded by a map with one bit for each slot: 1 used, 0 free. An
//! alloc takes the slot at hand, or else the lowest free slot of the current word. The current word
//! is the lowest word with a free slot, or a word in which a slot was freed since. This keeps live
//! objects dense.
//!
//! `slots/named.rs` decides which slot is at hand. `slots/reclaim.rs` takes the memory of extents
//! without objects away, and gives them other memory later. `slots/watched.rs` tells the write barrier
//! of an image what is about to change.
#![allow(unsafe_code)]

mod named;
mod reclaim;
mod watched;

use crate::layout::{BaseHeader, ExtentRec, TypeInfo};
use crate::mutants::Mutant;
use crate::object::{Followed, INDEX_SHIFT, LIVE, PoolObject, Rule};
use crate::pool::store::barrier::Barrier;
use crate::pool::store::extents::{Extents, HOLLOW};
use crate::pool::store::lists::Lists;
use crate::pool::store::open_words::OpenWords;
use crate::pool::store::shape::{Shape, map_bytes_for};
use crate::pool::store::slot::Slot;
use crate::pool::store::wanted::{Token, Wanted};
use crate::pool::store::ways::{Addresses, Ways};
use crate::region::{At, OutOfBounds, Table};
use crate::word::{Half, Word};
use std::any::TypeId;
use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::Arc;

/// The map of a type without a current word: full, so that an alloc searches for one.
static NO_WORD: Word = Word::new(u64::MAX);

/// In place of the header of a named slot, if none is named: no slot has it, and it is odd, so that
/// nothing is at hand.
const NO_NAME: u64 = LIVE;

/// The rule of no type.
const ANY: &Rule = &Rule::plain(0);

/// All slots of a type.
pub(crate) struct Slots {
    /// For each extent, the biased address of its slots.
    addresses: Addresses,
    /// For each extent, its number in the extent table, which has its mark `full`.
    numbers: Vec<u32>,
    /// The extents without memory.
    hollow: BTreeSet<u32>,
    table: Table<ExtentRec>,
    /// The list of `addresses`, for lookups of slots that are about to change; an empty one while there is a
    /// barrier, which wants to be told first.
    list_to_write: *const *mut u8,
    /// Shift from a slot to its extent.
    slot_shift: u32,
    /// Number of slots.
    count: u32,
    /// Binary logarithms of the slots of a word of the map, and of the words of an extent.
    word_bits: u32,
    word_shift: u32,
    /// A word of the map with all its slots used. Bits past the last slot have no meaning.
    pub(crate) full: u64,
    current: Current,
    /// Header of the named slot, which is at hand if it is free; `NO_NAME` if none is named.
    named: u64,
    /// Address of the named slot.
    named_at: *mut u8,
    /// In place of `named`, until the barrier was told of that slot; else `NO_NAME`.
    withdrawn: u64,
    /// The write barrier, if pages are watched.
    barrier: Option<Arc<Barrier>>,
    /// Number of live objects, less the one in the named slot, or less 1 if none is named: so neither
    /// an alloc nor a free of the named slot changes it.
    others: i64,
    open: OpenWords,
    pub(crate) stride: usize,
    pub(crate) info: At<TypeInfo>,
    pub(crate) header: At<BaseHeader>,
    pub(crate) shape: Shape,
    last_generation: u64,
    /// Generation from which slots begin.
    first_generation: u64,
    /// The Rust type that is bound to the slots; `None` until this process has added it.
    rust_type: Option<TypeId>,
    /// The token of that Rust type; until then the token of no type.
    token: Token,
    /// Which bytes are a value of that Rust type; until then any.
    pub(crate) rule: &'static Rule,
    /// The lists of the fields that are followed.
    pub(crate) lists: Lists,
}

// The raw pointers lead into the mapping, which belongs to the process and not to a thread.
// SAFETY: `Slots` moves between threads as a whole, together with the pool that owns it.
unsafe impl Send for Slots {}

/// The word of the map that the next alloc reads.
struct Current {
    number: u32,
    map: *const Word,
}

impl Current {
    /// No word: its number is above all others, and its map is full.
    const NONE: Current = Current { number: u32::MAX, map: &raw const NO_WORD };
}

/// The position of a slot's bit in the map.
struct Place {
    map: *const Word,
    number: u32,
    at: u32,
    /// Value of the word.
    used: u64,
}

impl Slots {
    /// Creates the slots of no type. `info` is not read.
    pub(crate) fn nothing(header: At<BaseHeader>, info: At<TypeInfo>, table: Table<ExtentRec>) -> Self {
        Slots {
            addresses: Addresses::new(),
            numbers: Vec::new(),
            hollow: BTreeSet::new(),
            table,
            list_to_write: Addresses::none(),
            slot_shift: 0,
            count: 0,
            word_bits: 0,
            word_shift: 0,
            full: 1,
            current: Current::NONE,
            named: NO_NAME,
            named_at: std::ptr::null_mut(),
            withdrawn: NO_NAME,
            barrier: None,
            others: -1,
            open: OpenWords::default(),
            stride: 0,
            info,
            header,
            shape: Shape { type_id: 0, place: 0, head: 0, align: 0, size: 0, extent_bytes: 0, map_bytes: 0 },
            last_generation: 0,
            first_generation: 0,
            rust_type: None,
            token: Token::NONE,
            rule: ANY,
            lists: Lists::of(Followed::NOTHING),
        }
    }

    /// Creates the slots of the type that `info` describes, without extents. The caller has checked
    /// `info`.
    pub(crate) fn new(header: At<BaseHeader>, info: At<TypeInfo>, table: Table<ExtentRec>) -> Self {
        let shift = info.shift.load();
        let word_bits = shift.min(6);
        let floor = header.geometry.first_generation().max(header.floor.load());
        Slots {
            slot_shift: shift,
            word_bits,
            word_shift: shift - word_bits,
            full: if word_bits == 6 { u64::MAX } else { (1 << (1 << word_bits)) - 1 },
            stride: info.stride.load() as usize,
            shape: Shape::of(&info),
            last_generation: info.last_generation.load().into(),
            first_generation: floor.min(info.last_generation.load().into()) & !1,
            ..Self::nothing(header, info, table)
        }
    }

    /// Returns the binary logarithm of the slots of an extent.
    pub(crate) fn shift(&self) -> u32 {
        self.slot_shift
    }

    /// Appends a run of extents.
    pub(crate) fn push(&mut self, run: &Extents) -> Result<(), OutOfBounds> {
        let Shape { map_bytes, extent_bytes, .. } = self.shape;
        let slots_bytes = (self.stride as u64).checked_mul(1 << self.shift()).ok_or(OutOfBounds)?;
        let used = map_bytes.checked_add(slots_bytes).ok_or(OutOfBounds)?;
        let is_aligned = run.offset.is_multiple_of(8) && (map_bytes | extent_bytes).is_multiple_of(8);
        if map_bytes < map_bytes_for(self.shift()) || used > extent_bytes || !is_aligned {
            return Err(OutOfBounds);
        }
        let (old, words) = (self.numbers.len(), 1 << self.word_shift);
        let starts = self.starts_of(old, run)?;
        self.addresses.extend(starts);
        self.set_list_to_write();
        self.count = (self.addresses.len() as u32) << self.shift();
        self.open.push(run.count * words);
        if run.is_hollow() {
            self.numbers.extend((0..run.count).map(|_| HOLLOW));
            self.hollow.extend(old as u32..old as u32 + run.count);
            self.open.close(old as u32 * words, run.count * words);
        } else {
            self.numbers.extend(run.number..run.number + run.count);
            self.close_full(old, words);
        }
        Ok(())
    }

    /// Returns the biased addresses of the slots of a run, whose first extent has the number `at`.
    fn starts_of(
        &self,
        at: usize,
        run: &Extents,
    ) -> Result<impl Iterator<Item = *mut u8> + use<>, OutOfBounds> {
        let Shape { map_bytes, extent_bytes, .. } = self.shape;
        let extents = if run.is_hollow() { 1 } else { run.count };
        let bytes = extent_bytes.checked_mul(extents.into()).ok_or(OutOfBounds)?;
        let map = run.block.span(run.offset, bytes)?.as_ptr();
        let first = map.wrapping_add(map_bytes as usize).wrapping_sub(self.bytes_below(at));
        // From one extent to the next, the address grows by an extent, and its bias by the slots of
        // an extent. Hollow extents all have one address.
        let advance = if run.is_hollow() { 0 } else { extent_bytes as usize };
        let step = advance.wrapping_sub(self.stride << self.shift());
        Ok((0..run.count as usize).map(move |n| first.wrapping_add(n.wrapping_mul(step))))
    }

    /// Returns whether the extents from number `at` on are those of a run.
    pub(crate) fn holds(&self, at: u32, run: &Extents) -> bool {
        let Ok(starts) = self.starts_of(at as usize, run) else { return false };
        self.addresses.from(at as usize).take(run.count as usize).eq(starts)
    }

    /// Closes the words of the extents from `first` on that are marked as full, in runs.
    fn close_full(&mut self, first: usize, words: u32) {
        let is_full = |number: &u32| self.table.get(*number as usize).is_some_and(|rec| rec.full.load() == 1);
        let mut at = first;
        while let Some(rest) = self.numbers.get(at..).filter(|rest| !rest.is_empty()) {
            let full = rest.iter().take_while(|number| is_full(number)).count();
            self.open.close(at as u32 * words, full as u32 * words);
            at += full + 1;
        }
    }

    /// Returns the bytes of all slots before an extent, which are the bias of its address.
    #[inline(always)]
    fn bytes_below(&self, extent: usize) -> usize {
        (extent << self.shift()).wrapping_mul(self.stride)
    }

    /// Returns the mark of the extent of word `number`: no slot was free at the last search.
    fn mark(&self, number: u32) -> Option<&Half> {
        let extent = *self.numbers.get((number >> self.word_shift) as usize)?;
        self.table.get(extent as usize).map(|rec| &rec.full)
    }

    /// Binds the slots to the Rust type that `add_type` has compared with `info`.
    pub(crate) fn bind(&mut self, wanted: &Wanted) {
        assert_eq!(Some(self.stride as u64), wanted.stride(), "add_type compared the strides");
        assert_eq!(self.shape.head, wanted.head(), "add_type compared the heads");
        self.rust_type = Some(wanted.rust_type);
        self.token = wanted.token;
        self.rule = wanted.rule;
        self.lists = Lists::of(wanted.followed);
    }

    /// Notes that the object of type `T` in a slot may change, if fields of it are followed.
    #[inline(always)]
    pub(crate) fn may_change<T: PoolObject>(&self, index: u32) {
        if const { T::FOLLOWED.is_any() } {
            self.lists.note(index);
        }
    }

    /// Returns the token of the bound Rust type; until it is bound, the token of no type.
    #[inline(always)]
    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Returns the Rust type that this process has bound to these slots.
    pub(crate) fn bound(&self) -> Option<TypeId> {
        self.rust_type
    }

    /// Returns the number of slots that have memory.
    pub(crate) fn capacity(&self) -> u32 {
        self.count
    }

    /// Returns whether the first lines of all slots exceed the nearer caches of a processor.
    pub(crate) fn is_far(&self) -> bool {
        const NEAR: u64 = 1 << 20;
        u64::from(self.count) * (self.stride as u64).min(128) > NEAR
    }

    /// Returns the number of extents.
    pub(crate) fn extents(&self) -> u32 {
        self.addresses.len() as u32
    }

    /// Returns the type number.
    pub(crate) fn type_id(&self) -> u16 {
        self.shape.type_id
    }

    /// Returns the data to get from a handle to its slot.
    #[inline(always)]
    pub(crate) fn ways(&self) -> Ways<'_> {
        // SAFETY: the list is borrowed with the slots.
        unsafe { Ways::new(self.addresses.list(), self.slot_shift) }
    }

    /// Returns the same data for slots that are about to change.
    ///
    /// While pages are watched, it finds no slot, and `watched` has to be asked.
    #[inline(always)]
    pub(crate) fn ways_to_write(&self) -> Ways<'_> {
        // SAFETY: `push` and the barrier set it to that of `addresses`, or to the one without extents.
        unsafe { Ways::new(self.list_to_write, self.slot_shift) }
    }

    /// Returns the slot that the bits of a handle name, for a caller that has the stride at compile
    /// time.
    ///
    /// # Safety
    ///
    /// `stride` is the stride of these slots.
    #[inline(always)]
    pub(crate) unsafe fn slot_of(&self, bits: u64, stride: usize) -> Option<Slot> {
        // SAFETY: as the caller guarantees.
        unsafe { self.ways().slot_of(bits, stride) }
    }

    /// Returns the slot `index`, in any state.
    #[inline(always)]
    pub(crate) fn slot(&self, index: u32) -> Option<Slot> {
        // SAFETY: the stride is that of these slots.
        unsafe { self.slot_of(u64::from(index) << INDEX_SHIFT, self.stride) }
    }

    /// Returns the word `number` of the map.
    #[inline(always)]
    pub(crate) fn word(&self, number: u32) -> Option<&Word> {
        let extent = (number >> self.word_shift) as usize;
        let biased = self.addresses.get(extent)?;
        // SAFETY: `biased` belongs to the extent, and the word is one of its map.
        Some(unsafe { self.word_in(extent, biased, number) })
    }

    /// Returns the word `number` of the map, with the first slot that it covers.
    #[inline(always)]
    pub(crate) fn word_and_slot(&self, number: u32) -> Option<(&Word, Slot)> {
        let extent = (number >> self.word_shift) as usize;
        let biased = self.addresses.get(extent)?;
        let at = self.first_of_word(number) as usize * self.stride;
        // SAFETY: `biased` belongs to the extent, and the word is one of its map.
        let word = unsafe { self.word_in(extent, biased, number) };
        // SAFETY: the slots of an extent are mapped, so none has the address 0.
        Some((word, Slot { start: unsafe { NonNull::new_unchecked(biased.wrapping_add(at)) } }))
    }

    /// Returns the word `number` of the map in `extent`, whose slots are at `biased`.
    ///
    /// # Safety
    ///
    /// The word is in that extent, and `biased` is the address of its slots.
    #[inline(always)]
    unsafe fn word_in(&self, extent: usize, biased: *mut u8, number: u32) -> &Word {
        let map = biased.wrapping_add(self.bytes_below(extent)).wrapping_sub(self.shape.map_bytes as usize);
        let in_extent = number as usize & ((1 << self.word_shift) - 1);
        // SAFETY: with the bias undone, the map lies before the slots, and has a word for each 64
        // of them.
        unsafe { &*map.cast::<Word>().wrapping_add(in_extent) }
    }

    /// Returns the first slot that word `number` of the map covers.
    #[inline(always)]
    pub(crate) fn first_of_word(&self, number: u32) -> u32 {
        number << self.word_bits
    }

    /// Returns the word that covers a slot.
    pub(crate) fn word_of(&self, index: u32) -> u32 {
        index >> self.word_bits
    }

    /// Returns word and bit of a slot.
    #[inline(always)]
    fn bit(&self, index: u32) -> (u32, u64) {
        (index >> self.word_bits, 1 << (index & ((1 << self.word_bits) - 1)))
    }

    /// Returns the position of a slot's bit; `None` if there is no such slot.
    #[inline(always)]
    fn place(&self, bits: u64) -> Option<Place> {
        let word_bits = self.word_bits;
        let index = (bits >> INDEX_SHIFT) as u32;
        let number = index >> word_bits;
        let extent = (index >> self.slot_shift) as usize;
        let biased = self.addresses.get(extent)?;
        // SAFETY: the extent is that of the slot, and thus of its word.
        let map = unsafe { self.word_in(extent, biased, number) };
        Some(Place { map, number, at: index & ((1 << word_bits) - 1), used: map.load() })
    }

    /// Makes the lowest word with a free slot the current one.
    #[cold]
    #[inline(never)]
    fn search(&mut self) -> Option<()> {
        loop {
            let number = self.open.first()?;
            let word = self.word(number)?;
            if !word.load() & self.full != 0 {
                let map: *const Word = word;
                self.current = Current { number, map };
                return Some(());
            }
            self.open.close(number, 1);
            let extent = number >> self.word_shift;
            if self.open.all_closed(extent << self.word_shift, 1 << self.word_shift) {
                self.mark(number)?.store(1);
            }
        }
    }

    /// Records that a word may have a free slot, before it has one.
    #[inline(always)]
    fn reopen(&mut self, number: u32) {
        if !self.open.is_open(number) {
            self.reopen_closed(number);
        }
    }

    #[cold]
    #[inline(never)]
    fn reopen_closed(&mut self, number: u32) {
        if let Some(mark) = self.mark(number).filter(|mark| mark.load() != 0) {
            mark.store(0);
        }
        self.open.open(number);
    }

    /// Sets or clears the bit of a slot, for recovery. It may be interrupted anywhere, and
    /// repeated.
    pub(crate) fn mend(&mut self, index: u32, used: bool) {
        let (number, bit) = self.bit(index);
        if !used && self.word(number).is_some() {
            self.reopen(number);
        }
        self.current = Current::NONE;
        let Some(word) = self.word(number) else { return };
        self.before_word(word, Mutant::UnwatchedMend);
        let bits = word.load();
        let mended = if used { bits | bit } else { bits & !bit };
        if mended != bits {
            word.store(mended);
        }
    }
}
