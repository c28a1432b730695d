//! A store of sets.

use crate::carry::{self, Counter, Moved};
use crate::error::{StoreError, system};
use crate::listing::{Listing, MANIFEST, Stored};
use crate::place::{Place, Settings};
use crate::{download, upload};
use hotpool::snapshot::{Arrival, Chain, Contents, Set, SetError};
use std::fs;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};
use upload::Parcel;

/// Threads that move bytes.
const WORKERS: usize = 2;

/// A store of sets, which a URL names.
///
/// A set in a store is whole or absent: its manifest is written last. All calls block.
#[derive(Debug)]
pub struct Store {
    place: Place,
    runtime: Runtime,
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
        Ok(Store { place, runtime })
    }

    /// Returns the URL.
    pub fn url(&self) -> &str {
        self.place.url()
    }

    /// Returns the sets in the store, the oldest first. What interrupted uploads left is not among
    /// them.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be reached or refuses.
    pub fn list(&self) -> Result<Vec<Stored>, StoreError> {
        Ok(self.listing()?.sets)
    }

    fn listing(&self) -> Result<Listing, StoreError> {
        self.runtime.block_on(Listing::read(&self.place))
    }

    /// Sends a set, and those that it builds on; returns how many were sent. Sets that the store has
    /// are not sent again.
    ///
    /// Every chunk is read and checked first. `told` is called with the bytes that were sent, about
    /// ten times a second.
    ///
    /// # Errors
    ///
    /// Fails if a set is damaged, or if the store cannot be reached or refuses. The set is then
    /// absent from the store; sets that it builds on may be there.
    pub fn put(&self, set: &Set, mut told: impl FnMut(Moved)) -> Result<usize, StoreError> {
        let chain = Chain::open(set.path())?;
        let listing = self.listing()?;
        let sets: Vec<&Set> =
            chain.sets().iter().rev().filter(|set| listing.find(set.id()).is_none()).collect();
        for set in &sets {
            set.verify(|_| ())?;
        }
        let parcels: Vec<_> = sets.iter().map(|set| parcels(set)).collect::<Result<_, _>>()?;
        let total = parcels.iter().flat_map(|(parts, manifest)| parts.iter().chain([manifest]));
        let total = total.map(|parcel| parcel.bytes).sum();
        let done = Counter::default();
        for (parts, manifest) in parcels {
            let parts = upload::send_all(&self.place, parts, &done);
            carry::wait(&self.runtime, total, &done, &mut told, parts)?;
            let manifest = upload::send_all(&self.place, vec![manifest], &done);
            carry::wait(&self.runtime, total, &done, &mut told, manifest)?;
        }
        Ok(sets.len())
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
        let listing = self.listing()?;
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
            let work = download::bring_all(&self.place, &stored.name, names, arrival.folder(), &done);
            carry::wait(&self.runtime, total, &done, &mut told, work)?;
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
            let unreadable = || self.place.shown(&format!("{}/{MANIFEST}", stored.name));
            let contents = stored.contents.as_ref();
            let contents = contents
                .map_err(|error| StoreError::Damaged { key: unreadable(), why: error.to_string() })?;
            chain.push((stored, contents));
            next = None;
            if let Some(parent) = contents.parent() {
                let found = listing.find(parent).filter(|_| chain.len() <= listing.sets.len());
                let missing =
                    || StoreError::NoParent { key: self.place.shown(&stored.name), parent: parent.into() };
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
        StoreError::Damaged { key: self.place.shown(&format!("{set}/{file}")), why }
    }
}

/// Returns the parts of a set, and its manifest, as they are to be sent.
fn parcels(set: &Set) -> Result<(Vec<Parcel>, Parcel), StoreError> {
    let path = set.path().join(MANIFEST);
    let text = fs::read(&path).map_err(system("read", &path))?;
    let contents = Contents::read(&text, &path)?;
    let folder = contents.name();
    let parcel = |file: &str| {
        let path = set.path().join(file);
        let bytes = fs::metadata(&path).map_err(system("read", &path))?.len();
        Ok::<_, StoreError>(Parcel { path, name: format!("{folder}/{file}"), bytes })
    };
    let parts = contents.files().map(parcel).collect::<Result<_, _>>()?;
    Ok((parts, parcel(MANIFEST)?))
}
