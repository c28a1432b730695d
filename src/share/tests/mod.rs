//! `PoolSegments` on real kernel objects: each file tests a promise.

mod blocks;
mod claims;
mod creation;
mod host;
mod owner;
mod refusals;
mod sentences;
mod verdicts;

/// The process of a [`Servant`](super::testing::Servant); as a test of its own it does nothing.
#[test]
fn serve() {
    super::testing::serve();
}
