//! `MemoryPoolMgr`: how a pool is opened, made ready, and closed.

use crate::commits::Commit;
use crate::conf::ProcessConf;
use crate::layout::{RUN_CLOSED, RUN_READY, TypeInfo};
use crate::limits;
use crate::mutants::{Mutant, planted};
use crate::object::PoolObject;
#[cfg(feature = "snapshots")]
use crate::pool::backup::missing;
use crate::pool::change::guard::Mark;
use crate::pool::change::seen::Seen;
use crate::pool::change::undo::Undo;
use crate::pool::error::PoolError;
use crate::pool::forensics::black_box::Event;
use crate::pool::forensics::watch::Watches;
use crate::pool::image::Taking;
use crate::pool::opening;
use crate::pool::par::lanes::Lanes;
#[cfg(feature = "snapshots")]
use crate::pool::saver::Saver;
use crate::pool::start::agree;
use crate::pool::start::disagreement::Disagreement;
use crate::pool::start::migrate::Mover;
use crate::pool::start::report::ResumeReport;
use crate::pool::start::starts::{Farewell, Start, Starts};
use crate::pool::start::suspects;
use crate::pool::store::base::Base;
use crate::pool::store::chains::Chains;
use crate::pool::store::extents::Space;
use crate::pool::store::type_state::TypeState;
use crate::pool::store::type_table::TypeTable;
use crate::pool::store::types::{self, Setting, Standing};
use crate::pool::store::wanted::Wanted;
use crate::region::At;
use crate::share::{PoolSegments, StartMode};
use crate::sys;
use crate::units::{Bytes, Key};
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

/// Most types that can be borrowed side by side.
pub(crate) const PARTS: usize = 8;

/// A pool of typed objects that outlives the process that owns it.
///
/// A pool has one owner, and the owner has one pool value. The value can be sent to another thread,
/// but not shared between threads:
///
/// ```
/// fn can_be_sent<T: Send>() {}
/// can_be_sent::<hotpool::MemoryPoolMgr>();
/// ```
/// ```compile_fail
/// fn can_be_shared<T: Sync>() {}
/// can_be_shared::<hotpool::MemoryPoolMgr>();
/// ```
/// Several threads use one pool through a [`View`](crate::pool::View) to read,
/// [`par_for_each`](Self::par_for_each) and [`scope`](Self::scope) to write, or a
/// [`SharedPool`](crate::pool::SharedPool).
///
/// Everything that a method has returned from survives a `kill -9`. An interrupted operation is
/// either complete or has had no effect.
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
    /// Whether the marks after the first may be set by guards that were leaked.
    pub(crate) parts_marked: bool,
    pub(crate) base: Base,
    pub(crate) undo: Undo,
    /// Objects that the current transaction has freed.
    pub(crate) freed: Seen,
    /// Objects in the current transaction: those whose bytes its log has, and those that it has
    /// freed.
    pub(crate) kept: Seen,
    pub(crate) chains: Chains,
    pub(crate) conf: ProcessConf,
    report: ResumeReport,
    last_generation: u32,
    farewell: Farewell,
    /// When this process read the game clock first, and what it read.
    pub(crate) clock: OnceCell<(Instant, u64)>,
    /// Dropped last, so that nothing that points into the segments outlives them.
    /// The last change of each type when extents without objects were last looked for.
    pub(crate) at_last_look: Vec<[u64; 2]>,
    /// The image that is being taken, and what is known for the next one.
    pub(crate) image: Option<Box<Taking>>,
    pub(crate) watches: Watches,
    /// What writes the snapshots of this pool.
    #[cfg(feature = "snapshots")]
    pub(crate) saver: Option<Box<Saver>>,
    pub(crate) share: PoolSegments,
}

