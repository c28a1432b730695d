//! What a manifest says, without the parts of its set.

use super::error::SetError;
use super::manifest::{Manifest, SetInfo};
use std::path::Path;

/// What a manifest says.
#[derive(Debug)]
pub struct Contents {
    pub(super) manifest: Manifest,
    pub(super) info: SetInfo,
}

impl Contents {
    /// Reads the bytes of a manifest. Errors name `path`.
    ///
    /// # Errors
    ///
    /// Fails if they are damaged or no manifest, or if a newer hotpool wrote them.
    pub fn read(bytes: &[u8], path: &Path) -> Result<Contents, SetError> {
        let manifest = Manifest::decode(&String::from_utf8_lossy(bytes), path)?;
        Ok(Contents { info: manifest.info(), manifest })
    }

    /// Returns what the set is an image of.
    pub fn info(&self) -> &SetInfo {
        &self.info
    }

    /// Returns the identity of the set.
    pub fn id(&self) -> &str {
        &self.manifest.id
    }

    /// Returns the identity of the set that this one builds on.
    pub fn parent(&self) -> Option<&str> {
        self.manifest.parent.as_deref()
    }

    /// Returns the name of the folder of the set.
    pub fn name(&self) -> String {
        self.info.folder(&self.manifest.id)
    }

    /// Returns the names of the files, without the manifest.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.manifest.parts.iter().map(|part| part.file.as_str())
    }
}
