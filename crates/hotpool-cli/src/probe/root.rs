//! The root folder that probes read below: `/`, or a tree that a test has created.

use std::fs;
use std::path::{Path, PathBuf};

/// A root folder.
#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

impl Root {
    pub(crate) fn new(path: &Path) -> Self {
        Root(path.to_owned())
    }

    /// Returns the text of a file. The path has no leading slash.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.0.join(path)).ok()
    }

    /// Returns the only word of a file as a number.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    /// Returns the target of a link.
    pub(crate) fn link(&self, path: &str) -> Option<String> {
        Some(fs::read_link(self.0.join(path)).ok()?.to_string_lossy().into_owned())
    }

    /// Returns the files of a folder that end in `.conf`, ordered by name.
    pub(crate) fn conf_files(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join(folder)) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".conf")).collect();
        names.sort_unstable();
        names.into_iter().map(|name| format!("{folder}/{name}")).collect()
    }

    /// Returns the value of a row `Name:   12 kB`, in bytes.
    pub(crate) fn kilobytes(&self, path: &str, name: &str) -> Option<u64> {
        let text = self.text(path)?;
        let row = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(row.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024))
    }
}

/// A root folder that a test fills.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) struct Fake(tempfile::TempDir);

    impl Fake {
        pub(crate) fn with(files: &[(&str, &str)]) -> Self {
            let fake = Fake(tempfile::tempdir().unwrap());
            for (path, text) in files {
                let path = fake.0.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            fake
        }

        pub(crate) fn link(self, path: &str, to: &str) -> Self {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, path).unwrap();
            self
        }

        pub(crate) fn root(&self) -> Root {
            Root::new(self.0.path())
        }
    }
}
