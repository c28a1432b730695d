//! The steps of a start, in order: first everything is judged, then the first store follows.
//!
//! 1. The start takes the lock and judges the base ([`Prospect`]).
//! 2. It checks everything that the base records about itself, its blocks, types and extents.
//! 3. It judges the blocks of the pool and the segments under new keys of the ini, and for a pool
//!    that is moved aside those under its post-mortem keys.
//! 4. It compares the ini with the pool.
//! 5. It checks what recovery will change.
//!
//! A start that is refused in one of these steps has changed nothing. (Step 1 removes the remains of a
//! killed restore, which never were a pool.) Then:
//!
//! 6. It creates missing segments: the base of a cold start, then blocks. If one cannot be created,
//!    those that this start has created are removed again.
//! 7. It adopts the pool (`adopt.rs`).
//! 8. It counts the new blocks, one by one.

use crate::commits::Commit;
use crate::conf::{OnCrashLoop, ProcessConf, key_plan};
use crate::layout::{BLOCK_ACTIVE, BLOCK_VACANT, Broken};
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
use crate::pool::start::report::{RestoredFrom, ResumeReport};
use crate::pool::start::starts::{Farewell, Now, Starts};
use crate::pool::store::base::{self, Base};
use crate::pool::store::chains::Chains;
use crate::pool::store::extents::Space;
use crate::region::Region;
use crate::share::{BlockWant, Home, PoolSegments, Prospect, ShareError, Verdict};
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
    /// Dropped last, so that nothing that points into the segments outlives them.
    pub(crate) share: PoolSegments,
}

/// The judged parts of a pool, to which nothing was stored yet.
struct Judged {
    base: Base,
    space: Space,
    chains: Chains,
    /// Blocks to be attached or created, those of the table first.
    pending: Vec<Pending>,
}

/// Opens the pool of a process.
///
/// If another start creates or removes the base at the same moment, this one begins again: it waits
/// for the other, and reports which process owns the pool.
pub(crate) fn open(conf: &ProcessConf, restored: Option<RestoredFrom>) -> Result<Opened, PoolError> {
    const ROUNDS: u32 = 100;
    let opening = Opening { conf, restored };
    for _ in 0..ROUNDS {
        match opening.run() {
            Err(PoolError::Share(ShareError::Outrun { .. })) => {}
            other => return other.map_err(|error| opening.at_home(error)),
        }
    }
    opening.run().map_err(|error| opening.at_home(error))
}

/// One start of the pool of a process.
struct Opening<'a> {
    conf: &'a ProcessConf,
    /// The snapshot from which the pool was just restored.
    restored: Option<RestoredFrom>,
}

