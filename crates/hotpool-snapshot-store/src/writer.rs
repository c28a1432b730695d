//! What only the holder of a token may do: send sets, and remove them.

use crate::carry::{self, Counter, Moved};
use crate::error::{StoreError, system};
use crate::fence::Fence;
use crate::listing::{Listing, MANIFEST, process_in};
use crate::upload::{self, Parcel};
use hotpool::snapshot::{Chain, Contents, Set, SetError};
use object_store::{Error, ObjectStoreExt};
use std::collections::BTreeSet;
use std::fs;

impl Fence {
    /// Sends a set, and those that it builds on; returns how many were sent. Sets that the store has
    /// are not sent again.
    ///
    /// Every chunk is read and checked first. `told` is called with the bytes that were sent, about
    /// ten times a second. The token is renewed before each manifest and after it.
    ///
    /// # Errors
    ///
    /// Fails if a set is damaged, if the token was lost, or if the store cannot be reached or refuses.
    /// The set is then absent from the store; sets that it builds on may be there.
    pub fn put(&mut self, set: &Set, mut told: impl FnMut(Moved)) -> Result<usize, StoreError> {
        if set.info().process != self.process() {
            let (process, found) = (self.process().into(), set.info().process.clone());
            return Err(StoreError::OtherProcess { process, found });
        }
        let chain = Chain::open(set.path())?;
        let listing = self.core().listing()?;
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
            let core = self.core();
            let parts = upload::send_all(&core.place, parts, &done);
            carry::wait(&core.runtime, total, &done, &mut told, parts)?;
            self.confirm()?;
            let name = manifest.name.clone();
            let manifest = upload::send_all(&core.place, vec![manifest], &done);
            carry::wait(&core.runtime, total, &done, &mut told, manifest)?;
            if let Err(lost) = self.confirm() {
                let _ = self.delete(&name);
                return Err(lost);
            }
        }
        Ok(sets.len())
    }

    /// Removes the sets of this process but the `keep` youngest and those that they build on; returns
    /// their names. At least one is kept.
    ///
    /// # Errors
    ///
    /// Fails if the token was lost, if the store cannot be reached or refuses, or if a newer hotpool
    /// wrote a set, because only that one knows what the set builds on.
    pub fn drop_older(&mut self, keep: usize) -> Result<Vec<String>, StoreError> {
        let listing = self.core().listing()?;
        let newer = listing.sets.iter().find_map(|set| match &set.contents {
            Err(error @ SetError::Newer { .. }) if process_in(&set.name) == Some(self.process()) => {
                Some((&set.name, error))
            }
            _ => None,
        });
        if let Some((name, error)) = newer {
            return Err(StoreError::Needed { key: self.core().place.shown(name), why: error.to_string() });
        }
        let needed = needed(&listing, self.process(), keep.max(1));
        let ours = listing.sets.iter().filter(|set| set.is_of(self.process()));
        let dropped = ours.filter_map(|set| Some((&set.name, set.contents.as_ref().ok()?)));
        // The young ones first: a kill leaves no set without the one that it builds on.
        let dropped: Vec<_> = dropped.rev().filter(|(_, set)| !needed.contains(set.id())).collect();
        self.confirm()?;
        for (name, contents) in &dropped {
            self.delete(&format!("{name}/{MANIFEST}"))?;
            let files: Vec<String> = contents.files().map(String::from).collect();
            self.clear(name, &files)?;
        }
        Ok(dropped.into_iter().map(|(name, _)| name.clone()).collect())
    }

    /// Removes what interrupted uploads of this process left; returns how many there were.
    ///
    /// It does not matter how old they are: only the holder of the token writes sets, and this is it.
    ///
    /// # Errors
    ///
    /// Fails if the token was lost, or if the store cannot be reached or refuses.
    pub fn sweep(&mut self) -> Result<usize, StoreError> {
        let listing = self.core().listing()?;
        self.confirm()?;
        let is_ours = |name: &str| process_in(name) == Some(self.process());
        let mut swept: BTreeSet<String> = BTreeSet::new();
        for (name, files) in listing.remains.iter().filter(|(name, _)| is_ours(name)) {
            // Without its manifest first, so that it never looks whole.
            let (manifest, parts): (Vec<_>, Vec<_>) =
                files.iter().cloned().partition(|file| file == MANIFEST);
            self.clear(name, &manifest)?;
            self.clear(name, &parts)?;
            swept.insert(name.clone());
        }
        // A folder may have the pieces of a file, and no file.
        let folders = self.core().place.folder.iter().flat_map(fs::read_dir).flatten().flatten();
        for folder in folders.map(|entry| entry.path()) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_ours(&name) && !folder.join(MANIFEST).exists() {
                fs::remove_dir_all(&folder).map_err(system("remove", &folder))?;
                swept.insert(name);
            }
        }
        Ok(swept.len())
    }

    /// Removes files of a set, and its folder if it has one that is empty then.
    fn clear(&self, name: &str, files: &[String]) -> Result<(), StoreError> {
        for file in files {
            self.delete(&format!("{name}/{file}"))?;
        }
        if let Some(folder) = &self.core().place.folder {
            let _ = fs::remove_dir(folder.join(name));
        }
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let core = self.core();
        match core.block_on(core.place.objects.delete(&core.place.key(name))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(core.place.failed("remove", name, error)),
        }
    }
}

/// Returns the identities of the `keep` youngest sets of a process, and of those that they build on.
fn needed<'a>(listing: &'a Listing, process: &str, keep: usize) -> BTreeSet<&'a str> {
    let youngest = listing.sets.iter().rev().filter(|set| set.is_of(process)).take(keep);
    let mut needed = BTreeSet::new();
    for set in youngest {
        let mut next = Some(set);
        while let Some(contents) = next.and_then(|set| set.contents.as_ref().ok())
            && needed.insert(contents.id())
        {
            next = contents.parent().and_then(|parent| listing.find(parent));
        }
    }
    needed
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
