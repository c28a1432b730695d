//! Object stores: what the verbs that use them share.

use crate::exit::Exit;
use anyhow::Result;
use hotpool_snapshot_store::{Store, StoreError};
use std::io::Write;

/// Opens a store, and does `work` with it. A refusal gets its exit code and a line.
pub(crate) fn with(url: &str, work: impl FnOnce(&Store) -> Result<Exit>) -> Result<Exit> {
    let result = Store::open(url).map_err(anyhow::Error::from).and_then(|store| work(&store));
    match result {
        Err(error) => match error.downcast_ref::<StoreError>().and_then(refusal) {
            Some(exit) => {
                // An error of stderr itself cannot be reported anywhere.
                let _ = writeln!(std::io::stderr(), "hotpool: {error:#}");
                Ok(exit)
            }
            None => Err(error),
        },
        done => done,
    }
}

/// Returns the exit code of an error that is not one of the environment.
fn refusal(error: &StoreError) -> Option<Exit> {
    match error {
        StoreError::Owned { .. } | StoreError::Lost { .. } => Some(Exit::Refused),
        StoreError::Url { .. } | StoreError::Name { .. } => Some(Exit::Usage),
        StoreError::NoSet { .. } => Some(Exit::Absent),
        StoreError::Damaged { .. } | StoreError::NoParent { .. } => Some(Exit::Damage),
        _ => None,
    }
}
