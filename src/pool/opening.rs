//! The steps of a start, in their order: everything is judged, then something is stored.
//!
//! 1. The lock is taken, and the base is judged ([`Prospect`]).
//! 2. Whatever the base says of itself, of its blocks, types and extents has to make sense.
//! 3. The blocks of the pool and what is under the new keys of the ini are judged, and of a pool that is moved aside
//!    what is under its post-mortem keys.
//! 4. The ini is compared with the pool.
//! 5. What recovery will touch is looked at.
//!
//! A start that is refused in one of these steps has changed nothing. Then:
//!
//! 6. The segments that are missing are made: the base of a cold start, then blocks. If one cannot be made, those that
//!    this start has made are removed again.
//! 7. The pool is adopted (`adopt.rs`).
//! 8. The new blocks are counted, one by one.

use crate::commits::Commit;
use crate::conf::{OnCrashLoop, Place, ProcessConf, key_plan};
use crate::layout::{BLOCK_ACTIVE, BLOCK_VACANT, ExtentKind};
use crate::mutants::{Mutant, planted};
use crate::pool::change::undo::Undo;
use crate::pool::error::PoolError;
use crate::pool::start::adopt::{self, Found};
use crate::pool::start::agree::{self, Stored};
use crate::pool::start::breaker::{self, CrashLoop};
use crate::pool::start::disagreement::{Disagreement, OF_THE_BASE};
use crate::pool::start::elsewhere;
use crate::pool::start::judging::{self, Pending};
use crate::pool::start::move_aside;
use crate::pool::start::report::ResumeReport;
use crate::pool::start::starts::{Farewell, Now, Starts};
use crate::pool::store::base::{self, Base};
use crate::pool::store::extents::{Chains, Space};
use crate::pool::store::shape::{self, TypeSet};
use crate::region::Region;
use crate::share::{BlockWant, Home, Prospect, ShareError, ShareMgr, Verdict};
use crate::sys;
use crate::units::Bytes;
use std::collections::HashSet;
use std::time::Instant;

/// A pool that this process owns.
pub(crate) struct Opened {
    pub(crate) base: Base,
    pub(crate) space: Space,
    pub(crate) chains: Chains,
    pub(crate) undo: Undo,
    pub(crate) report: ResumeReport,
    pub(crate) farewell: Farewell,
    /// Last, so that nothing that points into the segments outlives them.
    pub(crate) share: ShareMgr,
}

/// What was judged of a pool and not stored to yet.
struct Judged {
    base: Base,
    space: Space,
    chains: Chains,
    /// Blocks that are to be had, those of the table first.
    pending: Vec<Pending>,
}

/// Opens the pool of a process. Where another start makes or removes the base at the same moment, this one begins again:
/// it waits for the other, and is told whose the pool is.
pub(crate) fn open(conf: &ProcessConf) -> Result<Opened, PoolError> {
    const ROUNDS: u32 = 100;
    for _ in 0..ROUNDS {
        match try_open(conf) {
            Err(PoolError::Share(ShareError::Outrun { .. })) => {}
            other => return other.map_err(|error| at_home(conf, error)),
        }
    }
    try_open(conf).map_err(|error| at_home(conf, error))
}

/// Says where the segment is that the system refused.
#[cold]
fn at_home(conf: &ProcessConf, error: PoolError) -> PoolError {
    match error {
        PoolError::Share(error) => error.at(&*Home::of(conf).open()).into(),
        other => other,
    }
}

fn try_open(conf: &ProcessConf) -> Result<Opened, PoolError> {
    let began = Instant::now();
    let prospect = Prospect::look(conf, base::base_bytes(conf)).map_err(|error| refused(conf, error))?;
    let mut opened = match prospect.base() {
        None => cold(conf, prospect)?,
        Some(region) => hot(conf, prospect, region)?,
    };
    opened.report.took = began.elapsed();
    opened.report.memory = opened.share.settle()?;
    log::info!("{}", opened.report);
    Ok(opened)
}

/// Makes a pool where there is none.
fn cold(conf: &ProcessConf, prospect: Prospect) -> Result<Opened, PoolError> {
    let told = look_elsewhere(conf, &prospect)?;
    let pending = judging::all_new(conf, &prospect).map_err(|error| name_owner(conf, error))?;
    let first_generation = move_aside::first_generation(conf);
    let share =
        prospect.take(Vec::new(), &mut |region: &Region| base::make(region, conf, first_generation))?;
    let mut opened = begin(conf, share, pending, None)?;
    opened.report.told = told;
    Ok(opened)
}

