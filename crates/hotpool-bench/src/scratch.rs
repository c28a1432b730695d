//! A folder in memory for the files of peers, gone with the value.

use std::path::PathBuf;
use tempfile::TempDir;

/// On tmpfs where there is one, so that nobody pays for a disk: what is compared survives a kill, not a power cut.
pub fn folder() -> anyhow::Result<TempDir> {
    let prefix = prefix();
    let builder = tempfile::Builder::new().prefix(&prefix).to_owned();
    Ok(builder.tempdir_in(MEMORY).or_else(|_| builder.tempdir())?)
}

const MEMORY: &str = "/dev/shm";

/// Names of this process's folders begin so.
fn prefix() -> String {
    format!("hotpool-bench-{}-", std::process::id())
}

/// Removes what this process has left, for where nothing is dropped.
pub fn remove_all() {
    let prefix = prefix();
    for place in [PathBuf::from(MEMORY), std::env::temp_dir()] {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
