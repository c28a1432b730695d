//! `hotpool ls` and `hotpool rm` against real segments, beside real owners.

mod bench;
mod cold;
mod homes;
mod ls;
mod rm;

/// Not a test of its own: what the owners in the tests are.
#[test]
fn child() {
    bench::live_as_child();
}
