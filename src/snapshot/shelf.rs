//! A folder of sets: their names, drafts, and which is the youngest.

use super::contents::Contents;
use super::error::{SetError, system};
use super::manifest::{SetInfo, part_name};
use super::set::{MANIFEST, Set};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// What the name of a draft begins with.
pub(super) const DRAFT: &str = ".making-";
/// File in a draft that its writer holds locked.
pub(super) const LOCK: &str = "lock";

/// A set in a folder.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// Its folder.
    pub path: PathBuf,
    /// What it is an image of, or why it cannot be read.
    pub info: Result<SetInfo, SetError>,
    /// Its identity; empty if it cannot be read.
    pub id: String,
    /// The set that it builds on.
    pub parent: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
}

/// Returns the sets in a folder, the oldest first. A folder that is absent has none.
///
/// # Errors
///
/// Fails if the system refuses to list the folder.
pub fn list(shelf: &Path) -> Result<Vec<Found>, SetError> {
    let mut found: Vec<Found> = folders(shelf)?.into_iter().map(look).collect();
    found.sort_by(|one, other| {
        let taken = |found: &Found| found.info.as_ref().map_or(0, |info| info.taken_ns);
        taken(one).cmp(&taken(other)).then_with(|| one.path.cmp(&other.path))
    });
    Ok(found)
}

/// Returns the folder of the youngest readable set of a process; `None` if there is none.
///
/// # Errors
///
/// Fails if the system refuses to list the folder.
pub fn latest(shelf: &Path, process: &str) -> Result<Option<PathBuf>, SetError> {
    let of_process = |found: &Found| found.info.as_ref().is_ok_and(|info| info.process == process);
    Ok(list(shelf)?.into_iter().rfind(of_process).map(|found| found.path))
}

/// Returns the folder of the set with this identity beside `sibling`.
pub(super) fn find(sibling: &Path, id: &str) -> Option<PathBuf> {
    let shelf = sibling.parent()?;
    let shelf = if shelf.as_os_str().is_empty() { Path::new(".") } else { shelf };
    let of_id = |path: &PathBuf| Set::contents(path).is_ok_and(|contents| contents.id() == id);
    folders(shelf).ok()?.into_iter().find(of_id)
}

/// Creates and locks the file that says that a draft has a writer; `None` if another writer took the
/// draft for one without a writer in between, and removed it.
pub(super) fn lock(draft: &Path) -> Result<Option<File>, SetError> {
    let path = draft.join(LOCK);
    let file = File::create_new(&path).map_err(system("create", &path))?;
    file.lock().map_err(system("lock", &path))?;
    Ok(path.exists().then_some(file))
}

/// Removes the drafts whose writers are gone.
pub(super) fn sweep(shelf: &Path) {
    let Ok(entries) = fs::read_dir(shelf) else { return };
    let drafts = entries.flatten().map(|entry| entry.path());
    for draft in drafts.filter(|path| name(path).starts_with(DRAFT)) {
        // A draft without the file is one that its writer has just begun, or was killed there.
        let is_left = match File::open(draft.join(LOCK)) {
            Ok(file) => !matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
            Err(_) => is_old(&draft),
        };
        if is_left {
            discard(&draft);
        }
    }
}

/// Returns whether a folder did not change for a minute.
fn is_old(folder: &Path) -> bool {
    let changed = fs::metadata(folder).and_then(|meta| meta.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() >= 60))
}

/// Removes a draft.
pub(super) fn discard(draft: &Path) {
    if let Err(error) = fs::remove_dir_all(draft) {
        log::warn!("cannot remove {}, an unfinished snapshot: {error}", draft.display());
    }
}

/// Removes a set: first its name, so that it is whole or absent after a kill.
pub(super) fn drop_set(set: &Path, id: &str) -> Result<(), SetError> {
    let draft = set.with_file_name(format!("{DRAFT}{id}"));
    fs::rename(set, &draft).map_err(system("rename", set))?;
    // An empty file without a lock says that no writer has the draft: the next one removes its rest.
    let _ = File::create(draft.join(LOCK));
    fs::remove_dir_all(&draft).map_err(system("remove", &draft))
}

fn folders(shelf: &Path) -> Result<Vec<PathBuf>, SetError> {
    let entries = match fs::read_dir(shelf) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(system("list", shelf))?,
    };
    let paths = entries.flatten().map(|entry| entry.path());
    // Without its manifest it is a set that was damaged.
    let is_set = |path: &Path| path.join(MANIFEST).exists() || path.join(part_name(0)).exists();
    Ok(paths.filter(|path| !name(path).starts_with(DRAFT) && is_set(path.as_path())).collect())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn look(path: PathBuf) -> Found {
    let files = fs::read_dir(&path).into_iter().flatten().flatten();
    let bytes = files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum();
    match Set::contents(&path) {
        Ok(Contents { manifest, info }) => {
            Found { path, info: Ok(info), id: manifest.id, parent: manifest.parent, bytes }
        }
        Err(error) => Found { path, info: Err(error), id: String::new(), parent: None, bytes },
    }
}
