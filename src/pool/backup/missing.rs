//! Restores a pool that a start does not find, as after a reboot.

use super::restore::{RestoreError, RestoreOptions, restore_pool};
use crate::conf::{OnMissing, ProcessConf};
use crate::pool::error::PoolError;
use crate::pool::start::report::RestoredFrom;
use crate::share::{Home, observe};
use crate::snapshot::{Chain, Found, SetError, list};
use crate::sys;
use std::path::PathBuf;
use std::time::Duration;

/// Restores the pool of a process if it does not exist and the ini says so. Returns the snapshot that
/// was taken.
///
/// An existing pool is never touched: the restore holds the owner lock when it looks again.
pub(crate) fn restore(conf: &ProcessConf) -> Result<Option<RestoredFrom>, PoolError> {
    let (snapshots, key) = (&conf.snapshots, conf.base_key);
    if snapshots.on_missing != OnMissing::Restore || exists(conf) {
        return Ok(None);
    }
    let found = list(&snapshots.dir);
    let found = found.map_err(|source| PoolError::NoShelf { key, source: Box::new(source) })?;
    let mut damaged: Vec<(PathBuf, String)> = Vec::new();
    for set in of_process(found, conf) {
        let path = set.path.clone();
        match restore_one(set, conf) {
            Ok(taken_ns) => {
                for (other, why) in &damaged {
                    log::warn!(
                        "{}: the snapshot {} is damaged, so {} was restored: {why}",
                        conf.name,
                        other.display(),
                        path.display()
                    );
                }
                let age = Duration::from_nanos(sys::wall_nanos().saturating_sub(taken_ns));
                let damaged = damaged.into_iter().map(|(path, _)| path).collect();
                return Ok(Some(RestoredFrom::new(path, age, damaged)));
            }
            // Another start was faster.
            Err(RestoreError::Exists { .. }) => return Ok(None),
            Err(RestoreError::Share(error)) => return Err(error.into()),
            Err(error) if is_damage(&error) => damaged.push((path, error.to_string())),
            Err(error) => return Err(PoolError::NotRestored { key, why: error.to_string() }),
        }
    }
    match damaged.first() {
        Some((_, why)) => {
            let (dir, sets, why) = (snapshots.dir.clone(), damaged.len(), why.clone());
            Err(PoolError::NoWholeSet { key, dir, sets, why })
        }
        None => {
            log::info!("{}: no pool, and no snapshot in {}", conf.name, snapshots.dir.display());
            Ok(None)
        }
    }
}

/// Returns whether a complete pool is there. What cannot be observed is left to the start.
fn exists(conf: &ProcessConf) -> bool {
    match observe(conf.base_key, &Home::of(conf)) {
        Ok(facts) => facts.head().is_some_and(|head| head.is_hotpool() && !head.is_incomplete()),
        // A folder that does not exist has no segment.
        Err(_) => false,
    }
}

/// Returns the sets of a process, the youngest first. Those that cannot be read are told by their
/// names.
fn of_process(found: Vec<Found>, conf: &ProcessConf) -> Vec<Found> {
    let is_name = |process: &str| process == conf.name || conf.former_name.as_deref() == Some(process);
    let mut sets: Vec<(u64, Found)> = found
        .into_iter()
        .filter_map(|set| {
            let name = set.path.file_name()?.to_str()?;
            let taken = match &set.info {
                Ok(info) => is_name(&info.process).then_some(info.taken_ns)?,
                Err(_) => {
                    let mut parts = name.rsplitn(3, '-').skip(1);
                    let seconds: u64 = parts.next()?.parse().ok()?;
                    is_name(parts.next()?).then(|| (seconds + 1).saturating_mul(1_000_000_000))?
                }
            };
            Some((taken, set))
        })
        .collect();
    sets.sort_by_key(|(taken, _)| std::cmp::Reverse(*taken));
    sets.into_iter().map(|(_, set)| set).collect()
}

/// Restores a set, and returns when it was taken.
fn restore_one(set: Found, conf: &ProcessConf) -> Result<u64, RestoreError> {
    set.info?;
    let chain = Chain::open(&set.path)?;
    restore_pool(&chain, conf, &RestoreOptions::default())?;
    Ok(chain.info().taken_ns)
}

/// Returns whether an older set may help.
fn is_damage(error: &RestoreError) -> bool {
    match error {
        RestoreError::Damaged { .. } => true,
        RestoreError::Set(error) => matches!(
            error,
            SetError::NoSet { .. }
                | SetError::Manifest { .. }
                | SetError::Part { .. }
                | SetError::NoParent { .. }
                | SetError::System { .. }
        ),
        _ => false,
    }
}
