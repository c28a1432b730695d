//! A folder in memory for the files of peers, gone with the value.

use tempfile::TempDir;

/// On tmpfs where there is one, so that nobody pays for a disk: what is compared survives a kill, not a power cut.
pub fn folder() -> anyhow::Result<TempDir> {
    let builder = tempfile::Builder::new().prefix("hotpool-bench-").to_owned();
    Ok(builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir())?)
}
