//! Bringing the files of a set into a local folder.

use crate::carry::{AT_ONCE, Counter};
use crate::error::{StoreError, system};
use crate::place::Place;
use futures_util::TryStreamExt;
use object_store::{Error, ObjectStoreExt};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Brings the files `names` of the set `set` into `folder`, some at a time. The first that fails
/// ends the others.
pub(crate) async fn bring_all(
    place: &Place,
    set: &str,
    names: Vec<String>,
    folder: &Path,
    done: &Counter,
) -> Result<(), StoreError> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for file in names {
        let (place, done, places) = (place.clone(), Arc::clone(done), Arc::clone(&places));
        let (to, name) = (folder.join(&file), format!("{set}/{file}"));
        tasks.spawn(async move {
            let _held = places.acquire_owned().await;
            bring(&place, &name, to, &done).await
        });
    }
    while let Some(result) = tasks.join_next().await {
        match result {
            Ok(brought) => brought?,
            Err(source) => return Err(place.failed("read", set, Error::JoinError { source })),
        }
    }
    Ok(())
}

async fn bring(place: &Place, name: &str, to: PathBuf, done: &Counter) -> Result<(), StoreError> {
    let failed = |error| place.failed("read", name, error);
    let mut file = File::create_new(&to).map_err(system("create", &to))?;
    let found = place.objects.get(&place.key(name)).await.map_err(failed)?;
    let mut pieces = found.into_stream();
    while let Some(piece) = pieces.try_next().await.map_err(failed)? {
        file.write_all(&piece).map_err(system("write", &to))?;
        done.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}
