//! Reasons why the segments of a pool could not be attached or created.

use super::advice::{self, Site};
use super::backend::Backend;
use super::facts::Facts;
use super::memory::MemoryError;
use super::owner_error::OwnerError;
use super::verdict::Verdict;
use crate::units::{Bytes, Key};
use std::io;

/// Reasons why the segments of a pool could not be attached or created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The owner lock could not be obtained.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The segment under the key cannot be used.
    #[error("{}; {}", verdict.reason(facts), verdict.next(facts))]
    Refused {
        /// Verdict on the segment.
        verdict: Verdict,
        /// Facts about the segment.
        facts: Box<Facts>,
    },
    /// The key is that of a block, but a base is required.
    #[error("{key} is block {index} of {}", whose(*key, base.as_ref()))]
    Block {
        /// Key of the block.
        key: Key,
        /// Number of the block.
        index: u32,
        /// Base key and process name of its pool, if the base was found.
        base: Option<(Key, String)>,
    },
    /// There is no pool to resume, and the configuration refuses a cold start.
    #[error("{}, and MustBeHot = yes refuses to create a new pool", verdict.reason(facts))]
    Cold {
        /// Verdict on the segment.
        verdict: Verdict,
        /// Facts about the segment.
        facts: Box<Facts>,
    },
    /// Another start created new semaphores, or took these over, while this process attached.
    ///
    /// One of the two must stop.
    #[error(
        "the owner semaphores under {key} were removed or changed while this process attached; find who runs \
         `ipcrm`, or what else in this process opens the pool, then start again"
    )]
    Overtaken {
        /// Key of the base segment.
        key: Key,
    },
    /// A start in another namespace created or removed the base at the same moment.
    #[error(
        "another start created or removed the base under {key} at the same moment, in another namespace or container; \
         run `hotpool ls`, then start again"
    )]
    Outrun {
        /// Base key.
        key: Key,
    },
    /// The memory of the pool is not available as the ini requires it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The system refused.
    #[error("cannot {call} the segment under {key} of size {bytes}: {source}; {}", advice::segment(call, source, *bytes, site.as_deref()))]
    System {
        /// Segment key.
        key: Key,
        /// Size of the segment; 0 if unknown.
        bytes: Bytes,
        /// What was attempted.
        call: &'static str,
        /// Error of the system.
        source: io::Error,
        /// Backend and folder of the segment, if known.
        #[doc(hidden)]
        site: Option<Box<Site>>,
    },
}

impl ShareError {
    /// Returns the error of a segment that the system does not describe.
    #[cfg(feature = "snapshots")]
    pub(crate) fn of_inspection(key: Key, source: io::Error) -> Self {
        system(key, 0, "inspect")(source)
    }

    /// Returns the error of pages that get no memory.
    #[cfg(feature = "snapshots")]
    pub(crate) fn of_populating(key: Key, bytes: Bytes, source: io::Error) -> Self {
        system(key, bytes.0, "populate")(source)
    }

    /// Adds backend and folder to an error of the system, on which the advice depends.
    ///
    /// It reads the file system, so it is called before anything is undone.
    #[cold]
    pub(crate) fn at(mut self, backend: &dyn Backend) -> Self {
        let (key, source) = match &mut self {
            ShareError::System { site: Some(_), .. } => return self,
            ShareError::System { key, source, .. }
            | ShareError::Memory(MemoryError::Prefault { key, source, .. }) => (*key, source),
            _ => return self,
        };
        let found = Site::of(backend, key);
        *source = found.meaning(std::mem::replace(source, io::ErrorKind::Other.into()));
        if let ShareError::System { site, .. } = &mut self {
            *site = Some(Box::new(found));
        }
        self
    }
}

/// The pool of a block, and which key to use.
fn whose(key: Key, base: Option<&(Key, String)>) -> String {
    match base {
        Some((base, process)) if process.is_empty() => {
            format!("the pool under {base}; use the base key {base}")
        }
        Some((base, process)) => format!("the pool of {process} under {base}; use the base key {base}"),
        None => format!(
            "a pool whose base was not found; if `hotpool ls` calls {key} stray, `hotpool rm --key {key}` removes it"
        ),
    }
}

/// The error of a segment that was judged.
pub(super) fn refused(verdict: Verdict, facts: Facts) -> ShareError {
    ShareError::Refused { verdict, facts: Box::new(facts) }
}

/// The error of a call that the system refused.
pub(super) fn system(key: Key, bytes: u64, call: &'static str) -> impl FnOnce(io::Error) -> ShareError {
    move |source| ShareError::System { key, bytes: Bytes(bytes), call, source, site: None }
}