impl MemoryPoolMgr {
    /// Opens the pool of a process: resumes what its last owner left (hot start), or creates it
    /// (cold start).
    ///
    /// With `OnMissing = restore`, a pool that does not exist is restored from its latest snapshot first,
    /// and the start is hot ([`ResumeReport::restored`]).
    ///
    /// It waits up to `OwnerWaitMs` for an owner that is still dying. It takes microseconds for any
    /// number of objects, because nothing is scanned. With `Prefault` or `LockMemory` it then
    /// populates every page, which takes time in proportion to the pool. If it is killed, the next
    /// open resumes the pool, or continues its creation.
    ///
    /// # Forks
    ///
    /// Open the pool after the process has become a daemon. A child that is forked later does not
    /// have the pool: its first access to it ends the child with SIGSEGV, and dropping it there
    /// does nothing. The parent stays the owner. A child that executes another program, as
    /// [`std::process::Command`] runs it, needs no care. A child of a raw `clone`, which bypasses
    /// the C library, must not use the pool: nothing prevents it there. (`Backend = heap`: a child
    /// has a copy of its own.)
    ///
    /// # Errors
    ///
    /// Fails without any change if the configuration breaks a rule of the ini
    /// ([`ProcessConf::validate`]), if another process owns the pool, if a segment under one of the
    /// keys is foreign, damaged, or of the wrong size, user or version, or if the ini no longer
    /// fits the pool. Fails after the start, with the pool as hot as before, if there is no memory
    /// for what the ini requires, or if a limit prevents locking it.
    #[doc(alias = "Init")]
    #[doc(alias = "ResumeBase")]
    pub fn open(conf: &ProcessConf) -> Result<Self, PoolError> {
        conf.validate()?;
        if cfg!(not(feature = "snapshots")) && conf.snapshots.has_dir() {
            return Err(PoolError::NoSnapshots { place: agree::place(conf, "SnapshotDir") });
        }
        #[cfg(feature = "snapshots")]
        let restored = missing::restore(conf)?;
        #[cfg(not(feature = "snapshots"))]
        let restored = None;
        let opening::Opened { share, base, space, chains, undo, report, farewell } =
            opening::open(conf, restored)?;
        let nothing =
            TypeState::nothing(&base).ok_or_else(|| PoolError::corrupt(conf, "it has no table of types"))?;
        let lanes = Arc::new(Lanes::new(base));
        Ok(MemoryPoolMgr {
            types: TypeTable::new(nothing),
            marks: std::array::from_fn(|number| Mark::new(&base.header, number, &lanes)),
            parts_marked: false,
            last_generation: limits::MAX_GENERATION,
            conf: conf.clone(),
            undo,
            freed: Seen::default(),
            kept: Seen::default(),
            space,
            farewell,
            clock: OnceCell::new(),
            base,
            chains,
            report,
            at_last_look: Vec::new(),
            image: None,
            watches: Watches::default(),
            #[cfg(feature = "snapshots")]
            saver: None,
            share,
        })
    }

    /// Returns whether this start found objects of an earlier start.
    ///
    /// It is [`StartMode::Init`] until the pool holds an object or a start has called
    /// [`ready`](Self::ready) or [`close`](Self::close). So a program that is killed before its
    /// first allocation starts cold again, even if its types were added. From the first object on
    /// it is [`StartMode::Resume`].
    ///
    /// A program that allocates several objects in its first start may be killed between two of
    /// them. Allocate them in one [`tx`](Self::tx), or by key with [`force_get`](Self::force_get)
    /// in every start.
    pub fn start_mode(&self) -> StartMode {
        self.report.mode
    }

    /// Returns whether this start is hot.
    #[doc(alias = "IsResume")]
    pub fn is_resume(&self) -> bool {
        self.start_mode() == StartMode::Resume
    }

    /// Returns the report of this start: how the last owner ended, and which objects exist.
    pub fn resume_report(&self) -> &ResumeReport {
        &self.report
    }

    /// Returns the base key.
    pub fn base_key(&self) -> Key {
        self.conf.base_key
    }

    /// Returns the configuration with which the pool was opened.
    pub fn conf(&self) -> &ProcessConf {
        &self.conf
    }

