//! Snapshots of the running pool.

use crate::pool::image::Budget;
use crate::pool::manager::MemoryPoolMgr;
use crate::pool::saver::{Saver, Schedule, SnapshotError, SnapshotStep, SnapshotTrouble};
use crate::pool::start::agree;
use crate::pool::store::schema_texts;
use crate::snapshot::{SetInfo, SetType};
use crate::units::Bytes;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most time of one step of a snapshot that nothing else waits for.
const LONG: Duration = Duration::from_millis(50);

impl MemoryPoolMgr {
    /// Does what the ini says about snapshots, in about `budget` of time. Call it once per tick.
    ///
    /// It begins a snapshot every `SnapshotEverySec`, gives it some bytes in each call, and reports
    /// its end in the log. A snapshot is the pool at one moment between two ticks; it is written to
    /// `SnapshotDir` by a thread of its own. If that fails, the log and [`health`](Self::health) say
    /// why, the pool goes on, and the next one tries again. Without `SnapshotDir` nothing happens.
    ///
    /// If this process is killed meanwhile, the earlier snapshots stay as they are.
    pub fn snapshot_tick(&mut self, budget: Duration) {
        if !self.conf.snapshots.has_dir() {
            return;
        }
        if let Err(error) = self.try_tick(budget) {
            log::error!("{}: no snapshot: {error}", self.conf.name);
        }
    }

    fn try_tick(&mut self, budget: Duration) -> Result<(), SnapshotError> {
        let every = self.every();
        if !every.is_zero() && matches!(self.saver()?.schedule, Schedule::Unknown) {
            let name = self.conf.name.clone();
            self.image_track();
            return self.saver()?.look(&name);
        }
        self.snapshot_step(Budget::Time(budget))?;
        let saver = self.saver()?;
        if !every.is_zero() && saver.is_idle() && saver.schedule.is_due() {
            saver.schedule = Schedule::next(every);
            self.snapshot_begin()?;
            self.snapshot_step(Budget::Time(budget))?;
        }
        Ok(())
    }

    /// Begins a snapshot of this moment, in the folder `SnapshotDir`.
    ///
    /// [`snapshot_step`](Self::snapshot_step) then gives the bytes, and the program goes on between
    /// two steps. After the first snapshot of a start, most have only what has changed since.
    ///
    /// ```
    /// # use hotpool::conf::{BackendKind, ProcessConf, SnapshotConf};
    /// # use hotpool::units::{Bytes, Key};
    /// use hotpool::pool::{Budget, SnapshotStep};
    /// # use hotpool::{MemoryPoolMgr, PoolObject};
    /// use std::time::Duration;
    ///
    /// # #[repr(C)] #[derive(Clone, Copy, PoolObject)] #[pool(id = 1)] struct Hero { hp: u64 }
    /// # let dir = tempfile::tempdir()?;
    /// let conf = ProcessConf::new("zone", Key(0x4850_01b0), Bytes(1 << 20), &[Key(0x4850_01b1)])
    ///     .snapshots(SnapshotConf::into_dir(dir.path()));
    /// # let conf = conf.backend(BackendKind::Heap);
    /// let mut pool = MemoryPoolMgr::open(&conf)?;
    /// pool.add_type::<Hero>()?;
    /// let hero = pool.alloc(Hero { hp: 100 })?;
    ///
    /// pool.snapshot_begin()?;
    /// let set = loop {
    ///     pool.get_mut(hero).unwrap().hp += 1; // a tick, which is not in the snapshot
    ///     if let SnapshotStep::Whole(set) = pool.snapshot_step(Budget::Time(Duration::from_millis(2)))? {
    ///         break set;
    ///     }
    /// };
    /// assert!(set.join("manifest.toml").exists());
    /// # pool.destroy()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if another snapshot is under way, if there is no `SnapshotDir`, or if the system has no
    /// thread left.
    pub fn snapshot_begin(&mut self) -> Result<(), SnapshotError> {
        self.follow(Duration::ZERO)?;
        let saver = self.saver()?;
        if !saver.is_idle() {
            return Err(SnapshotError::UnderWay);
        }
        saver.prepare()?;
        let builds = saver.can_build();
        let is_full = self.image_begin(builds, true);
        let (info, keep) = (self.set_info(), self.conf.snapshots.keep);
        self.saver()?.begin(info, is_full, keep)
    }

    /// Gives the snapshot some of its bytes, and tells how far it is.
    ///
    /// Without a snapshot under way it only gets memory, so that the next one finds it. It never
    /// waits for the disk: if the writing thread is late, the step ends early.
    ///
    /// # Errors
    ///
    /// Fails, once, if the set could not be written, for example because the disk is full. It is then
    /// absent, and nothing of it is left. The next snapshot has what this one would have had.
    pub fn snapshot_step(&mut self, budget: Budget) -> Result<SnapshotStep, SnapshotError> {
        if self.follow(Duration::ZERO)? {
            let path = self.snapshot_last().map(Path::to_path_buf);
            return Ok(path.map_or(SnapshotStep::Idle, SnapshotStep::Whole));
        }
        let MemoryPoolMgr { types, image, saver, .. } = self;
        let (Some(image), Some(saver)) = (image.as_deref_mut(), saver.as_deref_mut()) else {
            return Ok(SnapshotStep::Idle);
        };
        if saver.is_giving() {
            let is_all = saver.give(image, types, budget);
            return Ok(if is_all { SnapshotStep::Writing } else { SnapshotStep::Taking });
        }
        if !saver.is_idle() {
            return Ok(SnapshotStep::Writing);
        }
        let _: Result<bool, ()> = image.step(types, budget, &mut |_| Ok(()));
        Ok(SnapshotStep::Idle)
    }