/// Resumes a pool, or begins it again.
fn hot(conf: &ProcessConf, prospect: Prospect, region: Region) -> Result<Opened, PoolError> {
    let base = Base::find(region).map_err(|what| PoolError::corrupt(conf, what))?;
    judging::table(&base).map_err(|what| PoolError::corrupt(conf, &what))?;
    check_hot(conf, &base)?;
    let crash_loop = find_crash_loop(conf, &base)?;
    let loops = crash_loop.is_some_and(|found| found.policy == OnCrashLoop::Cold);
    let begins_again = loops || move_aside::is_moved(&base.header);
    let told = compare(conf, &base, &prospect, begins_again)?;
    if begins_again {
        let mut opened = again(conf, prospect, base, crash_loop)?;
        opened.report.told = told;
        return Ok(opened);
    }
    let mut blocks = judging::blocks(conf, &base, &prospect)?;
    let (space, chains) = find_space(conf, &base, blocks.regions)?;
    judging::holes(conf, &prospect, &blocks.complete, &space)?;
    let new = judging::new_keys(conf, &base, &prospect).map_err(|error| name_owner(conf, error))?;
    blocks.pending.extend(new);
    let undo = Undo::of(&base).map_err(|what| PoolError::corrupt(conf, what))?;
    let found = Found { base: &base, space: &space, chains: &chains };
    if conf.resume.must_be_hot && !adopt::has_begun(&found) {
        let what = "has no object, and no start of it was ever ready";
        return Err(not_hot(conf, format!("the pool under {} {what}", conf.base_key)));
    }
    adopt::check(&found, &undo, conf, crash_loop).map_err(|what| PoolError::corrupt(conf, what))?;

    let share = prospect.take(blocks.complete, &mut |_| ())?;
    let judged = Judged { base, space, chains, pending: blocks.pending };
    let mut opened = finish(conf, share, judged, undo, crash_loop)?;
    opened.report.told = told;
    Ok(opened)
}

/// Compares the ini with the pool; what does not fit refuses the start. Nothing has been stored yet. A pool that begins
/// again becomes what the ini says, but for what its base keeps, and it has to be that of this process.
fn compare(
    conf: &ProcessConf,
    base: &Base,
    prospect: &Prospect,
    begins_again: bool,
) -> Result<Vec<Disagreement>, PoolError> {
    let stored = Stored { base, facts: prospect.facts(), page: prospect.page() };
    let mut found = agree::compare(conf, &stored);
    found.retain(|one| !begins_again || OF_THE_BASE.contains(&one.rule));
    agree::judge(found)
}

/// Looks for the pool of the process where the ini does not, before one is made.
fn look_elsewhere(conf: &ProcessConf, prospect: &Prospect) -> Result<Vec<Disagreement>, PoolError> {
    let mut found = elsewhere::in_other_backend(conf);
    if found.is_empty() && prospect.is_after_an_owner() {
        found.push(elsewhere::semaphores_alone(conf));
    }
    agree::judge(found)
}

/// Names the pool that has a block which the ini names.
#[cold]
fn name_owner(conf: &ProcessConf, error: PoolError) -> PoolError {
    match &error {
        PoolError::Share(ShareError::Refused { verdict: Verdict::Foreign { .. }, facts }) => {
            let found = elsewhere::owner_of_block(conf, facts);
            found.map_or(error, |found| PoolError::Disagrees(Box::new(found)))
        }
        _ => error,
    }
}

