//! Opening, serving and leaving a pool.

use crate::commits::Commit;
use crate::conf::ProcessConf;
use crate::layout::{RUN_CLOSED, RUN_READY};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::object::PoolObject;
use crate::pool::change::guard::Mark;
use crate::pool::change::seen::Seen;
use crate::pool::change::undo::Undo;
use crate::pool::error::PoolError;
use crate::pool::forensics::black_box::Event;
use crate::pool::opening;
use crate::pool::start::agree;
use crate::pool::start::disagreement::Disagreement;
use crate::pool::start::report::ResumeReport;
use crate::pool::start::starts::{Farewell, Start, Starts};
use crate::pool::start::suspects;
use crate::pool::store::base::Base;
use crate::pool::store::extents::{Chains, Space};
use crate::pool::store::type_state::TypeState;
use crate::pool::store::type_table::TypeTable;
use crate::pool::store::types::{self, Setting};
use crate::pool::store::wanted::Wanted;
use crate::share::{ShareMgr, StartMode};
use crate::sys;
use crate::units::{Bytes, Key};

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
    pub(crate) types: TypeTable,
    pub(crate) space: Space,
    pub(crate) marks: [Mark; PARTS],
    /// The marks behind the first may have been left by guards that were leaked.
    pub(crate) parts_marked: bool,
    pub(crate) base: Base,
    pub(crate) undo: Undo,
    /// Objects that the transaction in flight has freed.
    pub(crate) freed: Seen,
    /// Objects that it has to do with: those whose bytes its log has, and those that it has freed.
    pub(crate) kept: Seen,
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
    /// # Forks
    ///
    /// Open the pool after the process has become a daemon. A child that is forked later does not have the pool: the
    /// first access to it ends the child with SIGSEGV, and dropping it there does nothing. The parent stays the owner. A child that
    /// executes another program, as [`std::process::Command`] starts it, needs nothing. A child made by a raw `clone`,
    /// past the C library, must not use the pool: nothing stops it there. (`Backend = heap`: a child has a copy of its own.)
    ///
    /// # Errors
    ///
    /// The configuration breaks a rule of the ini ([`ProcessConf::validate`]). Another process owns the pool; a segment
    /// under one of the keys is not ours, of the wrong size, user or version, or damaged; the ini no longer fits the pool.
    /// Nothing is changed then. There is no memory
    /// for what the ini asks for, or a limit keeps it from being locked: the pool stays as hot as it was.
    #[doc(alias = "Init")]
    #[doc(alias = "ResumeBase")]
    pub fn open(conf: &ProcessConf) -> Result<Self, PoolError> {
        conf.validate()?;
        let opening::Opened { share, base, space, chains, undo, report, farewell } = opening::open(conf)?;
        let nothing =
            TypeState::nothing(&base).ok_or_else(|| PoolError::corrupt(conf, "it has no table of types"))?;
        Ok(MemoryPoolMgr {
            types: TypeTable::new(nothing),
            marks: std::array::from_fn(|number| Mark::new(&base.header, number)),
            parts_marked: false,
            last_generation: limits::MAX_GENERATION,
            conf: conf.clone(),
            undo,
            freed: Seen::default(),
            kept: Seen::default(),
            space,
            farewell,
            base,
            chains,
            report,
            share,
        })
    }

    /// Whether this start found objects of an earlier one.
    ///
    /// Returns [`StartMode::Init`] as long as the pool holds no object and no start of it has called
    /// [`ready`](Self::ready) or [`close`](Self::close). So a program that is killed before it has made its first object
    /// starts cold again, also if its types were added. From the first object on it is [`StartMode::Resume`].
    ///
    /// A program that makes several objects in its first start may be killed between two of them. Make them in one
    /// [`tx`](Self::tx), or by key with [`force_get`](Self::force_get) in every start.
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

    /// Generation of this start: counts the owners that the pool has had.
    pub fn epoch(&self) -> u64 {
        self.report.epoch
    }

    /// Makes the objects of type `T` accessible; adds the type if the pool does not know it.
    ///
    /// Takes the memory for the capacity that the ini gives the type. Adding it twice does nothing. If the undo log is too
    /// small for an object of it, so that no [`update`](Self::update) can ever succeed, a warning and
    /// [`ResumeReport::told`] name the `UndoSize` that would do.
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
        if self.types.get(wanted.id).is_none() {
            let mut state = TypeState::load(&self.base, info, &self.space, &self.chains)
                .map_err(|what| PoolError::corrupt(&self.conf, &format!("type `{}`: {what}", wanted.name)))?;
            state.settle();
            self.types.insert(wanted.id, state);
        }
        let Some(state) = self.types.get_mut(wanted.id) else { return Err(types::unfit_number(wanted)) };
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
        if let Some(one) = agree::never_updated(&self.conf, &self.base, wanted.name, wanted.size as u64) {
            self.tell(one);
        }
        Ok(())
    }

    /// Says that the program is serving: only now is this start a success.
    ///
    /// Until then the pool counts as starting, and the objects that an owner left half written
    /// stay named in the report of every further start. What a panic has torn in this run, and the program has caught,
    /// stays in [`torn`](Self::torn): the report has not named it. A kill in here leaves the one or the other.
    pub fn ready(&mut self) -> Result<(), PoolError> {
        let header = &self.base.header;
        let now = sys::wall_nanos();
        let _ = planted(Mutant::ReadyForgetsFirst).then(|| suspects::settle_told(header, 0));
        header.ready_wall.store(now);
        Commit::RunReady.store(&header.run, RUN_READY);
        Starts::of(&self.base).ready(now);
        suspects::settle_told(header, self.marks.iter().fold(0, |left, mark| left | mark.left()));
        self.tell_of_types();
        self.black_box().event(Event::Ready, self.report.epoch, 0);
        Ok(())
    }

    /// Tells once of types that the ini names, or of which the pool holds objects, and that the program has not added.
    #[cold]
    fn tell_of_types(&mut self) {
        let added = |name: &str| self.types.iter().any(|state| state.slots.info.name() == name);
        let mut found = agree::never_added(&self.conf, added);
        for info in self.base.used_types().filter(|info| !added(&info.name())) {
            let objects = self.space.objects(&self.chains, &info);
            found.extend((objects != 0).then(|| agree::left_behind(&self.conf, &info.name(), objects)));
        }
        found.into_iter().for_each(|one| self.tell(one));
    }

    /// Tells once of a disagreement.
    #[cold]
    fn tell(&mut self, one: Disagreement) {
        if !self.report.told.contains(&one) {
            log::warn!("{one}");
            self.report.told.push(one);
        }
    }

    /// Leaves the pool in good order and keeps it: the next open resumes it.
    ///
    /// Dropping the pool, or dying, keeps it as well; only the report of the next start differs. What is
    /// [torn](Self::torn) stays named: closing repairs nothing.
    pub fn close(mut self) -> Result<(), PoolError> {
        self.marks.iter().for_each(Mark::forget);
        self.types.for_each_mut(|state| state.slots.name_none());
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
        let blocks = self.base.block_keys();
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
        source: state.full(space, why),
    })
}
