//! The shape of a type in memory: head and stride of a slot, map and size of an extent.
//!
//! It also checks the entry of a type.

use crate::layout::{Broken, ExtentKind, ExtentRec, Group, Tally, TypeInfo, slots_extent};
use crate::limits;
use crate::object::PoolObject;
use crate::units::round_up;
use std::marker::PhantomData;

/// Largest stride in bytes whose extents have at least 64 slots, for which the smallest block has
/// room.
pub(crate) const WHOLE_WORD_STRIDE: u64 = 512;

/// Returns the bytes of a slot before its object.
pub(crate) const fn head_bytes(keyed: bool, align: usize) -> usize {
    let words = if keyed { 16 } else { 8 };
    if align > words { align } else { words }
}

/// Returns the bytes from one slot to the next; `None` on overflow.
pub(crate) const fn stride_bytes(keyed: bool, align: usize, size: usize) -> Option<u64> {
    let unit = if align > 8 { align } else { 8 };
    match (head_bytes(keyed, align) as u64).checked_add(size as u64) {
        Some(end) => round_up(end, unit as u64),
        None => None,
    }
}

/// The layout of the slots of a Rust type, known at compile time.
pub(crate) struct Fit<T>(PhantomData<T>);

impl<T: PoolObject> Fit<T> {
    /// Bytes of a slot before its object.
    pub(crate) const HEAD: usize = head_bytes(T::KEYED, align_of::<T>());
    /// Bytes from one slot to the next.
    pub(crate) const STRIDE: usize =
        stride_bytes(T::KEYED, align_of::<T>(), size_of::<T>()).unwrap() as usize;
}

/// The extents and slots of a type as its entry describes them, read once after its check.
///
/// Later stores to the entry move no address.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) type_id: u16,
    /// Position of the entry, by which extents name it.
    pub(crate) place: u16,
    pub(crate) head: usize,
    pub(crate) align: u64,
    pub(crate) size: u64,
    pub(crate) extent_bytes: u64,
    pub(crate) map_bytes: u64,
}

impl Shape {
    /// Reads the entry of a type, which the caller has checked.
    pub(crate) fn of(info: &TypeInfo) -> Self {
        Shape {
            type_id: info.id.load() as u16,
            place: info.place(),
            head: info.head.load() as usize,
            align: info.align.load().into(),
            size: info.size.load(),
            extent_bytes: info.extent_bytes.load(),
            map_bytes: info.map_bytes.load(),
        }
    }
}

/// Returns the bytes of the map of an extent of `1 << shift` slots.
pub(crate) const fn map_bytes_for(shift: u32) -> u64 {
    (1u64 << shift).div_ceil(64) * 8
}

/// Chooses the number of slots of an extent, a power of two, and returns its layout.
///
/// It aims at a fraction of the pool. The minimum is one slot, and 64 for small slots.
pub(crate) fn plan_slots(stride: u64, align: u64, pool_bytes: u64, block_bytes: u64) -> Option<Plan> {
    let room = block_bytes - limits::PAGE;
    let aim =
        (pool_bytes / limits::EXTENTS_AIMED_AT).clamp(limits::MIN_EXTENT_BYTES, limits::MAX_EXTENT_BYTES);
    let plan = |shift| Plan::new(shift, stride, align).filter(|plan| plan.bytes <= room);
    let mut best = plan(0)?;
    for shift in 1..limits::INDEX_BITS {
        let Some(next) = plan(shift) else { break };
        let too_few = best.shift < 6 && stride <= WHOLE_WORD_STRIDE;
        if !too_few && next.bytes > aim {
            break;
        }
        best = next;
    }
    Some(best)
}

/// The layout of an extent of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) shift: u32,
    pub(crate) map_bytes: u64,
    pub(crate) bytes: u64,
}

impl Plan {
    fn new(shift: u32, stride: u64, align: u64) -> Option<Self> {
        let (map_bytes, bytes) = slots_extent(shift, stride, align)?;
        Some(Plan { shift, map_bytes, bytes })
    }
}

