//! A text file on disk: compared with the text it should have, and replaced as a whole or not at all.

use anyhow::{Context, Result};
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

/// How a file on disk compares with the text it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has this text.
    Same,
    /// It has another text.
    Differs,
    /// It does not exist.
    Missing,
}

/// Reads a whole file. A named pipe is refused, because to open one waits for a process that writes to it; so is a file
/// without an end. The pipe of `<(...)` has no name of its own, and is read.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    const MOST: u64 = 16 << 20;
    if fs::canonicalize(path).and_then(fs::metadata).is_ok_and(|found| found.file_type().is_fifo()) {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is a named pipe, not a file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(std::io::Error::new(ErrorKind::InvalidData, "it has more than 16 MiB"));
    }
    Ok(bytes)
}

/// Compares a file with the text it should have. Fails if the file exists and cannot be read.
pub(crate) fn compare(path: &Path, text: &str) -> Result<State> {
    match read(path) {
        Ok(found) if found == text.as_bytes() => Ok(State::Same),
        Ok(_) => Ok(State::Differs),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::Missing),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Replaces a file: a reader sees the old text or the new one, even after a crash.
/// Creates the folder. An existing file keeps its mode.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        // The umask takes its bits from this, as with any new file.
        let mut new = tempfile::Builder::new()
            .prefix(".hotpool.")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        new.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(path) {
            new.as_file().set_permissions(old.permissions())?;
        }
        new.as_file().sync_all()?;
        new.persist(path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/a.ini");
        assert_eq!(compare(&path, "one").unwrap(), State::Missing);
        replace(&path, "one").unwrap();
        assert_eq!(compare(&path, "one").unwrap(), State::Same);
        assert_eq!(compare(&path, "two").unwrap(), State::Differs);

        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let before = fs::File::open(&path).unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let old_text = std::io::read_to_string(before).unwrap();
        assert_eq!(old_text, "one", "a reader that had the file open keeps the old text");
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "nothing but the ini is left behind");
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ini");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, "one").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
