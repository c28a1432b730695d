//! Carries the snapshots of a pool to object stores and back.
//!
//! A [`Store`] is opened from a URL: `s3://bucket/prefix`, `gs://bucket/prefix`,
//! `az://container/prefix` or `file:///folder`. It lists sets, and brings them into a local folder,
//! from which hotpool restores. Credentials come from the environment.
//!
//! Only the holder of a [`Fence`] sends sets of a process. The fence is a token in the store, which one
//! host has at a time, so it also keeps two hosts from running one world.
//!
//! All calls block. Do not call them from an async task.
//!
//! ```no_run
//! use hotpool_snapshot_store::Store;
//! use std::path::Path;
//!
//! let store = Store::open("s3://backups/game")?;
//! let set = store.get("zone", Path::new("snapshots"), |moved| println!("{} bytes", moved.done))?;
//! println!("{} is here", set.path().display());
//! # Ok::<(), hotpool_snapshot_store::StoreError>(())
//! ```

#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]

mod carry;
mod download;
mod error;
mod fence;
mod listing;
mod place;
mod renew;
mod store;
mod swap;
mod token;
mod upload;
mod writer;

pub use carry::Moved;
pub use error::StoreError;
pub use fence::{Fence, FenceState, Taking, owner};
pub use listing::Stored;
pub use place::Settings;
pub use store::Store;
pub use token::Token;

/// The program of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
