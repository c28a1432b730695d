//! Sending the files of a set: the parts first, the manifest last.

use crate::carry::{self, AT_ONCE, Counter, PIECES_AT_ONCE};
use crate::error::{StoreError, system};
use crate::place::Place;
use bytes::Bytes;
use object_store::{Error, ObjectStoreExt, WriteMultipart};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A local file, and the name it gets in the store.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

/// Sends files, some at a time. The first that fails ends the others.
pub(crate) async fn send_all(place: &Place, parcels: Vec<Parcel>, done: &Counter) -> Result<(), StoreError> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for parcel in parcels {
        let (place, done, places) = (place.clone(), Arc::clone(done), Arc::clone(&places));
        tasks.spawn(async move {
            let _held = places.acquire_owned().await;
            send(&place, &parcel, &done).await
        });
    }
    while let Some(result) = tasks.join_next().await {
        match result {
            Ok(sent) => sent?,
            Err(source) => return Err(place.failed("write", "", Error::JoinError { source })),
        }
    }
    Ok(())
}

/// Sends one file. Until all of it is there, the store does not have the object.
async fn send(place: &Place, parcel: &Parcel, done: &Counter) -> Result<(), StoreError> {
    let key = place.key(&parcel.name);
    let failed = |error| place.failed("write", &parcel.name, error);
    let file = File::open(&parcel.path).map_err(system("open", &parcel.path))?;
    let piece = carry::piece(parcel.bytes);
    if parcel.bytes <= piece {
        let bytes = read(&file, &parcel.path, 0, parcel.bytes)?;
        place.objects.put(&key, bytes.into()).await.map_err(failed)?;
        done.fetch_add(parcel.bytes, Ordering::Relaxed);
        return Ok(());
    }
    let upload = place.objects.put_multipart(&key).await.map_err(failed)?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, piece as usize);
    let mut at = 0;
    while at < parcel.bytes {
        let len = piece.min(parcel.bytes - at);
        let wait = upload.wait_for_capacity(PIECES_AT_ONCE).await.map_err(failed);
        match wait.and_then(|()| read(&file, &parcel.path, at, len)) {
            Ok(bytes) => upload.put(bytes),
            Err(error) => {
                let _ = upload.abort().await;
                return Err(error);
            }
        }
        at += len;
        done.fetch_add(len, Ordering::Relaxed);
    }
    upload.finish().await.map_err(failed)?;
    Ok(())
}

fn read(file: &File, path: &Path, at: u64, len: u64) -> Result<Bytes, StoreError> {
    let mut buffer = vec![0; len as usize];
    file.read_exact_at(&mut buffer, at).map_err(system("read", path))?;
    Ok(buffer.into())
}