/// Moves the state of a pool in a crash loop aside, or goes on with a move that was cut. The pool is new and empty then.
fn again(
    conf: &ProcessConf,
    prospect: Prospect,
    base: Base,
    crash_loop: Option<CrashLoop>,
) -> Result<Opened, PoolError> {
    let is_moved = move_aside::is_moved(&base.header);
    let mut judged = None;
    let mut complete = Vec::new();
    if !is_moved {
        let blocks = judging::blocks(conf, &base, &prospect)?;
        let (space, chains) = find_space(conf, &base, blocks.regions)?;
        move_aside::check(conf, &base, &space, &prospect)?;
        judged = Some((space, chains));
        complete = blocks.complete;
    }
    let mut blocks = base.block_keys();
    blocks.extend(judging::again(conf, &base, &prospect)?);
    // Blocks of another size are of no use to the new pool.
    // The new pool has the base of the old one, and so its undo log.
    let undo_size = Bytes(base.header.geometry.lanes_bytes.load());
    let new = ProcessConf { undo_size, ..conf.clone() };
    let kept = if conf.block_size.0 == base.block_bytes() { &conf.shm_keys[..] } else { &[] };

    let mut share = prospect.take(complete, &mut |_| ())?;
    if let Some((space, chains)) = judged {
        if let Err(error) = move_aside::copy(conf, &base, &space, &chains, &mut share) {
            share.take_back();
            return Err(error);
        }
        share.settle_blocks();
        move_aside::mark(&base.header);
    }
    let first_generation = move_aside::first_generation(conf);
    let make = &mut |region: &Region| base::make(region, &new, first_generation);
    share.begin_again(&blocks, kept, make)?;
    let pending = judging::of_new_pool(conf, &share)?;
    let mut opened = begin(conf, share, pending, crash_loop)?;
    opened.report.moved_to = Some(key_plan::post_mortem(conf.base_key));
    Ok(opened)
}

/// The rest of the way for a base that was made in this start.
fn begin(
    conf: &ProcessConf,
    share: ShareMgr,
    pending: Vec<Pending>,
    crash_loop: Option<CrashLoop>,
) -> Result<Opened, PoolError> {
    let base = Base::find(share.base()).map_err(|what| PoolError::corrupt(conf, what))?;
    let (space, chains) = find_space(conf, &base, Vec::new())?;
    let undo = Undo::of(&base).map_err(|what| PoolError::corrupt(conf, what))?;
    finish(conf, share, Judged { base, space, chains, pending }, undo, crash_loop)
}

/// Has the missing blocks, adopts the pool, counts the blocks.
fn finish(
    conf: &ProcessConf,
    share: ShareMgr,
    judged: Judged,
    mut undo: Undo,
    crash_loop: Option<CrashLoop>,
) -> Result<Opened, PoolError> {
    let Judged { base, mut space, chains, pending } = judged;
    let (mut share, had) = have(share, pending)?;
    let found = Found { base: &base, space: &space, chains: &chains };
    let report = adopt::adopt(&found, &mut undo, conf, &share, crash_loop)
        .map_err(|what| PoolError::corrupt(conf, what))?;
    let farewell = Farewell::new(Starts::of(&base));
    fit_blocks(conf, &base, &mut space, &had);
    share.settle_blocks();
    Ok(Opened { base, space, chains, undo, report, farewell, share })
}

/// Has the blocks that were judged: as they are, or made. If one cannot be had, all that this start has made goes again.
fn have(
    mut share: ShareMgr,
    pending: Vec<Pending>,
) -> Result<(ShareMgr, Vec<(BlockWant, Region)>), PoolError> {
    let mut had = Vec::with_capacity(pending.len());
    let mut rest = pending.into_iter();
    while let Some(Pending { want, judged }) = rest.next() {
        match share.have_block(judged, &want) {
            Ok(region) => had.push((want, region)),
            Err(error) => {
                drop(rest);
                share.take_back();
                return Err(error.into());
            }
        }
    }
    Ok((share, had))
}

/// The refusal of a cold start, with the place of what refuses it.
#[cold]
fn refused(conf: &ProcessConf, error: ShareError) -> PoolError {
    match error {
        ShareError::Cold { verdict, facts } => not_hot(conf, verdict.reason(&facts)),
        other => other.into(),
    }
}

#[cold]
fn not_hot(conf: &ProcessConf, found: String) -> PoolError {
    PoolError::NotHot { place: place(conf, "MustBeHot"), found }
}

/// A key of the process, at the line of its section.
fn place(conf: &ProcessConf, key: &str) -> Place {
    Place { key: key.into(), ..conf.places.section.clone() }
}

/// Refuses a pool that its first owner never came to fill, where only a hot start will do.
fn check_hot(conf: &ProcessConf, base: &Base) -> Result<(), PoolError> {
    let what = match (base.header.ntypes.load(), move_aside::is_moved(&base.header)) {
        _ if !conf.resume.must_be_hot => return Ok(()),
        (_, true) => "was moved aside to its post-mortem keys",
        (0, _) => "has never had a type",
        _ => return Ok(()),
    };
    Err(not_hot(conf, format!("the pool under {} {what}", conf.base_key)))
}