impl Opening<'_> {
    fn run(&self) -> Result<Opened, PoolError> {
        let began = Instant::now();
        let prospect =
            Prospect::look(self.conf, base::base_bytes(self.conf)).map_err(|error| self.refused(error))?;
        let mut opened = match prospect.base() {
            None => self.cold(prospect)?,
            Some(region) => self.hot(prospect, region)?,
        };
        opened.report.took = began.elapsed();
        opened.report.memory = opened.share.settle()?;
        opened.report.restored = self.restored.clone();
        log::info!("{}", opened.report);
        Ok(opened)
    }

    /// Creates a pool where none exists.
    fn cold(&self, prospect: Prospect) -> Result<Opened, PoolError> {
        let told = self.look_elsewhere(&prospect)?;
        let pending = judging::all_new(self.conf, &prospect).map_err(|error| match prospect.is_outrun() {
            // The blocks belong to the base that another start has created since.
            true => ShareError::Outrun { key: self.conf.base_key }.into(),
            false => self.name_owner(error),
        })?;
        let first_generation = move_aside::first_generation(self.conf);
        let share = prospect
            .take(Vec::new(), &mut |region: &Region| base::make(region, self.conf, first_generation))?;
        let mut opened = self.begin(share, pending, None)?;
        opened.report.told = told;
        Ok(opened)
    }

    /// Resumes a pool, or begins it again.
    fn hot(&self, prospect: Prospect, region: Region) -> Result<Opened, PoolError> {
        let base = Base::find(region).map_err(|what| PoolError::corrupt(self.conf, what))?;
        judging::table(&base).map_err(|what| PoolError::corrupt(self.conf, &what))?;
        self.check_hot(&base)?;
        let crash_loop = self.find_crash_loop(&base)?;
        let loops = crash_loop.is_some_and(|found| found.policy == OnCrashLoop::Cold);
        let begins_again = loops || move_aside::is_moved(&base.header);
        let told = self.compare(&base, &prospect, begins_again)?;
        if begins_again {
            let mut opened = self.again(prospect, base, crash_loop)?;
            opened.report.told = told;
            return Ok(opened);
        }
        let mut blocks = judging::blocks(self.conf, &base, &prospect)?;
        let (space, chains) = judging::space(self.conf, &base, blocks.regions)?;
        judging::holes(self.conf, &prospect, &blocks.complete, &space)?;
        let new = judging::new_keys(self.conf, &base, &prospect).map_err(|error| self.name_owner(error))?;
        blocks.pending.extend(new);
        let undo = Undo::of(&base).map_err(|what| PoolError::corrupt(self.conf, what))?;
        let found = Found { base: &base, space: &space, chains: &chains };
        if self.conf.resume.must_be_hot && !adopt::has_begun(&found) {
            let what = "has no object, and no start of it was ever ready";
            return Err(self.not_hot(format!("the pool under {} {what}", self.conf.base_key)));
        }
        adopt::check(&found, &undo, self.conf, crash_loop)
            .map_err(|what| PoolError::corrupt(self.conf, what))?;

        let share = prospect.take(blocks.complete, &mut |_| ())?;
        let judged = Judged { base, space, chains, pending: blocks.pending };
        let mut opened = self.finish(share, judged, undo, crash_loop)?;
        opened.report.told = told;
        Ok(opened)
    }

    /// Compares the ini with the pool, before the first store; a serious disagreement refuses the
    /// start.
    ///
    /// A pool that begins again adopts the ini, except for what its base keeps, but it must belong to
    /// this process.
    fn compare(
        &self,
        base: &Base,
        prospect: &Prospect,
        begins_again: bool,
    ) -> Result<Vec<Disagreement>, PoolError> {
        let stored = Stored { base, facts: prospect.facts(), page: prospect.page() };
        let mut found = agree::compare(self.conf, &stored);
        found.retain(|one| !begins_again || OF_THE_BASE.contains(&one.rule));
        agree::judge(found)
    }

    /// Searches for the pool of the process in other places before a new one is created.
    fn look_elsewhere(&self, prospect: &Prospect) -> Result<Vec<Disagreement>, PoolError> {
        let mut found = elsewhere::in_other_backend(self.conf);
        if found.is_empty() && prospect.is_after_an_owner() {
            found.push(elsewhere::semaphores_alone(self.conf));
        }
        agree::judge(found)
    }

    /// Names the pool to which a block in the ini belongs.
    #[cold]
    fn name_owner(&self, error: PoolError) -> PoolError {
        match &error {
            PoolError::Share(ShareError::Refused { verdict: Verdict::Foreign { .. }, facts }) => {
                let found = elsewhere::owner_of_block(self.conf, facts);
                found.map_or(error, |found| PoolError::Disagrees(Box::new(found)))
            }
            _ => error,
        }
    }

    /// Moves a pool in a crash loop aside, or continues an interrupted move; the pool is then new and
    /// empty.
    fn again(
        &self,
        prospect: Prospect,
        base: Base,
        crash_loop: Option<CrashLoop>,
    ) -> Result<Opened, PoolError> {
        let is_moved = move_aside::is_moved(&base.header);
        let mut judged = None;
        let mut complete = Vec::new();
        if !is_moved {
            let blocks = judging::blocks(self.conf, &base, &prospect)?;
            let (space, chains) = judging::space(self.conf, &base, blocks.regions)?;
            move_aside::check(self.conf, &base, &space, &prospect)?;
            judged = Some((space, chains));
            complete = blocks.complete;
        }
        let mut blocks = base.block_keys();
        blocks.extend(judging::again(self.conf, &base, &prospect)?);
        // Blocks of another size cannot be used by the new pool. It keeps the base of the old pool, and
        // thus its undo log.
        let undo_size = Bytes(base.header.geometry.lanes_bytes.load());
        let new = ProcessConf { undo_size, ..self.conf.clone() };
        if base::base_bytes(&new) > base.region.len() {
            return Err(PoolError::corrupt(self.conf, Broken::NoRoom));
        }
        let kept = if self.conf.block_size.0 == base.block_bytes() { &self.conf.shm_keys[..] } else { &[] };

        let mut share = prospect.take(complete, &mut |_| ())?;
        if let Some((space, chains)) = judged {
            if let Err(error) = move_aside::copy(self.conf, &base, &space, &chains, &mut share) {
                share.take_back();
                return Err(error);
            }
            share.settle_blocks();
            move_aside::mark(&base.header);
        }
        let first_generation = move_aside::first_generation(self.conf);
        let make = &mut |region: &Region| base::make(region, &new, first_generation);
        share.begin_again(&blocks, kept, make)?;
        let pending = judging::of_new_pool(self.conf, &share)?;
        let mut opened = self.begin(share, pending, crash_loop)?;
        opened.report.moved_to = Some(key_plan::post_mortem(self.conf.base_key));
        Ok(opened)
    }

    /// Completes the start of a base that was created in this start.
    fn begin(
        &self,
        share: PoolSegments,
        pending: Vec<Pending>,
        crash_loop: Option<CrashLoop>,
    ) -> Result<Opened, PoolError> {
        let base = Base::find(share.base()).map_err(|what| PoolError::corrupt(self.conf, what))?;
        let (space, chains) = judging::space(self.conf, &base, Vec::new())?;
        let undo = Undo::of(&base).map_err(|what| PoolError::corrupt(self.conf, what))?;
        self.finish(share, Judged { base, space, chains, pending }, undo, crash_loop)
    }

    /// Attaches or creates the missing blocks, adopts the pool, and counts the blocks.
    fn finish(
        &self,
        share: PoolSegments,
        judged: Judged,
        mut undo: Undo,
        crash_loop: Option<CrashLoop>,
    ) -> Result<Opened, PoolError> {
        let Judged { base, mut space, chains, pending } = judged;
        let (mut share, obtained) = obtain(share, pending)?;
        let found = Found { base: &base, space: &space, chains: &chains };
        let report = adopt::adopt(&found, &mut undo, self.conf, &share, crash_loop)
            .map_err(|what| PoolError::corrupt(self.conf, what))?;
        let farewell = Farewell::new(Starts::of(&base));
        self.fit_blocks(&base, &mut space, &obtained);
        share.settle_blocks();
        Ok(Opened { base, space, chains, undo, report, farewell, share })
    }

    /// Adds backend and folder to an error of a segment.
    #[cold]
    fn at_home(&self, error: PoolError) -> PoolError {
        match error {
            PoolError::Share(error) => error.at(&*Home::of(self.conf).open()).into(),
            other => other,
        }
    }

    /// Turns the refusal of a cold start into an error with the position of the setting.
    #[cold]
    fn refused(&self, error: ShareError) -> PoolError {
        match error {
            ShareError::Cold { verdict, facts } => self.not_hot(verdict.reason(&facts)),
            other => other.into(),
        }
    }

    #[cold]
    fn not_hot(&self, found: String) -> PoolError {
        PoolError::NotHot { place: agree::place(self.conf, "MustBeHot"), found }
    }

    /// Refuses a pool that has never had a type, if only a hot start is acceptable.
    fn check_hot(&self, base: &Base) -> Result<(), PoolError> {
        let what = match (base.header.ntypes.load(), move_aside::is_moved(&base.header)) {
            _ if !self.conf.resume.must_be_hot => return Ok(()),
            (_, true) => "was moved aside to its post-mortem keys",
            (0, _) => "has never had a type",
            _ => return Ok(()),
        };
        Err(self.not_hot(format!("the pool under {} {what}", self.conf.base_key)))
    }

    /// Returns the crash loop that this start would continue, unless the ini refuses that.
    fn find_crash_loop(&self, base: &Base) -> Result<Option<CrashLoop>, PoolError> {
        if self.conf.resume.max_crash_resumes == 0 || move_aside::is_moved(&base.header) {
            return Ok(None);
        }
        let Some(found) = breaker::crash_loop(self.conf, &Starts::of(base).read(), Now::read()) else {
            return Ok(None);
        };
        match found.policy {
            OnCrashLoop::Fail => Err(PoolError::CrashLoop {
                place: self.conf.places.section.clone(),
                key: self.conf.base_key,
                crashes: found.crashes,
                since: found.since.as_secs(),
                wait: found.passes_in.as_secs() + 1,
            }),
            OnCrashLoop::Quarantine | OnCrashLoop::Cold => Ok(Some(found)),
        }
    }

    /// Adapts the blocks of the pool to the ini.
    ///
    /// It takes back blocks that were given up, gives up empty ones that the ini no longer names, and
    /// counts the new ones.
    fn fit_blocks(&self, base: &Base, space: &mut Space, obtained: &[(BlockWant, Region)]) {
        let keys: HashSet<u32> = self.conf.shm_keys.iter().map(|key| key.0).collect();
        for number in 0..base.nblocks() {
            let Some(block) = base.blocks.get(number) else { break };
            if keys.contains(&block.key.load()) {
                Commit::BlockTaken.store(&block.state, BLOCK_ACTIVE);
            } else if block.state.load() != BLOCK_VACANT {
                space.clear(number);
                Commit::BlockGivenUp.store(&block.state, BLOCK_VACANT);
                space.give_up(number);
            }
        }
        for (want, region) in obtained {
            if want.index as usize == base.nblocks() {
                count_block(base, want);
            }
            space.put(want.index as usize, *region);
        }
    }
}

/// Attaches or creates the judged blocks. If one fails, everything that this start has created is
/// removed.
fn obtain(
    mut share: PoolSegments,
    pending: Vec<Pending>,
) -> Result<(PoolSegments, Vec<(BlockWant, Region)>), PoolError> {
    let mut obtained = Vec::with_capacity(pending.len());
    let mut rest = pending.into_iter();
    while let Some(Pending { want, judged }) = rest.next() {
        match share.have_block(judged, &want) {
            Ok(region) => obtained.push((want, region)),
            Err(error) => {
                drop(rest);
                share.take_back();
                return Err(error.into());
            }
        }
    }
    Ok((share, obtained))
}

/// Counts one new block. The store to `nblocks` commits.
///
/// If killed before that store, the segment has the identity of the pool, and the next start takes
/// it.
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