/// Chooses the number of groups of an index extent, and returns its binary logarithm.
pub(crate) fn plan_groups(pool_bytes: u64, block_bytes: u64) -> u32 {
    let aim =
        (pool_bytes / limits::EXTENTS_AIMED_AT).clamp(limits::MIN_EXTENT_BYTES, limits::MAX_EXTENT_BYTES);
    let bytes = aim.min(block_bytes - limits::PAGE);
    (bytes / size_of::<crate::layout::Group>() as u64).ilog2()
}

/// Checks the entry at `place` of the table of types; the error names the rule that is broken.
pub(crate) fn check(info: &TypeInfo, place: u16, block_bytes: u64) -> Result<(), Broken> {
    let is_number = (1..=u32::from(limits::MAX_TYPE_ID)).contains(&info.id.load());
    if info.place() != place || place == 0 || !is_number {
        return Err(Broken::TypeNumber);
    }
    if info.check.load() != info.sum() {
        return Err(Broken::TypeSum);
    }
    let (size, stride, head) = (info.size.load(), info.stride.load(), u64::from(info.head.load()));
    let align = u64::from(info.align.load());
    if !align.is_power_of_two() || align > limits::MAX_ALIGN as u64 {
        return Err(Broken::Alignment);
    }
    let expected = u64::from(head_bytes(info.keyed(), align as usize) as u32);
    if head != expected
        || stride > block_bytes
        || stride % align.max(8) != 0
        || size == 0
        || head.checked_add(size).is_none_or(|end| end > stride)
    {
        return Err(Broken::Sizes);
    }
    let shift = info.shift.load();
    let (extent, map) = (info.extent_bytes.load(), info.map_bytes.load());
    if shift >= limits::INDEX_BITS || extent > block_bytes || map > extent || map % align.max(8) != 0 {
        return Err(Broken::ExtentShape);
    }
    if map < map_bytes_for(shift) {
        return Err(Broken::MapTooShort);
    }
    let slots = stride.checked_mul(1 << shift);
    if slots.is_none_or(|slots| slots > extent - map) {
        return Err(Broken::ExtentsTooShort);
    }
    if stride <= WHOLE_WORD_STRIDE && shift < 6 {
        return Err(Broken::TooFewSlots);
    }
    let group_shift = info.group_shift.load();
    if group_shift > 30 || info.index_bytes.load() != index_bytes(group_shift) {
        return Err(Broken::IndexShape);
    }
    let generation = info.last_generation.load();
    if generation.is_multiple_of(2) || generation > limits::MAX_GENERATION {
        return Err(Broken::LastGeneration);
    }
    Ok(())
}

/// Checks that the counts of a type are possible for `slots` slots and `groups` groups.
pub(crate) fn check_counts(info: &TypeInfo, slots: u64, groups: u64) -> Result<(), Broken> {
    let (tally, used) = (Tally::parse(info.tally.load()), info.groups.load());
    if slots > limits::MAX_SLOTS.into() {
        return Err(Broken::SlotCount);
    }
    if tally.counted > slots || info.high_water.load() > slots {
        return Err(Broken::ObjectCount);
    }
    if tally.named.is_some_and(|index| u64::from(index) >= slots) {
        return Err(Broken::NamedSlot);
    }
    if used > groups {
        return Err(Broken::GroupCount);
    }
    if info.keyed() && tally.counted > 1 && used == 0 {
        return Err(Broken::NoIndex);
    }
    Ok(())
}

/// Where slot `index` of a type begins in its block, if the extent with that slot begins at `extent`.
///
/// Returns `None` if that overflows.
pub(crate) fn slot_offset(info: &TypeInfo, extent: u64, index: u32) -> Option<u64> {
    let in_extent = index & !u32::MAX.checked_shl(info.shift.load())?;
    let below = u64::from(in_extent).checked_mul(info.stride.load())?;
    extent.checked_add(info.map_bytes.load())?.checked_add(below)
}

/// Returns the length that an extent of this kind has, by what its type says of it.
pub(crate) fn extent_length(info: &TypeInfo, kind: ExtentKind) -> Result<u64, Broken> {
    let bytes = match kind {
        ExtentKind::Index if !info.keyed() => {
            return Err(Broken::ExtentNotKeyed);
        }
        ExtentKind::Index => info.index_bytes.load(),
        ExtentKind::Slots => info.extent_bytes.load(),
    };
    let is_whole = bytes != 0 && bytes % limits::LINE == 0;
    is_whole.then_some(bytes).ok_or(Broken::ExtentLength)
}

