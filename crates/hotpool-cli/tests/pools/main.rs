//! The verbs that look at pools, against real segments, beside real owners.

mod agree;
mod bench;
mod cold;
mod homes;
mod inspect;
mod ls;
mod meanwhile;
mod rm;
mod verify;

/// Not a test of its own: what the owners in the tests are.
#[test]
fn child() {
    bench::live_as_child();
}
