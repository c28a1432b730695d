//! Opening, serving and leaving a pool.

use crate::commits::Commit;
use crate::conf::{OnCrashLoop, Place, ProcessConf, key_plan};
use crate::layout::{BLOCK_ACTIVE, BLOCK_VACANT, ExtentKind, RUN_CLOSED, RUN_READY};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::object::{Handle, PoolObject};
use crate::pool::adopt::{self, Found};
use crate::pool::aside;
use crate::pool::base::{self, Base};
use crate::pool::black_box::{BlackBox, Event, LIBRARY_TAGS};
use crate::pool::breaker::{self, CrashLoop};
use crate::pool::error::{AllocError, PoolError};
use crate::pool::guard::Mark;
use crate::pool::report::ResumeReport;
use crate::pool::space::{Chains, Space};
use crate::pool::starts::{Farewell, Now, Start, Starts};
use crate::pool::state::TypeState;
use crate::pool::types::{self, Setting, TypeSet};
use crate::pool::undo::Undo;
use crate::pool::wanted::Wanted;
use crate::region::Region;
use crate::share::{ShareError, ShareMgr, StartMode};
use crate::sys;
use crate::units::{Bytes, Key};
use std::time::Instant;

/// Types that can be borrowed side by side.
pub(crate) const PARTS: usize = 8;

/// A pool of typed objects that outlives the process which owns it.
///
/// There is one owner, and in it one pool value: it can be sent to another thread, not shared
/// between threads:
///
/// ```
/// fn can_be_sent<T: Send>() {}
/// can_be_sent::<hotpool::MemoryPoolMgr>();
/// ```
/// ```compile_fail
/// fn can_be_shared<T: Sync>() {}
/// can_be_shared::<hotpool::MemoryPoolMgr>();
/// ```
/// Everything that a method has returned from is there after a `kill -9`; an
/// operation that was cut is either there in full or not at all.
///
/// ```
/// use bytemuck::{Pod, Zeroable};
/// use hotpool::conf::{BackendKind, ProcessConf};
/// use hotpool::units::{Bytes, Key};
/// use hotpool::{MemoryPoolMgr, PoolObject, StartMode};
///
/// #[repr(C)]
/// #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
/// #[pool(id = 1)]
/// struct Monster {
///     hp: i32,
///     kind: u32,
/// }
///
/// let mut conf = ProcessConf::new("zone", Key(0x4850_0100), Bytes(1 << 20), &[Key(0x4850_0101)]);
/// conf.backend = BackendKind::Heap; // gone with the process; the default keeps it
/// let mut pool = MemoryPoolMgr::open(&conf)?;
/// pool.add_type::<Monster>()?;
/// assert_eq!(pool.start_mode(), StartMode::Init);
///
/// let wolf = pool.alloc(Monster { hp: 30, kind: 7 })?;
/// pool.ready()?;
/// pool.get_mut(wolf).unwrap().hp -= 12;
/// assert_eq!(pool.get(wolf).unwrap().hp, 18);
/// assert!(pool.free(wolf));
/// assert!(pool.get(wolf).is_none());
/// pool.destroy()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryPoolMgr {
    pub(crate) types: Box<[Option<Box<TypeState>>; limits::TYPE_TABLE as usize]>,
    pub(crate) space: Space,
    pub(crate) marks: [Mark; PARTS],
    pub(crate) base: Base,
    pub(crate) undo: Undo,
    /// Objects that the transaction in flight has freed.
    pub(crate) freed: Vec<Handle>,
    chains: Chains,
    pub(crate) conf: ProcessConf,
    report: ResumeReport,
    last_generation: u32,
    farewell: Farewell,
    /// Last, so that nothing that points into the segments outlives them.
    pub(crate) share: ShareMgr,
}

