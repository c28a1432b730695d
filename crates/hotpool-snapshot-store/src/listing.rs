//! Which sets a store has.

use crate::error::StoreError;
use crate::place::Place;
use futures_util::{StreamExt, TryStreamExt, stream};
use hotpool::snapshot::{Contents, SetError};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// File name of a manifest.
pub(crate) const MANIFEST: &str = "manifest.toml";
/// Largest manifest that is read: as for a set in a folder.
const MANIFEST_BYTES: u64 = 4 << 20;
/// Manifests that are read at a time.
const READS: usize = 16;

/// A set in a store.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stored {
    /// Its name in the store.
    pub name: String,
    /// What its manifest says, or why it cannot be read.
    pub contents: Result<Contents, SetError>,
    /// Bytes of its objects.
    pub bytes: u64,
}

impl Stored {
    pub(crate) fn id(&self) -> Option<&str> {
        self.contents.as_ref().ok().map(Contents::id)
    }

    pub(crate) fn is_of(&self, process: &str) -> bool {
        self.contents.as_ref().is_ok_and(|contents| contents.info().process == process)
    }

    /// Returns what sorts sets from old to young.
    fn age(&self) -> (u64, &str) {
        (self.contents.as_ref().map_or(0, |contents| contents.info().taken_ns), &self.name)
    }
}

/// The objects of a store, and what they make up.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Whole sets, the oldest first, and sets whose manifests cannot be read.
    pub(crate) sets: Vec<Stored>,
    /// Names of what interrupted uploads left, with their files.
    pub(crate) remains: Vec<(String, Vec<String>)>,
}

/// The objects below one name: file names with their bytes.
type Folder = BTreeMap<String, u64>;

impl Listing {
    /// Lists the objects of a store, and reads the manifests.
    pub(crate) async fn read(place: &Place) -> Result<Listing, StoreError> {
        let all: Vec<ObjectMeta> = place
            .objects
            .list(Some(place.prefix()))
            .try_collect()
            .await
            .map_err(|error| place.failed("list", "", error))?;
        let mut folders: BTreeMap<String, Folder> = BTreeMap::new();
        for object in all {
            if let Some((name, file)) = names(place.prefix(), &object.location) {
                folders.entry(name).or_default().insert(file, object.size);
            }
        }
        let all: Vec<(String, Vec<String>)> =
            folders.iter().map(|(name, files)| (name.clone(), files.keys().cloned().collect())).collect();
        let has_manifest = |(_, files): &(String, Folder)| files.contains_key(MANIFEST);
        let sets = folders.into_iter().filter(has_manifest);
        let read = stream::iter(sets).map(|(name, files)| stored(place, name, files)).buffered(READS);
        let read: Vec<Option<Stored>> = read.try_collect().await?;
        let mut sets: Vec<Stored> = read.into_iter().flatten().collect();
        let is_set = |name: &str| sets.iter().any(|set| set.name == name);
        let remains = all.into_iter().filter(|(name, _)| !is_set(name)).collect();
        sets.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(Listing { sets, remains })
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Stored> {
        self.sets.iter().find(|set| set.id() == Some(id))
    }

    /// Returns the youngest set of a process.
    pub(crate) fn latest(&self, process: &str) -> Option<&Stored> {
        self.sets.iter().rfind(|set| set.is_of(process))
    }
}

/// Splits the name of an object into that of its set and that of its file.
fn names(prefix: &Path, key: &Path) -> Option<(String, String)> {
    let mut parts = key.prefix_match(prefix)?;
    let (name, file) = (parts.next()?, parts.next()?);
    parts.next().is_none().then(|| (name.as_ref().into(), file.as_ref().into()))
}

/// Reads the manifest of a set; `None` if the set lacks a part, or was removed meanwhile.
async fn stored(place: &Place, name: String, files: Folder) -> Result<Option<Stored>, StoreError> {
    let shown = PathBuf::from(place.shown(&format!("{name}/{MANIFEST}")));
    let bytes = files.values().sum();
    if files.get(MANIFEST).is_some_and(|bytes| *bytes > MANIFEST_BYTES) {
        let error = SetError::Manifest { path: shown, why: "it is too long".into() };
        return Ok(Some(Stored { name, contents: Err(error), bytes }));
    }
    let text = match manifest(place, &name).await {
        Ok(text) => text,
        Err(StoreError::Absent { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let contents = Contents::read(&text, &shown);
    let is_whole = contents.as_ref().map_or(true, |set| set.files().all(|file| files.contains_key(file)));
    Ok(is_whole.then_some(Stored { name, contents, bytes }))
}

/// Returns the bytes of the manifest of a set.
pub(crate) async fn manifest(place: &Place, name: &str) -> Result<Vec<u8>, StoreError> {
    let name = format!("{name}/{MANIFEST}");
    let failed = |error| place.failed("read", &name, error);
    let found = place.objects.get(&place.key(&name)).await.map_err(failed)?;
    Ok(found.bytes().await.map_err(failed)?.to_vec())
}

/// Returns the process in the name of a set.
pub(crate) fn process_in(name: &str) -> Option<&str> {
    let mut parts = name.rsplitn(3, '-');
    let (id, seconds) = (parts.next()?, parts.next()?);
    let is_name = id.len() == 8 && seconds.len() >= 10 && seconds.bytes().all(|byte| byte.is_ascii_digit());
    parts.next().filter(|_| is_name)
}
