//! Moving a pool aside: its state is copied to the post-mortem keys, then its segments are emptied.
//!
//! A System V segment cannot change its key, so the state is copied: the base, and the allocated
//! part of each block. The copy is a pool of its own, with keys and an identity that derive from
//! the original's (`key_plan::post_mortem`). So `hotpool ls`, `postmortem` and `rm` handle it, and
//! a program can open it.
//!
//! | step | state if killed after this step |
//! |---|---|
//! | the blocks are copied, each from `HOTPMAKE` to `HOTPOOL1` | the pool unchanged; copies that the next attempt writes again |
//! | the base is copied last | the pool unchanged, and a complete copy, which the next attempt keeps |
//! | `moved` is stored | the copy; the next start continues from here, whatever the ini says by then |
//! | the blocks are marked `HOTPMAKE` | as after `moved` |
//! | the base is marked `HOTPMAKE` | the beginning of a new pool, as after any interrupted creation |
//!
//! A move takes the time to copy the bytes in use, about 1 s for each 2 GiB, and as much memory.
//! Out of memory is an error that changes nothing.

use crate::commits::Commit;
use crate::conf::ProcessConf;
use crate::conf::key_plan::post_mortem;
use crate::layout::{BLOCK_VACANT, BaseHeader, BlockBase, Frozen, TypeInfo};
use crate::limits::PAGE;
use crate::mutants::{Mutant, planted};
use crate::object::GENERATION_MASK;
use crate::pool::error::PoolError;
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::extents::Space;
use crate::pool::store::slot::RETIRED;
use crate::region::{At, Region};
use crate::share::{Home, Observed, PoolSegments, Prospect, ShareError, Standing, Verdict};
use crate::units::{Bytes, Key};
use crate::word::Word;
use std::time::Instant;

/// Judges the segments under the post-mortem keys of a pool, before the first store.
pub(crate) fn check(
    conf: &ProcessConf,
    base: &Base,
    space: &Space,
    prospect: &Prospect,
) -> Result<(), PoolError> {
    let judge = |key, block, bytes| {
        prospect.judge_copy(post_mortem(key), block, bytes).map_err(|error| taken(conf, error))
    };
    if judge(conf.base_key, None, base.region.len())? == Standing::Complete {
        return Ok(());
    }
    for number in 0..base.nblocks() {
        if let (Some(block), Some(_)) = (base.blocks.get(number), space.block(number)) {
            judge(Key(block.key.load()), Some(number as u32), base.block_bytes())?;
        }
    }
    Ok(())
}

/// Copies a pool to its post-mortem keys, and returns that of the base. The pool itself does not
/// change.
pub(crate) fn copy(
    conf: &ProcessConf,
    base: &Base,
    space: &Space,
    chains: &Chains,
    share: &mut PoolSegments,
) -> Result<Key, PoolError> {
    let began = Instant::now();
    let taken = |error| taken(conf, error);
    let key = post_mortem(conf.base_key);
    if share.judge_copy(key, None, base.region.len()).map_err(taken)? == Standing::Complete {
        log::warn!("{}: keeping the complete copy under {key}", conf.name);
        return Ok(key);
    }
    let used: u64 = (0..base.nblocks()).map(|number| space.block_used(number)).sum();
    log::warn!("{}: copying {used} bytes of objects to {key} for the post-mortem", conf.name);
    if planted(Mutant::MoveMarksFirst) {
        mark(&base.header);
    }
    if planted(Mutant::MoveCopiesBaseFirst) {
        copy_base(conf, base, space, chains, share)?;
    }
    for number in 0..base.nblocks() {
        let (Some(block), Some((region, end))) = (base.blocks.get(number), space.block(number)) else {
            continue;
        };
        let key = post_mortem(Key(block.key.load()));
        let bytes = Bytes(base.block_bytes());
        share
            .copy_aside(key, Some(number as u32), bytes, end, &mut |to| copy_range(&region, to, PAGE, end))
            .map_err(taken)?;
        log::warn!("{}: copied block {number} to {key}", conf.name);
    }
    copy_base(conf, base, space, chains, share)?;
    log::warn!("{}: copied the pool to {key} in {} ms", conf.name, began.elapsed().as_millis());
    Ok(key)
}

/// Copies the base, which completes the copy.
fn copy_base(
    conf: &ProcessConf,
    base: &Base,
    space: &Space,
    chains: &Chains,
    share: &mut PoolSegments,
) -> Result<(), PoolError> {
    let len = base.region.len();
    let mut fill = |to: &Region| {
        copy_range(&base.region, to, size_of::<Frozen>() as u64, len);
        rename_blocks(base, space, to);
        keep_generation(to, beyond(base, space, chains));
    };
    let copied = share.copy_aside(post_mortem(conf.base_key), None, Bytes(len), len, &mut fill);
    copied.map_err(|error| taken(conf, error))
}

/// Turns a refusal of a post-mortem key into the error that it is taken.
#[cold]
fn taken(conf: &ProcessConf, error: ShareError) -> PoolError {
    match error {
        ShareError::Refused { verdict, facts } if verdict != Verdict::Absent => PoolError::AsideTaken {
            process: conf.name.clone(),
            base: post_mortem(conf.base_key),
            found: verdict.reason(&facts),
        },
        other => other.into(),
    }
}