impl MemoryPoolMgr {
    /// Opens the pool of a process: attaches what its last owner left (hot), or makes it (cold).
    ///
    /// Waits up to `OwnerWaitMs` for an owner that is still dying. Takes microseconds, whatever
    /// the number of objects: nothing is scanned. With `Prefault` or `LockMemory` it goes on to give every page
    /// its memory, which takes time in proportion to the pool. A kill in here leaves a pool that the next
    /// open resumes, or takes up where its making was cut.
    ///
    /// # Errors
    ///
    /// The configuration breaks a rule of the ini ([`ProcessConf::validate`]). Another process owns the pool; a segment under one of the keys is not ours, of the wrong
    /// size, user or version, or damaged; the ini no longer fits the pool. Nothing is changed then. There is no memory
    /// for what the ini asks for, or a limit keeps it from being locked: the pool stays as hot as it was.
    #[doc(alias = "Init")]
    #[doc(alias = "ResumeBase")]
    pub fn open(conf: &ProcessConf) -> Result<Self, PoolError> {
        let began = Instant::now();
        conf.validate()?;
        let mut share = ShareMgr::open(conf, base::base_bytes(conf), &mut |region: &Region| {
            base::make(region, conf, aside::first_generation(conf))
        })
        .map_err(|error| refused(conf, error))?;
        let mut base = Base::find(share.base()).map_err(|what| corrupt(conf, what))?;
        check_hot(conf, &base)?;
        let crash_loop = find_crash_loop(conf, &base)?;
        let moved_to = move_aside(conf, &base, &mut share, crash_loop)?;
        if moved_to.is_some() {
            base = Base::find(share.base()).map_err(|what| corrupt(conf, what))?;
        }
        check_block_size(conf, &base)?;
        let (mut space, chains) = find_space(conf, &base, &mut share)?;
        check_dropped(conf, &base, &space)?;

        let mut undo = Undo::of(&base).map_err(|what| corrupt(conf, what))?;
        let found = Found { base: &base, space: &space, chains: &chains };
        let mut report =
            adopt::adopt(&found, &mut undo, conf, &share, crash_loop).map_err(|what| corrupt(conf, what))?;
        let farewell = Farewell::new(Starts::of(&base));
        fit_blocks(conf, &base, &mut space, &mut share)?;
        report.moved_to = moved_to;
        report.took = began.elapsed();
        report.memory = share.settle()?;
        log::info!("{report}");
        Ok(MemoryPoolMgr {
            types: Box::new([const { None }; limits::TYPE_TABLE as usize]),
            marks: std::array::from_fn(|number| Mark::new(&base.header, number)),
            last_generation: limits::MAX_GENERATION,
            conf: conf.clone(),
            undo,
            freed: Vec::new(),
            space,
            base,
            chains,
            report,
            farewell,
            share,
        })
    }

    /// Whether this start found objects of an earlier one.
    ///
    /// [`StartMode::Init`] until a type has once been added, so that a program killed in its very
    /// first start starts cold again.
    pub fn start_mode(&self) -> StartMode {
        self.report.mode
    }

    /// Whether this start is hot.
    #[doc(alias = "IsResume")]
    pub fn is_resume(&self) -> bool {
        self.start_mode() == StartMode::Resume
    }

    /// What the open found: how the last owner ended, and the objects there are.
    pub fn resume_report(&self) -> &ResumeReport {
        &self.report
    }

    /// Key of the base segment.
    pub fn base_key(&self) -> Key {
        self.conf.base_key
    }

    /// What the pool was opened with.
    pub fn conf(&self) -> &ProcessConf {
        &self.conf
    }

    /// Bytes of the blocks that no type has taken.
    pub fn bytes_free(&self) -> Bytes {
        Bytes(self.space.bytes_free())
    }

    /// The starts of this pool, the oldest first, this one last: as many as the ring keeps, 64.
    pub fn starts(&self) -> Vec<Start> {
        Starts::of(&self.base).read()
    }

    /// Notes in the black box what the program is doing: a tag of its own, below 2^31, and two words.
    ///
    /// The last two thousand notes are there after any death, for `hotpool postmortem`. Costs a few
    /// nanoseconds: four stores and a look at the coarse clock.
    #[inline]
    pub fn note(&self, tag: u32, a: u64, b: u64) {
        self.note_at(tag, a, b, sys::clock::coarse_nanos());
    }

    /// The same at a time that the program knows: nanoseconds of `CLOCK_MONOTONIC`, read once a tick.
    #[inline]
    pub fn note_at(&self, tag: u32, a: u64, b: u64, nanos: u64) {
        self.black_box().write(tag & !LIBRARY_TAGS, a, b, nanos);
    }

    /// Notes that the program goes to work on an object. If that kills it again and again, the breaker
    /// knows which object it was.
    #[inline]
    pub fn note_object(&self, object: impl Into<Handle>) {
        self.black_box().event(Event::Object, object.into().to_bits(), 0);
    }

    /// Notes that a signal is about to end this process: what the kernel tells nobody but the parent. `starts()` and
    /// `hotpool postmortem` then say so. SIGTERM, SIGINT and SIGHUP are no crash to `MaxCrashResumes`.
    ///
    /// The first one counts. A few stores and a look at the clock, so it may be called in the handler of a fatal signal, on
    /// the thread that has the pool. It changes nothing else: the pool is neither closed nor dropped.
    pub fn note_signal(&self, signal: i32) {
        if let Ok(signal @ 1..) = u8::try_from(signal) {
            Starts::of(&self.base).signal(signal, sys::wall_nanos());
        }
    }

