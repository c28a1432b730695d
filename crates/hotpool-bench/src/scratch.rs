//! A folder in memory for the files of peers, removed when it is dropped.

use std::path::PathBuf;
use tempfile::TempDir;

/// Creates a folder, on tmpfs if possible, so that no peer waits for a disk: the comparison is
/// about surviving a kill, not a power cut.
pub fn folder() -> anyhow::Result<TempDir> {
    let prefix = prefix();
    let builder = tempfile::Builder::new().prefix(&prefix).to_owned();
    Ok(builder.tempdir_in(MEMORY).or_else(|_| builder.tempdir())?)
}

const MEMORY: &str = "/dev/shm";

/// Returns the prefix of this process's folders.
fn prefix() -> String {
    format!("hotpool-bench-{}-", std::process::id())
}

/// Removes the folders of this process, for exits that do not run destructors.
pub fn remove_all() {
    let prefix = prefix();
    for place in [PathBuf::from(MEMORY), std::env::temp_dir()] {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
