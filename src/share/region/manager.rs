//! ShareMgr: creates, opens, grows and removes shared regions.

use super::error::RegionError;
use super::head::{HEAD_BYTES, Identity, REMOVED};
use super::keyed::{self, Found, Whole};
use super::keys::{RegionFacts, RegionKeys};
use super::turn::Turn;
use super::view::{Region, RegionView};
use crate::conf::{BackendKind, ProcessConf};
use crate::limits::{MAX_BLOCK_BYTES, PAGE};
use crate::share::backend::{Access, Backend};
use crate::share::home::Home;
use crate::sys;
use crate::units::{Bytes, Key, round_up};

/// How often this process reads the keys of a region that changes all the time before it takes its
/// turn.
const LOOKS: u32 = 8;

/// Creates, opens, grows and removes shared regions in one backend, with one folder for files.
///
/// # Examples
///
/// Two processes of one program, shown here in one:
///
/// ```
/// use hotpool::ShareMgr;
/// use hotpool::share::{Home, Successor};
/// use hotpool::units::{Bytes, Key};
///
/// # fn main() -> Result<(), hotpool::share::RegionError> {
/// let shared = ShareMgr::new(Home::sysv());
/// let keys = (Key(0x4850_7e01), Key(0x4850_7e02)); // two keys, so that it can grow
/// # shared.remove(keys)?;
/// let mut region = shared.create(keys, Bytes(64 << 10))?;
/// region.write(0, b"from the first process")?;
/// region.store(1024, &42u64)?;
///
/// let view = shared.open_read_only(keys)?; // in the second process
/// let mut text = [0; 22];
/// view.read(0, &mut text)?;
/// assert_eq!(&text, b"from the first process");
/// assert_eq!(view.load::<u64>(1024)?, 42);
///
/// shared.grow(&mut region, Bytes(1 << 20))?; // the data moves to a larger generation
/// assert_eq!(view.successor(), Some(Successor::Generation(2)));
/// assert_eq!(shared.open(keys)?.load::<u64>(1024)?, 42);
///
/// assert!(shared.remove(keys)?);
/// assert_eq!(region.successor(), Some(Successor::Removed));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ShareMgr {
    home: Home,
}

impl ShareMgr {
    /// Returns a manager of the regions in this backend and folder.
    pub fn new(home: Home) -> Self {
        ShareMgr { home }
    }

    /// Returns a manager of the regions in the backend and folder of a process's pool.
    pub fn of(conf: &ProcessConf) -> Self {
        ShareMgr { home: Home::of(conf) }
    }

    /// Creates a region of `bytes` zeros, rounded up to whole pages, and maps it for writing.
    ///
    /// Its memory is reserved: a full file system is an error here, not a SIGBUS later.
    ///
    /// # Errors
    ///
    /// [`Exists`](RegionError::Exists) if the region exists; [`Foreign`](RegionError::Foreign) if
    /// something else is under a key; [`Segment`](RegionError::Segment) if the system refused.
    pub fn create(&self, keys: impl Into<RegionKeys>, bytes: Bytes) -> Result<Region, RegionError> {
        let (keys, bytes) = (keys.into(), whole_pages(bytes, 1)?);
        let backend = &*self.home.open();
        let turn = Turn::take(backend.kind(), keys.first)?;
        // Both keys are judged before anything is removed.
        if let Some(found) = keyed::current(backend, keys, Some(&turn))? {
            let Whole { identity, .. } = found;
            return Err(RegionError::Exists {
                key: identity.key,
                generation: identity.generation,
                bytes: Bytes(identity.bytes),
            });
        }
        for key in keys.all() {
            clear(backend, key, &turn)?;
        }
        let id = sys::random_id().map_err(|source| RegionError::Memory { call: "name", bytes, source })?;
        let identity = Identity { key: keys.first, bytes, generation: 1, id, created: sys::wall_nanos() };
        keyed::make(backend, &identity, None)?;
        self.map_current(backend, keys, Access::Write, Some(&turn))?
            .map(Region::new)
            .ok_or(RegionError::NotFound { key: keys.first })
    }

    /// Maps the current generation of a region for reading and writing.
    ///
    /// # Errors
    ///
    /// [`NotFound`](RegionError::NotFound) if no whole region exists. An interrupted creation
    /// counts as none.
    pub fn open(&self, keys: impl Into<RegionKeys>) -> Result<Region, RegionError> {
        self.open_as(keys.into(), Access::Write).map(Region::new)
    }

    /// Maps the current generation of a region for reading only.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and [`OneMapping`](RegionError::OneMapping) for the backend
    /// `heap`.
    pub fn open_read_only(&self, keys: impl Into<RegionKeys>) -> Result<RegionView, RegionError> {
        let keys = keys.into();
        match self.home.backend {
            BackendKind::Heap => Err(RegionError::OneMapping { key: keys.first }),
            _ => self.open_as(keys, Access::Read),
        }
    }