    #[inline]
    pub(crate) fn black_box(&self) -> BlackBox {
        BlackBox::of(&self.base)
    }

    /// Generation of this start: counts the owners that the pool has had.
    pub fn epoch(&self) -> u64 {
        self.report.epoch
    }

    /// Makes the objects of type `T` accessible; adds the type if the pool does not know it.
    ///
    /// Takes the memory for the capacity that the ini gives the type. Adding it twice does nothing.
    /// A kill in here leaves the type added or not.
    ///
    /// # Errors
    ///
    /// The struct is not the one whose objects are in the pool
    /// ([`PoolError::TypeChanged`] with the difference field by field: the objects are kept, the rest
    /// of the pool stays usable); its number belongs to another type; an object does not fit into a
    /// block; the capacity does not fit into the blocks.
    #[doc(alias = "AddType")]
    pub fn add_type<T: PoolObject>(&mut self) -> Result<(), PoolError> {
        const { crate::object::admit::<T>() };
        self.add_wanted(&Wanted::of::<T>())
    }

    fn add_wanted(&mut self, wanted: &Wanted) -> Result<(), PoolError> {
        let setting = Setting {
            base: &self.base,
            space: &self.space,
            chains: &self.chains,
            conf: &self.conf,
            last_generation: self.last_generation,
        };
        let info = types::add(&setting, wanted)?;
        let place = &mut self.types[usize::from(wanted.id)];
        let state = match place {
            Some(state) => state,
            None => {
                let mut state = TypeState::load(&self.base, info, &self.space, &self.chains)
                    .map_err(|what| corrupt(&self.conf, &format!("type `{}`: {what}", wanted.name)))?;
                state.settle();
                place.insert(Box::new(state))
            }
        };
        match state.slots.bound() {
            Some(other) if other != wanted.rust_type => {
                return Err(PoolError::TypeIdTaken {
                    name: wanted.name,
                    id: wanted.id,
                    other: format!("another struct of the name {}", wanted.name),
                    key: self.conf.base_key,
                });
            }
            _ => state.slots.bind(wanted),
        }
        reserve(&self.conf, state, &mut self.space, wanted)?;
        let capacity = state.slots.capacity();
        self.black_box().event(Event::AddType, wanted.id.into(), capacity.into());
        Ok(())
    }

    /// Says that the program is serving: only now is this start a success.
    ///
    /// Until then the pool counts as starting, and the objects that an owner left half written
    /// stay named in the report of every further start. A kill in here leaves the one or the other.
    pub fn ready(&mut self) -> Result<(), PoolError> {
        let header = &self.base.header;
        let now = sys::wall_nanos();
        let _ = planted(Mutant::ReadyForgetsFirst).then(|| adopt::forget_suspects(header));
        header.ready_wall.store(now);
        Commit::RunReady.store(&header.run, RUN_READY);
        Starts::of(&self.base).ready(now);
        adopt::forget_suspects(header);
        self.black_box().event(Event::Ready, self.report.epoch, 0);
        Ok(())
    }

    /// Leaves the pool in good order and keeps it: the next open resumes it.
    ///
    /// Dropping the pool, or dying, keeps it as well; only the report of the next start differs.
    pub fn close(mut self) -> Result<(), PoolError> {
        for state in self.types.iter_mut().flatten() {
            state.slots.name_none();
        }
        let header = &self.base.header;
        header.closed_wall.store(sys::wall_nanos());
        Commit::RunClosed.store(&header.run, RUN_CLOSED);
        Starts::of(&self.base).mend();
        self.black_box().event(Event::Close, self.report.epoch, 0);
        Ok(())
    }

    /// Removes the pool with all its objects: segments and semaphore.
    ///
    /// A kill in here leaves a pool that is refused until `hotpool rm` has removed the rest.
    pub fn destroy(self) -> Result<(), PoolError> {
        let blocks = block_keys(&self.base);
        drop(self.farewell);
        Ok(self.share.destroy(&blocks)?)
    }

    /// For tests of how slots wear out: the last generation of types added from now on. Odd.
    #[doc(hidden)]
    pub fn set_last_generation(&mut self, generation: u32) {
        assert!(generation % 2 == 1 && generation <= limits::MAX_GENERATION);
        self.last_generation = generation;
    }
}

