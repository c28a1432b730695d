//! The verbs that inspect pools, against real segments and real owners.

mod agree;
mod bench;
mod cold;
mod homes;
mod inspect;
mod ls;
mod meanwhile;
mod queues;
mod rm;
#[path = "../../../../tests/skip/mod.rs"]
mod skip;
mod strangers;
mod unfinished;
mod verify;

/// Runs as an owner if this process was launched as one.
#[test]
fn child() {
    bench::live_as_child();
}
