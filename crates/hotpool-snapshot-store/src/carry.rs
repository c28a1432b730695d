//! Moving bytes: the runtime that does it, and what it tells meanwhile.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Bytes of one request of a large object, unless that would make too many requests.
pub(crate) const PIECE: u64 = 8 << 20;
/// Most requests of one object; S3 takes 10,000.
const PIECES: u64 = 9_000;
/// Objects that are moved at a time.
pub(crate) const AT_ONCE: usize = 4;
/// Pieces of an object that are on their way at a time.
pub(crate) const PIECES_AT_ONCE: usize = 4;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// Bytes that were moved.
    pub done: u64,
    /// Bytes to be moved.
    pub total: u64,
}

/// The bytes that were moved so far, which the tasks of a transfer count.
pub(crate) type Counter = Arc<AtomicU64>;

/// Returns the bytes of a piece of an object with `bytes` bytes.
pub(crate) fn piece(bytes: u64) -> u64 {
    PIECE.max(bytes.div_ceil(PIECES))
}

/// Waits for `work`, and tells ten times a second how far it is.
pub(crate) fn wait<T>(
    runtime: &Runtime,
    total: u64,
    done: &Counter,
    told: &mut dyn FnMut(Moved),
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        let result = runtime.block_on(async { timeout(Duration::from_millis(100), &mut work).await });
        // Outside of the runtime, so that `told` may use the store.
        told(Moved { done: done.load(Ordering::Relaxed), total });
        if let Ok(result) = result {
            return result;
        }
    }
}