/// The crash loop that this start would go on with, unless the ini refuses that.
fn find_crash_loop(conf: &ProcessConf, base: &Base) -> Result<Option<CrashLoop>, PoolError> {
    if conf.resume.max_crash_resumes == 0 || move_aside::is_moved(&base.header) {
        return Ok(None);
    }
    let Some(found) = breaker::crash_loop(conf, &Starts::of(base).read(), Now::read()) else {
        return Ok(None);
    };
    match found.policy {
        OnCrashLoop::Fail => Err(PoolError::CrashLoop {
            place: conf.places.section.clone(),
            key: conf.base_key,
            crashes: found.crashes,
            since: found.since.as_secs(),
            wait: found.passes_in.as_secs() + 1,
        }),
        OnCrashLoop::Quarantine | OnCrashLoop::Cold => Ok(Some(found)),
    }
}

/// Reads what types have taken of the blocks.
pub(crate) fn find_space(
    conf: &ProcessConf,
    base: &Base,
    regions: Vec<Option<Region>>,
) -> Result<(Space, Chains), PoolError> {
    let mut space = Space::new(base, regions, Home::of(conf));
    let used = check_types(conf, base)?;
    let chains = space.load(&base.types, &used).map_err(|(number, what)| {
        PoolError::corrupt(conf, &format!("extent {number} makes no sense: {what}"))
    })?;
    check_counts(conf, base, &chains)?;
    Ok((space, chains))
}

fn check_types(conf: &ProcessConf, base: &Base) -> Result<TypeSet, PoolError> {
    let mut used = TypeSet::default();
    let count = (base.header.ntypes.load() as usize).min(base.header.order.len());
    for (number, id) in base.header.order[..count].iter().enumerate() {
        let id = id.load();
        let info = base.types.get(id as usize);
        let found = info
            .ok_or("its number is out of range")
            .and_then(|i| shape::check(i, id as u16, base.block_bytes()))
            .and_then(|()| if used.insert(id as u16) { Ok(()) } else { Err("it was added before") });
        found.map_err(|what| {
            PoolError::corrupt(conf, &format!("type {id}, added as number {number}: {what}"))
        })?;
    }
    Ok(used)
}

/// Refuses sums that no history of the extents could have led to.
fn check_counts(conf: &ProcessConf, base: &Base, chains: &Chains) -> Result<(), PoolError> {
    for info in base.used_types() {
        let id = info.id.load() as u16;
        let slots = (chains.count(id, ExtentKind::Slots) as u64) << info.shift.load();
        let groups = (chains.count(id, ExtentKind::Index) as u64) << info.group_shift.load();
        let found = shape::check_counts(&info, slots, groups);
        found.map_err(|what| PoolError::corrupt(conf, &format!("type `{}`: {what}", info.name())))?;
    }
    Ok(())
}

/// Makes the blocks of the pool those of the ini: takes back those that were given up, gives up empty ones that are not
/// named any more, counts the new ones.
fn fit_blocks(conf: &ProcessConf, base: &Base, space: &mut Space, had: &[(BlockWant, Region)]) {
    let keys: HashSet<u32> = conf.shm_keys.iter().map(|key| key.0).collect();
    for number in 0..base.nblocks() {
        let Some(block) = base.blocks.get(number) else { break };
        if keys.contains(&block.key.load()) {
            Commit::BlockTaken.store(&block.state, BLOCK_ACTIVE);
        } else if block.state.load() != BLOCK_VACANT {
            Commit::BlockGivenUp.store(&block.state, BLOCK_VACANT);
            space.give_up(number);
        }
    }
    for (want, region) in had {
        if want.index as usize == base.nblocks() {
            count_block(base, want);
        }
        space.put(want.index as usize, *region);
    }
}

/// Counts one new block. The store to `nblocks` commits; a kill before it leaves a segment with the
/// identity of the pool, which the next start takes.
fn count_block(base: &Base, want: &BlockWant) {
    let Some(block) = base.blocks.get(want.index as usize) else { return };
    if planted(Mutant::BlockCountsFirst) {
        Commit::Block.store(&base.header.nblocks, u64::from(want.index) + 1);
    }
    block.key.fill(want.key.0);
    block.index.fill(want.index);
    block.state.fill(BLOCK_ACTIVE);
    block.created.fill(sys::wall_nanos());
    Commit::Block.store(&base.header.nblocks, u64::from(want.index) + 1);
}