impl std::fmt::Debug for MemoryPoolMgr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryPoolMgr")
            .field("process", &self.conf.name)
            .field("base_key", &self.conf.base_key)
            .field("epoch", &self.report.epoch)
            .finish_non_exhaustive()
    }
}

#[cold]
fn corrupt(conf: &ProcessConf, what: &str) -> PoolError {
    PoolError::Corrupt { process: conf.name.clone(), key: conf.base_key, what: what.into() }
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
    let what = match (base.header.ntypes.load(), aside::is_moved(&base.header)) {
        _ if !conf.resume.must_be_hot => return Ok(()),
        (_, true) => "was moved aside to its post-mortem keys",
        (0, _) => "has never had a type",
        _ => return Ok(()),
    };
    Err(not_hot(conf, format!("the pool under {} {what}", conf.base_key)))
}

/// The crash loop that this start would go on with, unless the ini refuses that.
fn find_crash_loop(conf: &ProcessConf, base: &Base) -> Result<Option<CrashLoop>, PoolError> {
    if conf.resume.max_crash_resumes == 0 || aside::is_moved(&base.header) {
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

/// Moves the state of a pool in a crash loop aside, if the ini says so, or goes on with a move that was cut. The pool is
/// new and empty then, and the key of the copy is returned.
fn move_aside(
    conf: &ProcessConf,
    base: &Base,
    share: &mut ShareMgr,
    crash_loop: Option<CrashLoop>,
) -> Result<Option<Key>, PoolError> {
    let moved = aside::is_moved(&base.header);
    if !moved && crash_loop.is_none_or(|found| found.policy != OnCrashLoop::Cold) {
        return Ok(None);
    }
    if !moved {
        let (space, chains) = find_space(conf, base, share)?;
        aside::copy(conf, base, &space, &chains, share)?;
        aside::mark(&base.header);
    }
    let blocks = block_keys(base);
    share.begin_again(&blocks, &conf.shm_keys, &mut |region: &Region| {
        base::make(region, conf, aside::first_generation(conf))
    })?;
    Ok(Some(key_plan::post_mortem(conf.base_key)))
}

fn block_keys(base: &Base) -> Vec<Key> {
    let blocks = (0..base.nblocks()).filter_map(|number| base.blocks.get(number));
    blocks.map(|block| Key(block.key.load())).collect()
}

/// Attaches the blocks and reads what types have taken of them.
pub(crate) fn find_space(
    conf: &ProcessConf,
    base: &Base,
    share: &mut ShareMgr,
) -> Result<(Space, Chains), PoolError> {
    let regions = attach_blocks(conf, base, share)?;
    let mut space = Space::new(base, regions);
    let used = check_types(conf, base)?;
    let chains = space
        .load(&base.types, &used)
        .map_err(|(number, what)| corrupt(conf, &format!("extent {number} makes no sense: {what}")))?;
    check_counts(conf, base, &chains)?;
    Ok((space, chains))
}

fn check_block_size(conf: &ProcessConf, base: &Base) -> Result<(), PoolError> {
    let found = Bytes(base.block_bytes());
    if found == conf.block_size {
        return Ok(());
    }
    Err(PoolError::BlockSize {
        place: conf.places.block_size.clone(),
        key: conf.base_key,
        found,
        wanted: conf.block_size,
    })
}

fn check_types(conf: &ProcessConf, base: &Base) -> Result<TypeSet, PoolError> {
    let mut used = TypeSet::default();
    let count = (base.header.ntypes.load() as usize).min(base.header.order.len());
    for (number, id) in base.header.order[..count].iter().enumerate() {
        let id = id.load();
        let info = base.types.get(id as usize);
        let found = info
            .ok_or("its number is out of range")
            .and_then(|i| types::check(i, id as u16, base.block_bytes()))
            .and_then(|()| if used.insert(id as u16) { Ok(()) } else { Err("it was added before") });
        found.map_err(|what| corrupt(conf, &format!("type {id}, added as number {number}: {what}")))?;
    }
    Ok(used)
}

/// Takes the memory for the capacity that the ini gives a type.
fn reserve(
    conf: &ProcessConf,
    state: &mut TypeState,
    space: &mut Space,
    wanted: &Wanted,
) -> Result<(), PoolError> {
    let Some((capacity, place)) = types::wanted_capacity(conf, wanted.name) else { return Ok(()) };
    state.reserve(space, capacity).map_err(|why| PoolError::Capacity {
        place,
        name: wanted.name.into(),
        capacity,
        source: AllocError::full(state, space, why),
    })
}

/// Refuses sums that no history of the extents could have led to.
fn check_counts(conf: &ProcessConf, base: &Base, chains: &Chains) -> Result<(), PoolError> {
    for info in base.used_types() {
        let id = info.id.load() as u16;
        let slots = (chains.count(id, ExtentKind::Slots) as u64) << info.shift.load();
        let groups = (chains.count(id, ExtentKind::Index) as u64) << info.group_shift.load();
        let found = types::check_counts(&info, slots, groups);
        found.map_err(|what| corrupt(conf, &format!("type `{}`: {what}", info.name())))?;
    }
    Ok(())
}

/// Attaches every block that the pool has. One whose segment is gone is left out, and refused
/// later if it held anything.
fn attach_blocks(
    conf: &ProcessConf,
    base: &Base,
    share: &mut ShareMgr,
) -> Result<Vec<Option<Region>>, PoolError> {
    let mut regions = Vec::with_capacity(base.nblocks());
    for number in 0..base.nblocks() {
        let Some(block) = base.blocks.get(number) else { break };
        let key = Key(block.key.load());
        let named = conf.shm_keys.contains(&key);
        let vacant = block.state.load() == BLOCK_VACANT;
        regions.push(match (vacant, named) {
            (true, false) => None,
            // It is empty: where its segment was removed meanwhile, a new one does as well.
            (true, true) => Some(share.add_block(key, number as u32, base.block_bytes())?),
            (false, true) => Some(share.attach_block(key, number as u32, base.block_bytes())?),
            (false, false) => share.attach_block(key, number as u32, base.block_bytes()).ok(),
        });
    }
    Ok(regions)
}

/// Refuses to go on without a block that holds objects.
fn check_dropped(conf: &ProcessConf, base: &Base, space: &Space) -> Result<(), PoolError> {
    for number in 0..base.nblocks() {
        let Some(block) = base.blocks.get(number) else { break };
        let key = Key(block.key.load());
        let used = space.block_used(number);
        if used != 0 && !conf.shm_keys.contains(&key) {
            return Err(PoolError::BlockDropped {
                place: conf.places.shm_keys.clone(),
                base: conf.base_key,
                block: key,
                used: Bytes(used),
            });
        }
    }
    Ok(())
}

/// Makes the blocks of the pool those of the ini: adds the new ones, gives up empty ones that are
/// not named any more, takes back those that were given up.
fn fit_blocks(
    conf: &ProcessConf,
    base: &Base,
    space: &mut Space,
    share: &mut ShareMgr,
) -> Result<(), PoolError> {
    for number in 0..base.nblocks() {
        let Some(block) = base.blocks.get(number) else { break };
        let key = Key(block.key.load());
        if conf.shm_keys.contains(&key) {
            Commit::BlockTaken.store(&block.state, BLOCK_ACTIVE);
        } else if block.state.load() != BLOCK_VACANT {
            log::warn!("block {key} is empty and not named any more; `hotpool rm` can remove its segment");
            Commit::BlockGivenUp.store(&block.state, BLOCK_VACANT);
            space.give_up(number);
        }
    }
    let has =
        |key: &Key| (0..base.nblocks()).filter_map(|n| base.blocks.get(n)).any(|b| b.key.load() == key.0);
    let new: Vec<Key> = conf.shm_keys.iter().copied().filter(|key| !has(key)).collect();
    for key in new {
        add_block(conf, base, space, share, key)?;
    }
    Ok(())
}

/// Adds one block. The store to `nblocks` commits; a kill before it leaves a segment with the
/// identity of the pool, which the next call adopts.
fn add_block(
    conf: &ProcessConf,
    base: &Base,
    space: &mut Space,
    share: &mut ShareMgr,
    key: Key,
) -> Result<(), PoolError> {
    let number = base.nblocks();
    let Some(block) = base.blocks.get(number) else {
        return Err(PoolError::TooManyBlocks {
            place: conf.places.shm_keys.clone(),
            found: number + 1,
            limit: limits::MAX_BLOCKS,
        });
    };
    let region = share.add_block(key, number as u32, base.block_bytes())?;
    if planted(Mutant::BlockCountsFirst) {
        Commit::Block.store(&base.header.nblocks, number as u64 + 1);
    }
    block.key.fill(key.0);
    block.index.fill(number as u32);
    block.state.fill(BLOCK_ACTIVE);
    block.created.fill(sys::wall_nanos());
    Commit::Block.store(&base.header.nblocks, number as u64 + 1);
    space.push(region);
    Ok(())
}