/// Copies words to memory that is zero. Zero words are not stored, so that their pages stay
/// unpopulated.
fn copy_range(from: &Region, to: &Region, start: u64, end: u64) {
    let words = (end - start) / size_of::<Word>() as u64;
    let (Ok(from), Ok(to)) = (from.table::<Word>(start, words), to.table::<Word>(start, words)) else {
        return;
    };
    for number in 0..words as usize {
        if let (Some(from), Some(to)) = (from.get(number), to.get(number)) {
            let word = from.load();
            if word != 0 {
                to.fill(word);
            }
        }
    }
}

/// Changes the segment keys of the blocks in the copied base to their post-mortem keys.
fn rename_blocks(base: &Base, space: &Space, to: &Region) {
    let blocks_off = base.header.geometry.blocks_off.load();
    let Ok(blocks) = to.table::<BlockBase>(blocks_off, base.nblocks() as u64) else { return };
    for number in 0..base.nblocks() {
        let Some(block) = blocks.get(number) else { break };
        block.key.fill(post_mortem(Key(block.key.load())).0);
        if space.block(number).is_none() {
            block.state.fill(BLOCK_VACANT);
        }
    }
}

/// Returns the first even generation that no handle of the pool has reached.
///
/// Retired slots do not count: their handles can only return if a slot is used up again.
fn beyond(base: &Base, space: &Space, chains: &Chains) -> u64 {
    let of_type = |info: At<TypeInfo>| {
        let slots = u32::try_from(info.high_water.load()).unwrap_or(u32::MAX);
        let headers = (0..slots).map_while(|index| space.slot_header(chains, &info, index));
        headers.filter(|header| *header != RETIRED).map(|header| header & GENERATION_MASK).max().unwrap_or(0)
    };
    let highest = base.used_types().map(of_type).max().unwrap_or(0);
    let highest = highest.max(base.header.floor.load() & GENERATION_MASK);
    ((highest + 2) & !1).max(base.header.geometry.first_generation())
}

/// Stores in the copy where the generations of the pool that replaces the original begin.
fn keep_generation(to: &Region, first_generation: u64) {
    let Ok(header) = to.at::<BaseHeader>(0) else { return };
    header.geometry.first_generation.fill(first_generation);
    header.geometry.check.fill(header.geometry.sum());
}

/// Returns where the generations of a new pool begin: after those of a pool that was moved aside.
///
/// It reads the copy, because an interrupted creation keeps nothing.
pub(crate) fn first_generation(conf: &ProcessConf) -> u64 {
    let copy = Observed::attach(post_mortem(conf.base_key), &Home::of(conf)).ok();
    let base = copy.as_ref().and_then(|copy| Base::find(copy.base()).ok());
    base.map_or(0, |base| base.header.geometry.first_generation())
}

/// Commits the move: the copy is complete, and this pool holds nothing any more.
pub(crate) fn mark(header: &BaseHeader) {
    if !planted(Mutant::MoveWithoutMark) {
        Commit::Moved.store(&header.moved, 1);
    }
}