/// What an extent of a type must be like.
#[derive(Clone, Copy)]
pub(crate) struct ExtentRule {
    /// Its [`extent_length`].
    pub(crate) bytes: u64,
    /// The alignment of its type.
    pub(crate) align: u64,
}

/// Checks an extent of a type. `used` is where what is before it ends in its block, and `after_free`
/// whether free bytes are before it. Returns where it ends.
pub(crate) fn check_extent(
    rec: &ExtentRec,
    rule: ExtentRule,
    used: u64,
    after_free: bool,
    block_bytes: u64,
) -> Result<u64, Broken> {
    if rec.bytes.load() != rule.bytes {
        return Err(Broken::ExtentLength);
    }
    let offset = rec.offset.load();
    let end = offset.checked_add(rule.bytes).filter(|end| *end <= block_bytes);
    let end = end.ok_or(Broken::ExtentOutside)?;
    let follows = match after_free {
        true => offset >= used && offset.is_multiple_of(rule.align.max(limits::LINE)),
        false => Some(offset) == extent_start(used, rule.align),
    };
    follows.then_some(end).ok_or(Broken::ExtentPlace)
}

/// Returns where an extent of a type of this alignment begins after `used` bytes of a block.
pub(crate) fn extent_start(used: u64, align: u64) -> Option<u64> {
    round_up(used, align.max(limits::LINE))
}

/// A set of type numbers, or of positions of the table of types.
#[derive(Default)]
pub(crate) struct TypeSet([u64; limits::TYPE_TABLE as usize / 64]);

impl TypeSet {
    /// Adds a number; returns false if it is in the set already or out of range.
    pub(crate) fn insert(&mut self, id: u16) -> bool {
        let is_new = !self.contains(id);
        match self.0.get_mut(usize::from(id / 64)) {
            Some(bits) => *bits |= 1 << (id % 64),
            None => return false,
        }
        is_new
    }

    /// Returns whether a number is in the set.
    pub(crate) fn contains(&self, id: u16) -> bool {
        self.0.get(usize::from(id / 64)).is_some_and(|bits| bits >> (id % 64) & 1 != 0)
    }
}

/// Returns the bytes of an extent of `1 << group_shift` groups.
pub(crate) fn index_bytes(group_shift: u32) -> u64 {
    (size_of::<Group>() as u64) << group_shift
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `conf/fits.rs` uses the same numbers; `tests/conf_errors.rs` tests them.
    #[test]
    fn a_block_of_64_kib_has_room_for_one_object_of_61368_bytes() {
        let block = 64 << 10;
        assert!(plan_slots(8 + 61_368, 8, block, block).is_some());
        assert!(plan_slots(8 + 61_368 + 8, 8, block, block).is_none());
    }

    #[test]
    fn an_extent_holds_at_least_one_slot_and_never_exceeds_a_block() {
        for block in [64u64 << 10, 1 << 20, 64 << 20, 1 << 30] {
            for stride in [16, 72, 264, 4104, 12_296, 32_776, block - 8192] {
                let plan = plan_slots(stride, 8, block * 4, block).unwrap();
                assert!(plan.bytes <= block - limits::PAGE, "{stride} {block}");
                assert!(plan.map_bytes + (stride << plan.shift) <= plan.bytes);
            }
        }
        assert_eq!(plan_slots((1 << 20) - 4096, 8, 1 << 22, 1 << 20), None);
    }

    /// Whole extents of any type reach the largest capacity that an ini may request.
    #[test]
    fn the_largest_capacity_fits() {
        for pool in [1u64 << 20, 1 << 30, 1 << 40, 1 << 50] {
            for stride in [16, 24, 64, 72, 4104] {
                let Some(plan) = plan_slots(stride, 8, pool, pool.min(1 << 40)) else { continue };
                assert!(plan.shift <= limits::MAX_EXTENT_SLOTS.ilog2(), "{stride} {pool}");
                let slots = limits::MAX_CAPACITY.next_multiple_of(1 << plan.shift);
                assert!(slots <= limits::MAX_SLOTS, "{stride} {pool}");
            }
        }
        assert!(plan_slots(16, 8, 1 << 50, 1 << 40).is_some_and(|plan| plan.shift >= 18));
    }
}
