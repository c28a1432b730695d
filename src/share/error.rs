//! Why the segments of a pool could not be attached or created.

use super::advice::{self, Site};
use super::backend::Backend;
use super::facts::Facts;
use super::memory::MemoryError;
use super::owner_error::OwnerError;
use super::verdict::Verdict;
use crate::units::{Bytes, Key};
use std::io;

/// Why the segments of a pool could not be attached or created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The owner lock was not had.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// What was found under the key is not what can be used.
    #[error("{}; {}", verdict.reason(facts), verdict.next(facts))]
    Refused {
        /// What it is.
        verdict: Verdict,
        /// What is known of it.
        facts: Box<Facts>,
    },
    /// The key of a block was given where that of a base is needed.
    #[error("{key} is block {index} of {}", whose(*key, base.as_ref()))]
    Block {
        /// Key of the block.
        key: Key,
        /// Number of the block.
        index: u32,
        /// Base key and process name of its pool, if the base was found.
        base: Option<(Key, String)>,
    },
    /// There is no pool to resume, and the configuration refuses to begin one.
    #[error("{}, and MustBeHot = yes refuses to make a new pool", verdict.reason(facts))]
    Cold {
        /// What is there.
        verdict: Verdict,
        /// What is known of it.
        facts: Box<Facts>,
    },
    /// Another start made new semaphores or took these over while this one attached: one of the two has
    /// to leave.
    #[error(
        "the owner semaphores under {key} were removed or changed while this process attached; find who runs \
         `ipcrm`, or what else in this process opens the pool, then start again"
    )]
    Overtaken {
        /// Key of the base segment.
        key: Key,
    },
    /// A start of another namespace made or removed the base at the same moment.
    #[error(
        "another start made or removed the base under {key} at the same moment, from another namespace or container; \
         run `hotpool ls`, then start again"
    )]
    Outrun {
        /// Key of the base segment.
        key: Key,
    },
    /// The memory of the pool is not had as the ini asks for it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The system refused.
    #[error("cannot {call} the segment under {key} of size {bytes}: {source}; {}", advice::segment(call, source, *bytes, site.as_deref()))]
    System {
        /// Key of the segment.
        key: Key,
        /// Its size, 0 where it is not known.
        bytes: Bytes,
        /// What was asked for.
        call: &'static str,
        /// Its answer.
        source: io::Error,
        /// Where the segment is, if that is known.
        site: Option<Box<Site>>,
    },
}

impl ShareError {
    /// Adds where the segment is to an error of the system: what helps depends on it. Looks at the file system, so it is
    /// called before anything is taken back.
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