    /// Returns the bytes of the blocks that belong to no extent.
    pub fn bytes_free(&self) -> Bytes {
        Bytes(self.space.bytes_free())
    }

    /// Returns the last 64 starts of this pool, the oldest first, including this one.
    pub fn starts(&self) -> Vec<Start> {
        Starts::of(&self.base).read()
    }

    /// Returns the epoch of this start: the number of owners that the pool has had.
    pub fn epoch(&self) -> u64 {
        self.report.epoch
    }

    /// Makes the objects of type `T` accessible, and adds the type to the pool if it is new.
    ///
    /// If not all bytes are a value of `T`, its objects are checked first, which takes time in
    /// proportion to their number. Those that are no value go into quarantine, and
    /// [`ResumeReport::bad_values`] names them.
    ///
    /// Fields with `#[pool(transient)]` get their defaults, if this start has not added the type yet.
    ///
    /// It allocates memory for the capacity that the ini gives the type. Adding a type twice has no
    /// effect. If the undo log is too small for an object of the type, no [`update`](Self::update)
    /// can ever succeed; a warning and [`ResumeReport::told`] then name a sufficient `UndoSize`. If
    /// this is killed, the type is either added or not.
    ///
    /// A type that was not added has no objects: reading, iterating and counting find none, and an
    /// allocation returns [`AllocError::NotAdded`](super::AllocError::NotAdded). A view and a change in a
    /// transaction panic, because they cannot do what the program asked for.
    ///
    /// # Errors
    ///
    /// Fails if the struct differs from the one whose objects are in the pool
    /// ([`PoolError::TypeChanged`], with the difference field by field: the objects are kept, and
    /// the rest of the pool stays usable). Fails if the type number belongs to another type, if an
    /// object does not fit into a block, if the capacity does not fit into the blocks, or if more
    /// objects are no value of `T` than the quarantine has room for.
    #[doc(alias = "AddType")]
    pub fn add_type<T: PoolObject>(&mut self) -> Result<(), PoolError> {
        const { crate::object::admit::<T>() };
        let is_first = self.types.get(T::TYPE_ID).is_none();
        self.add_wanted(&Wanted::of::<T>())?;
        if T::HAS_TRANSIENT && is_first {
            self.reset_transient::<T>();
        }
        Ok(())
    }

    /// Gives the transient fields of all objects their defaults.
    ///
    /// No mark names the objects: a kill leaves fields of which the next start resets all.
    #[cold]
    fn reset_transient<T: PoolObject>(&mut self) {
        if let Some(typed) = self.types.of_mut::<T>().and_then(|state| state.slots.typed_mut::<T>()) {
            typed.into_walk(0).fold_muts((), |(), (_, object)| object.reset_transient());
        }
    }

    fn add_wanted(&mut self, wanted: &Wanted) -> Result<(), PoolError> {
        // A type in use keeps its form, whatever its entry says by now.
        if self.types.get(wanted.id).is_none() {
            let migrated = self.report.migrated.len();
            let info = self.form_of(wanted)?;
            // Every object that was just converted was checked then.
            let is_checked = self.report.migrated.len() > migrated;
            let mut state = TypeState::load(&self.base, info, &self.space, &self.chains)
                .map_err(|what| PoolError::corrupt(&self.conf, format!("type `{}`: {what}", wanted.name)))?;
            state.settle();
            if !wanted.rule.any_bits() && !is_checked {
                self.hide_bad_values(&mut state, wanted)?;
            }
            state.slots.bind(wanted);
            state.note_followed();
            self.types.insert(wanted.id, state);
        }
        let Some(state) = self.types.get_mut(wanted.id) else { return Err(types::unfit_number(wanted)) };
        if state.slots.bound() != Some(wanted.rust_type) {
            return Err(self.other_struct(wanted));
        }
        if let Err(error) = reserve(&self.conf, state, &mut self.space, wanted)
            && !self.reclaim_for_growth()
        {
            return Err(error);
        }
        let Some(state) = self.types.get_mut(wanted.id) else { return Err(types::unfit_number(wanted)) };
        reserve(&self.conf, state, &mut self.space, wanted)?;
        let capacity = state.slots.capacity();
        self.black_box().event(Event::AddType, wanted.id.into(), capacity.into());
        if let Some(one) = agree::never_updated(&self.conf, &self.base, wanted.name, wanted.size as u64) {
            self.tell(one);
        }
        Ok(())
    }

