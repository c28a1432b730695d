//! A store of sets.

use crate::carry::{self, Counter, Moved};
use crate::download;
use crate::error::{StoreError, system};
use crate::listing::{Listing, MANIFEST, Stored};
use crate::place::{Place, Settings};
use hotpool::snapshot::{Arrival, Contents, Set, SetError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Threads that move bytes.
const WORKERS: usize = 2;

/// A store of sets, which a URL names.
///
/// A set in a store is whole or absent: its manifest is written last. All calls block.
#[derive(Debug)]
pub struct Store {
    pub(crate) core: Arc<Core>,
}

/// What a store and its fences share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) place: Place,
    pub(crate) runtime: Runtime,
}

impl Core {
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Waits for `work` at most this long.
    pub(crate) fn within<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async { timeout(patience, work).await.ok() })
    }

    pub(crate) fn listing(&self) -> Result<Listing, StoreError> {
        self.block_on(Listing::read(&self.place))
    }
}

impl Store {
    /// Opens the store that a URL names. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Fails if the URL is none of a store, or if the environment lacks what the store needs.
    pub fn open(url: &str) -> Result<Store, StoreError> {
        Self::open_with(url, &Settings::default())
    }

    /// Opens the store that a URL names, and reaches it as `settings` says.
    ///
    /// # Errors
    ///
    /// Fails as [`open`](Self::open) does.
    pub fn open_with(url: &str, settings: &Settings) -> Result<Store, StoreError> {
        let place = Place::open(url, settings)?;
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(WORKERS).thread_name("hotpool-store").enable_all().build();
        let runtime = runtime.map_err(system("start the threads for", Path::new(url)))?;
        Ok(Store { core: Arc::new(Core { place, runtime }) })
    }

    /// Returns the URL.
    pub fn url(&self) -> &str {
        self.core.place.url()
    }

    /// Returns the sets in the store, the oldest first. What interrupted uploads left is not among
    /// them.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be reached or refuses.
    pub fn list(&self) -> Result<Vec<Stored>, StoreError> {
        Ok(self.core.listing()?.sets)
    }

    /// Brings the youngest set of a process, and those that it builds on, into the folder `shelf`;
    /// returns it. Sets that the folder has are not brought again.
    ///
    /// Every chunk is checked before a set gets its name. `told` is called with the bytes that were
    /// brought, about ten times a second.
    ///
    /// # Errors
    ///
    /// Fails if the store has no set of the process, if a set is damaged, if the store cannot be
    /// reached, or if the system refuses to write. The set is then absent from the folder; sets that
    /// it builds on may be there.
    pub fn get(&self, process: &str, shelf: &Path, told: impl FnMut(Moved)) -> Result<Set, StoreError> {
        let listing = self.core.listing()?;
        let none = || StoreError::NoSet { url: self.url().into(), process: process.into() };
        let latest = listing.latest(process).ok_or_else(none)?;
        self.bring(&listing, latest, shelf, told)
    }

    /// Brings `youngest` and the sets that it builds on.
    fn bring(
        &self,
        listing: &Listing,
        youngest: &Stored,
        shelf: &Path,
        mut told: impl FnMut(Moved),
    ) -> Result<Set, StoreError> {
        let chain = self.chain(listing, youngest)?;
        let missing: Vec<&(&Stored, &Contents)> =
            chain.iter().rev().filter(|(_, contents)| contents.find(shelf).is_none()).collect();
        let total = missing.iter().map(|(stored, _)| stored.bytes).sum();
        let done = Counter::default();
        for (stored, contents) in &missing {
            let arrival = Arrival::begin(shelf)?;
            let mut names: Vec<String> = contents.files().map(String::from).collect();
            names.push(MANIFEST.into());
            let work = download::bring_all(&self.core.place, &stored.name, names, arrival.folder(), &done);
            carry::wait(&self.core.runtime, total, &done, &mut told, work)?;
            arrival.finish().map_err(|error| self.damaged(&stored.name, error))?;
        }
        let here = chain.first().and_then(|(_, contents)| contents.find(shelf));
        let none = || StoreError::Set(SetError::NoSet { path: shelf.to_path_buf() });
        Ok(Set::open(&here.ok_or_else(none)?)?)
    }

    /// Returns a set and those that it builds on, the youngest first.
    fn chain<'a>(
        &self,
        listing: &'a Listing,
        youngest: &'a Stored,
    ) -> Result<Vec<(&'a Stored, &'a Contents)>, StoreError> {
        let mut chain: Vec<(&Stored, &Contents)> = Vec::new();
        let mut next = Some(youngest);
        while let Some(stored) = next {
            let unreadable = || self.core.place.shown(&format!("{}/{MANIFEST}", stored.name));
            let contents = stored.contents.as_ref();
            let contents = contents
                .map_err(|error| StoreError::Damaged { key: unreadable(), why: error.to_string() })?;
            chain.push((stored, contents));
            next = None;
            if let Some(parent) = contents.parent() {
                let found = listing.find(parent).filter(|_| chain.len() <= listing.sets.len());
                let missing = || StoreError::NoParent {
                    key: self.core.place.shown(&stored.name),
                    parent: parent.into(),
                };
                next = Some(found.ok_or_else(missing)?);
            }
        }
        Ok(chain)
    }

    /// Turns an error about a draft into one about the objects that it was copied from.
    fn damaged(&self, set: &str, error: SetError) -> StoreError {
        let (path, why) = match error {
            SetError::Part { path, why } | SetError::Manifest { path, why } => (path, why),
            error => return StoreError::Set(error),
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        StoreError::Damaged { key: self.core.place.shown(&format!("{set}/{file}")), why }
    }
}