/// Returns whether a pool was moved aside and holds nothing any more.
pub(crate) fn is_moved(header: &BaseHeader) -> bool {
    header.moved.load() != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{BackendKind, OnCrashLoop};
    use crate::pool::MemoryPoolMgr;
    use crate::pool::start::judging;
    use crate::pool::store::base;
    use crate::share::StartMode;
    use bytemuck::{Pod, Zeroable};
    use hotpool::PoolObject;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 1)]
    struct Cell {
        value: u64,
    }

    /// Creates a pool in a crash loop, with 4,000 objects in two blocks.
    fn looping() -> ProcessConf {
        static NEXT: AtomicU32 = AtomicU32::new(0x7c30_0000);
        let at = NEXT.fetch_add(16, Ordering::Relaxed);
        let mut conf = ProcessConf::new("zone", Key(at), Bytes(64 << 10), &[Key(at + 1), Key(at + 2)]);
        conf.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.add_type::<Cell>().unwrap();
        // Each object lives at least in the second life of its slot.
        for value in 0..4000 {
            (0..value % 4 + 1).for_each(|_| _ = pool.alloc(Cell { value }).map(|id| pool.free(id)));
            pool.alloc(Cell { value }).unwrap();
        }
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _pool = pool;
            std::panic::resume_unwind(Box::new("a crash"));
        }));
        assert!(panics.is_err());
        conf.resume.max_crash_resumes = 1;
        conf.resume.on_crash_loop = OnCrashLoop::Cold;
        conf
    }

    #[test]
    fn cut_in_the_middle_of_emptying_the_second_block() {
        let conf = looping();
        with_parts(&conf, |base, space, chains, share| {
            copy(&conf, base, space, chains, share).unwrap();
            base.header.moved.store(1);
            empty(&space.block(0).unwrap().0);
            let region = space.block(1).unwrap().0;
            mark_unfinished(&region);
            (4096..8192).step_by(8).for_each(|at| region.at::<Word>(at).unwrap().store(0));
        });
        assert_moved(&conf);
    }

    fn with_parts(conf: &ProcessConf, cut: impl FnOnce(&Base, &Space, &Chains, &mut PoolSegments)) {
        let prospect = Prospect::look(conf, base::base_bytes(conf)).unwrap();
        let base = Base::find(prospect.base().unwrap()).unwrap();
        let blocks = judging::blocks(conf, &base, &prospect).unwrap();
        let (space, chains) = judging::space(conf, &base, blocks.regions).unwrap();
        let mut share = prospect.take(blocks.complete, &mut |_| ()).unwrap();
        cut(&base, &space, &chains, &mut share);
    }

    /// Marks a segment as a start does before it empties it.
    fn mark_unfinished(region: &Region) {
        let frozen = region.at::<Frozen>(0).unwrap();
        frozen.draft.store(crate::layout::DRAFT);
        frozen.magic.store(crate::layout::MAGIC_MAKING);
    }

    /// Empties a segment as a start does.
    fn empty(region: &Region) {
        mark_unfinished(region);
        let words = (64..region.len()).step_by(8);
        words.for_each(|at| region.at::<Word>(at).unwrap().store(0));
        region.at::<Frozen>(0).unwrap().draft.store(0);
    }

    fn assert_moved(conf: &ProcessConf) {
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        pool.add_type::<Cell>().unwrap();
        assert_eq!((pool.start_mode(), pool.len::<Cell>()), (StartMode::Init, 0));
        let new: Vec<_> = (0..7000).map(|value| pool.alloc(Cell { value }).unwrap()).collect();
        pool.close().unwrap();
        let keys: Vec<Key> = conf.shm_keys.iter().copied().map(post_mortem).collect();
        let mut copy = ProcessConf::new("zone", post_mortem(conf.base_key), conf.block_size, &keys);
        copy.backend = BackendKind::Heap;
        let mut pool = MemoryPoolMgr::open(&copy).unwrap();
        pool.add_type::<Cell>().unwrap();
        assert!(pool.iter::<Cell>().map(|(_, cell)| cell.value).eq(0..4000));
        let oldest = new.iter().map(|id| id.handle().generation()).min().unwrap();
        assert!(pool.iter::<Cell>().all(|(id, _)| id.handle().generation() < oldest), "a handle comes back");
    }

    #[test]
    fn a_move_that_was_not_cut() {
        assert_moved(&looping());
    }

    #[test]
    fn cut_behind_the_copy_of_the_first_block() {
        let conf = looping();
        with_parts(&conf, |base, space, _, share| {
            let (region, end) = space.block(0).unwrap();
            let key = post_mortem(conf.shm_keys[0]);
            let half = |to: &Region| copy_range(&region, to, PAGE, end / 2 / 8 * 8);
            share.copy_aside(key, Some(0), Bytes(base.block_bytes()), end, &mut |to| half(to)).unwrap();
        });
        assert_moved(&conf);
    }

    #[test]
    fn cut_behind_the_whole_copy() {
        let conf = looping();
        with_parts(&conf, |base, space, chains, share| _ = copy(&conf, base, space, chains, share).unwrap());
        assert_moved(&conf);
    }

    #[test]
    fn cut_behind_moved_whatever_the_ini_says_by_then() {
        let mut conf = looping();
        with_parts(&conf, |base, space, chains, share| {
            copy(&conf, base, space, chains, share).unwrap();
            base.header.moved.store(1);
        });
        conf.resume.on_crash_loop = OnCrashLoop::Fail;
        assert_moved(&conf);
    }

    #[test]
    fn cut_behind_the_mark_of_the_first_block() {
        let conf = looping();
        with_parts(&conf, |base, space, chains, share| {
            copy(&conf, base, space, chains, share).unwrap();
            base.header.moved.store(1);
            mark_unfinished(&space.block(0).unwrap().0);
        });
        assert_moved(&conf);
    }

    #[test]
    fn cut_behind_the_mark_of_the_base() {
        let conf = looping();
        with_parts(&conf, |base, space, chains, share| {
            copy(&conf, base, space, chains, share).unwrap();
            base.header.moved.store(1);
            (0..2).for_each(|number| empty(&space.block(number).unwrap().0));
            mark_unfinished(&base.region);
        });
        assert_moved(&conf);
    }

    #[test]
    fn a_stranger_under_a_post_mortem_key_is_refused_and_the_pool_stays() {
        let conf = looping();
        let stranger =
            ProcessConf::new("other", post_mortem(conf.base_key), Bytes(64 << 10), &[Key(0x7c3f_0000)]);
        let stranger = ProcessConf { backend: BackendKind::Heap, ..stranger };
        MemoryPoolMgr::open(&stranger).unwrap().close().unwrap();
        let error = MemoryPoolMgr::open(&conf).unwrap_err();
        assert!(matches!(error, PoolError::AsideTaken { .. }), "{error}");
        MemoryPoolMgr::open(&stranger).unwrap().destroy().unwrap();
        assert_moved(&conf);
    }
}
