//! The error of a segment on Windows, where no pools exist.

use crate::share::backend::Backend;
use crate::units::{Bytes, Key};
use std::io;

/// Why a segment could not be found, created, attached or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The system refused.
    #[error("cannot {call} the segment under {key} of size {bytes}: {source}")]
    System {
        /// Segment key.
        key: Key,
        /// Size of the segment; 0 if unknown.
        bytes: Bytes,
        /// What was attempted.
        call: &'static str,
        /// Error of the system.
        source: io::Error,
    },
}

impl ShareError {
    /// Returns the error as it is: there is no advice for this system.
    pub(crate) fn at(self, _backend: &dyn Backend) -> Self {
        self
    }
}

/// The error of a call that the system refused.
pub(crate) fn system(key: Key, bytes: u64, call: &'static str) -> impl FnOnce(io::Error) -> ShareError {
    move |source| ShareError::System { key, bytes: Bytes(bytes), call, source }
}