    /// Gives the rest of the snapshot, and waits until the set is whole. Returns its folder.
    ///
    /// # Errors
    ///
    /// Fails as [`snapshot_step`](Self::snapshot_step) does, if none was begun, and if the thread that
    /// writes does nothing for 30 s; then the snapshot is dropped.
    pub fn snapshot_finish(&mut self) -> Result<PathBuf, SnapshotError> {
        loop {
            match self.snapshot_step(Budget::Time(LONG))? {
                SnapshotStep::Whole(path) => return Ok(path),
                SnapshotStep::Idle => return Err(SnapshotError::NotBegun),
                SnapshotStep::Taking | SnapshotStep::Writing => {}
            }
            // A report ends the pause at once. While bytes are given, it only lets the thread write.
            let is_giving = self.saver()?.is_giving();
            let pause = Duration::from_millis(if is_giving { 1 } else { 100 });
            if self.follow(pause)? {
                return self.snapshot_last().map(Path::to_path_buf).ok_or(SnapshotError::NotBegun);
            }
            if let Some(hangs) = self.saver()?.hangs() {
                self.snapshot_drop();
                return Err(hangs);
            }
        }
    }

    /// Drops the snapshot that is under way, if there is one. The next one has what it would have had.
    ///
    /// A set whose last bytes are already written may still become whole.
    pub fn snapshot_drop(&mut self) {
        if let Some(saver) = self.saver.as_deref_mut().filter(|saver| !saver.is_idle()) {
            saver.discard();
            self.image_drop();
        }
    }

    /// Returns the folder of the last snapshot that this start has written.
    pub fn snapshot_last(&self) -> Option<&Path> {
        self.saver.as_ref()?.last()
    }

    /// Returns why the last snapshots are absent; `None` if the last one is whole.
    pub(crate) fn snapshot_trouble(&self) -> Option<SnapshotTrouble> {
        self.saver.as_ref()?.trouble()
    }

    /// Writes a last snapshot of a pool that was closed, if the ini says so.
    pub(crate) fn snapshot_at_close(&mut self) -> Result<(), SnapshotError> {
        if !self.conf.snapshots.has_dir() || !self.conf.snapshots.on_close {
            return Ok(());
        }
        self.snapshot_drop();
        while !self.saver()?.is_idle() {
            self.follow(Duration::from_millis(100))?;
            if let Some(hangs) = self.saver()?.hangs() {
                return Err(hangs);
            }
        }
        self.snapshot_begin()?;
        self.snapshot_finish().map(drop)
    }

    /// Follows the reports of the thread, and ends the image accordingly.
    fn follow(&mut self, wait: Duration) -> Result<bool, SnapshotError> {
        let every = self.every();
        let Some(saver) = self.saver.as_deref_mut() else { return Ok(false) };
        let is_whole = saver.follow(wait, every);
        match &is_whole {
            Ok(true) => self.image_end(),
            Ok(false) => {}
            Err(_) => self.image_drop(),
        }
        is_whole
    }

    fn every(&self) -> Duration {
        Duration::from_secs(self.conf.snapshots.every_sec)
    }

    fn saver(&mut self) -> Result<&mut Saver, SnapshotError> {
        let snapshots = &self.conf.snapshots;
        if !snapshots.has_dir() {
            return Err(SnapshotError::NoDir { place: agree::place(&self.conf, "SnapshotDir") });
        }
        Ok(self.saver.get_or_insert_with(|| Box::new(Saver::new(&snapshots.dir))))
    }

    /// Describes the pool at this moment.
    fn set_info(&self) -> SetInfo {
        let conf = &self.conf;
        let base = (conf.base_key, Bytes(self.base.region.len()));
        let blocks = self.base.block_keys();
        let mut info = SetInfo::new(&conf.name, conf.backend, base, &blocks, Bytes(self.base.block_bytes()));
        info.epoch = self.epoch();
        let types = self.base.used_types();
        let types = types.map(|of| {
            let added = u16::try_from(of.id.load()).ok().and_then(|id| self.types.get(id));
            let objects = match added {
                Some(state) => state.slots.len(),
                None => self.space.objects(&self.chains, &of),
            };
            let schema = schema_texts::text(&self.base, &of).unwrap_or_default();
            SetType::new(of.id.load(), &of.name(), objects, &schema)
        });
        info.types = types.collect();
        info
    }
}