    /// Returns the form of a type that this build uses: that of the pool, a new one, or one to which
    /// it migrates the objects.
    fn form_of(&mut self, wanted: &Wanted) -> Result<At<TypeInfo>, PoolError> {
        let setting = self.setting();
        match types::find(&setting, wanted)? {
            Standing::Same(info) => Ok(info),
            Standing::New => types::add(&setting, wanted),
            Standing::Changed(listed) => self.migrate(wanted, listed),
        }
    }

    fn setting(&self) -> Setting<'_> {
        let MemoryPoolMgr { base, space, chains, conf, last_generation, .. } = self;
        Setting { base, space, chains, conf, last_generation: *last_generation }
    }

    /// Returns the error for a struct whose number another one in use has.
    #[cold]
    fn other_struct(&self, wanted: &Wanted) -> PoolError {
        let setting = self.setting();
        match types::find(&setting, wanted) {
            Err(error) => error,
            Ok(Standing::Changed(listed)) => types::changed(&setting, wanted, &listed, Vec::new()),
            Ok(Standing::New | Standing::Same(_)) => PoolError::TypeIdTaken {
                name: wanted.name,
                id: wanted.id,
                other: format!("another struct of the name {}", wanted.name),
                key: self.conf.base_key,
            },
        }
    }

    /// Gives a type the form of this build: the one that it had before a migration, or a new one.
    #[cold]
    fn migrate(&mut self, wanted: &Wanted, listed: At<TypeInfo>) -> Result<At<TypeInfo>, PoolError> {
        let migrated = match self.mover().run(wanted, listed) {
            Err(PoolError::NoRoomToMigrate { .. }) if self.reclaim_for_growth() => {
                self.mover().run(wanted, listed)?
            }
            migrated => migrated?,
        };
        if let Some(migrated) = migrated {
            log::warn!("{}: {migrated}", self.conf.name);
            self.black_box().event(Event::Migrated, wanted.id.into(), migrated.objects);
            self.report.migrated.push(migrated);
            if self.base.header.run.load() == RUN_READY {
                self.decide()?;
            }
        }
        Ok(self.base.used_type(wanted.id).unwrap_or(listed))
    }

    /// Decides for the new forms of the types that this process has added, and gives the memory of
    /// their old forms back.
    ///
    /// A type that it has not added keeps its old form.
    fn decide(&mut self) -> Result<(), PoolError> {
        if self.base.listed_types().all(|old| old.newer.load() == 0 && old.filling.load() == 0) {
            return Ok(());
        }
        let added: Vec<u32> = self.types.iter().map(|state| state.slots.type_id().into()).collect();
        self.mover().decide(|id| added.contains(&id))
    }

    /// Returns what the threads of the pool share.
    pub(crate) fn lanes(&self) -> &Arc<Lanes> {
        self.marks[0].lanes()
    }

    pub(crate) fn mover(&mut self) -> Mover<'_> {
        let MemoryPoolMgr { base, space, chains, types, conf, last_generation, .. } = self;
        Mover { base, space, chains, types, conf, last_generation: *last_generation }
    }

    /// Puts the objects whose bytes are no value of the type into quarantine, before the type is
    /// used.
    #[cold]
    fn hide_bad_values(&mut self, state: &mut TypeState, wanted: &Wanted) -> Result<(), PoolError> {
        let found = state.hide_bad_values(wanted.rule);
        for bad in found.map_err(|why| why.error(wanted, self.conf.base_key))? {
            log::error!(
                "{}: object {bad} is no value of `{}`: it is in quarantine",
                self.conf.name,
                wanted.name
            );
            self.black_box().event(Event::Quarantined, bad.object.to_bits(), 0);
            self.report.quarantined.push(bad.object);
            self.report.bad_values.push(bad);
        }
        Ok(())
    }

    /// Declares that the program serves: from here on this start counts as successful.
    ///
    /// Until then the pool counts as starting, and torn objects of earlier owners stay in the
    /// report of every further start. Objects that a caught panic has torn in this run stay in
    /// [`torn`](Self::torn), because the report has not named them. If this is killed, the start
    /// either counts as successful or not.
    ///
    /// Types that this build has migrated keep their new form from here on, and the memory of the old
    /// one returns to the pool. A type that was migrated, but that this process has not added, keeps
    /// its old form.
    ///
    /// # Errors
    ///
    /// Fails if the tables of the pool are damaged.
    pub fn ready(&mut self) -> Result<(), PoolError> {
        let header = self.base.header;
        let now = sys::wall_nanos();
        let _ = planted(Mutant::ReadyForgetsFirst).then(|| suspects::settle_told(&header, 0));
        self.decide()?;
        header.ready_wall.store(now);
        Commit::RunReady.store(&header.run, RUN_READY);
        Starts::of(&self.base).ready(now);
        suspects::settle_told(
            &header,
            self.marks.iter().fold(self.lanes().left(), |left, mark| left | mark.left()),
        );
        self.tell_of_types();
        self.black_box().event(Event::Ready, self.report.epoch, 0);
        Ok(())
    }

    /// Reports types that the ini names, or of which the pool holds objects, but that the program
    /// has not added.
    #[cold]
    fn tell_of_types(&mut self) {
        let added: Vec<String> = self.types.iter().map(|state| state.slots.info.name()).collect();
        let mut found = agree::never_added(&self.conf, &added);
        for info in self.base.used_types().filter(|info| !added.contains(&info.name())) {
            let objects = self.space.objects(&self.chains, &info);
            found.extend((objects != 0).then(|| agree::left_behind(&self.conf, &info.name(), objects)));
        }
        found.into_iter().for_each(|one| self.tell(one));
    }

    /// Reports a disagreement, once.
    #[cold]
    fn tell(&mut self, one: Disagreement) {
        if !self.report.told.contains(&one) {
            log::warn!("{one}");
            self.report.told.push(one);
        }
    }

    /// Closes the pool cleanly and keeps it: the next open resumes it.
    ///
    /// Dropping the pool, or dying, keeps it as well; only the report of the next start differs.
    /// [Torn](Self::torn) objects stay listed: closing repairs nothing.
    ///
    /// With `SnapshotOnClose = yes` it writes a last snapshot, and waits until it is whole.
    ///
    /// # Errors
    ///
    /// Fails if that snapshot could not be written. The pool is closed all the same, and kept.
    pub fn close(mut self) -> Result<(), PoolError> {
        self.marks.iter().for_each(Mark::forget);
        self.lanes().forget();
        self.types.for_each_mut(|state| state.slots.name_none());
        let header = &self.base.header;
        header.closed_wall.store(sys::wall_nanos());
        Commit::RunClosed.store(&header.run, RUN_CLOSED);
        Starts::of(&self.base).mend();
        self.black_box().event(Event::Close, self.report.epoch, 0);
        #[cfg(feature = "snapshots")]
        self.snapshot_at_close()?;
        Ok(())
    }

    /// Removes the pool with all its objects: the segments and the semaphores.
    ///
    /// If this is killed, starts refuse the pool until `hotpool rm` has removed the rest.
    ///
    /// # Errors
    ///
    /// Fails if the system does not remove a segment.
    pub fn destroy(self) -> Result<(), PoolError> {
        let blocks = self.base.block_keys();
        drop(self.farewell);
        Ok(self.share.destroy(&blocks)?)
    }

    /// Sets the last generation, odd, of types that are added from now on: for tests of retired
    /// slots.
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

/// Allocates memory for the capacity that the ini gives a type.
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