    /// Returns the facts about a region; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Something else is under a key, or the system refused.
    pub fn stat(&self, keys: impl Into<RegionKeys>) -> Result<Option<RegionFacts>, RegionError> {
        let (keys, backend) = (keys.into(), &*self.home.open());
        // The region may have grown between the readings of the two keys.
        let found = match keyed::current(backend, keys, None)? {
            None => keyed::current(backend, keys, None)?,
            found => found,
        };
        Ok(found.map(|Whole { facts, identity }| RegionFacts {
            key: identity.key,
            generation: identity.generation,
            id: identity.id,
            bytes: Bytes(identity.bytes),
            uid: facts.uid,
            gid: facts.gid,
            mode: facts.mode,
            attached: facts.attached,
            created: identity.created,
        }))
    }

    /// Replaces a region by a larger generation with its data, and maps the new generation in
    /// `region`.
    ///
    /// Processes that have the old generation mapped keep it, and learn of the new one from
    /// [`RegionView::successor`]. A write to a byte that was already copied is missing in the new
    /// generation, so keep writers out meanwhile.
    ///
    /// # Errors
    ///
    /// The region is unchanged, unless only the mapping of the new generation failed. In that case
    /// [`successor`](RegionView::successor) reports the new generation.
    pub fn grow(&self, region: &mut Region, bytes: Bytes) -> Result<(), RegionError> {
        let named = *region.named_as().ok_or(RegionError::NotNamed)?;
        let (keys, old, bytes) = (named.keys, named.identity, whole_pages(bytes, region.len())?);
        let first = keys.first;
        let next = keys.after(old.key).ok_or(RegionError::NoSecondKey { key: first })?;
        let backend = &*self.home.open();
        let turn = Turn::take(backend.kind(), first)?;
        let found =
            keyed::current(backend, keys, Some(&turn))?.ok_or(RegionError::Superseded { key: first })?;
        if found.identity != old {
            return Err(RegionError::Superseded { key: first });
        }
        clear(backend, next, &turn)?;
        let identity =
            Identity { key: next, bytes, generation: old.generation + 1, created: sys::wall_nanos(), ..old };
        keyed::make(backend, &identity, Some(region))?;
        named.head.successor.store(identity.generation);
        keyed::remove(backend, old.key, &found.facts)?;
        let view = self.map_current(backend, keys, Access::Write, Some(&turn))?;
        *region = Region::new(view.ok_or(RegionError::NotFound { key: first })?);
        Ok(())
    }

    /// Removes a region; returns whether it existed. Also removes everything that processes left
    /// which were killed while they created, grew or removed it.
    ///
    /// Processes that have it mapped keep it until they drop it, and learn of the removal from
    /// [`RegionView::successor`].
    ///
    /// # Errors
    ///
    /// Something else is under a key, or the system refused.
    pub fn remove(&self, keys: impl Into<RegionKeys>) -> Result<bool, RegionError> {
        let (keys, backend) = (keys.into(), &*self.home.open());
        let turn = Turn::take(backend.kind(), keys.first)?;
        let current = keyed::current(backend, keys, Some(&turn))?;
        let its_key = current.as_ref().map(|found| found.identity.key);
        // Removed first, because an older generation must not become the current one.
        for key in keys.all() {
            if Some(key) != its_key {
                clear(backend, key, &turn)?;
            }
            backend.sweep(key);
        }
        let Some(found) = current else { return Ok(false) };
        if let Some(view) = keyed::map(backend, keys, &found, Access::Write)?
            && let Some(named) = view.named_as()
        {
            named.head.successor.store(REMOVED);
        }
        keyed::remove(backend, found.identity.key, &found.facts)?;
        Ok(true)
    }

    fn open_as(&self, keys: RegionKeys, access: Access) -> Result<RegionView, RegionError> {
        let backend = &*self.home.open();
        if let Some(view) = self.map_current(backend, keys, access, None)? {
            return Ok(view);
        }
        // The region is absent, or another process is creating or growing it. That ends before this
        // turn begins.
        let turn = Turn::take(backend.kind(), keys.first)?;
        self.map_current(backend, keys, access, Some(&turn))?.ok_or(RegionError::NotFound { key: keys.first })
    }

    fn map_current(
        &self,
        backend: &dyn Backend,
        keys: RegionKeys,
        access: Access,
        turn: Option<&Turn>,
    ) -> Result<Option<RegionView>, RegionError> {
        for _ in 0..LOOKS {
            let Some(found) = keyed::current(backend, keys, turn)? else { return Ok(None) };
            if let Some(view) = keyed::map(backend, keys, &found, access)? {
                return Ok(Some(view));
            }
        }
        Ok(None)
    }
}

/// Removes the segment under a key that does not hold the current generation. The caller has the
/// turn.
fn clear(backend: &dyn Backend, key: Key, turn: &Turn) -> Result<(), RegionError> {
    match keyed::look(backend, key, Some(turn))? {
        Found::Absent => Ok(()),
        Found::Leftover(facts) | Found::Whole(Whole { facts, .. }) => keyed::remove(backend, key, &facts),
    }
}

/// Rounds up to whole pages, at least `min` bytes.
pub(super) fn whole_pages(bytes: Bytes, min: u64) -> Result<u64, RegionError> {
    let max = MAX_BLOCK_BYTES - HEAD_BYTES;
    match round_up(bytes.0, PAGE) {
        Some(rounded) if bytes.0 >= min && rounded <= max => Ok(rounded),
        _ => Err(RegionError::Size { bytes: bytes.0, min: Bytes(min), max: Bytes(max) }),
    }
}
