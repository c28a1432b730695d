//! A set whose files come from elsewhere.

use super::error::{SetError, system};
use super::set::Set;
use super::writer::{draft_in, sync};
use super::{contents::Contents, shelf};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A set whose files are copied from elsewhere.
///
/// Until [`finish`](Self::finish) it has the name of a draft, so it is whole or absent. Dropped
/// before, it is removed. What a kill leaves is removed by the next writer in the same folder.
#[derive(Debug)]
pub struct Arrival {
    shelf: PathBuf,
    /// `None` once it was renamed.
    draft: Option<PathBuf>,
    folder: PathBuf,
    /// Held while files arrive.
    _lock: File,
}

impl Arrival {
    /// Begins a set in the folder `shelf`, which is created if it is absent.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a file or a folder.
    pub fn begin(shelf: &Path) -> Result<Arrival, SetError> {
        fs::create_dir_all(shelf).map_err(system("create", shelf))?;
        shelf::sweep(shelf);
        let (_, draft, lock) = draft_in(shelf)?;
        Ok(Arrival { shelf: shelf.to_path_buf(), draft: Some(draft.clone()), folder: draft, _lock: lock })
    }

    /// Returns the folder that the parts and `manifest.toml` are copied to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads every chunk, brings all files to the disk, and gives the set its name.
    ///
    /// If the folder `shelf` already has this set, that one stays, and is returned.
    ///
    /// # Errors
    ///
    /// Fails if a file is missing or damaged, or if the system refuses. The set is then absent.
    pub fn finish(mut self) -> Result<Set, SetError> {
        let set = Set::open(&self.folder)?;
        set.verify(|_| ())?;
        let entries = fs::read_dir(&self.folder).map_err(system("list", &self.folder))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            File::open(&path).and_then(|file| file.sync_all()).map_err(system("sync", &path))?;
        }
        sync(&self.folder)?;
        let to = self.shelf.join(set.info().folder(set.id()));
        if let Some(there) = shelf::find(&to, set.id()) {
            return Set::open(&there);
        }
        fs::rename(&self.folder, &to).map_err(system("rename", &self.folder))?;
        self.draft = None;
        let _ = fs::remove_file(to.join(shelf::LOCK));
        sync(&self.shelf)?;
        Set::open(&to)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            shelf::discard(draft);
        }
    }
}

impl Contents {
    /// Returns the folder of this set in the folder `shelf`; `None` if it is not there.
    pub fn find(&self, shelf: &Path) -> Option<PathBuf> {
        shelf::find(&shelf.join(self.name()), self.id())
    }
}
