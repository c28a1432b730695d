//! The verbs that inspect pools, against real segments and real owners.

mod agree;
mod bench;
#[cfg(target_arch = "x86_64")]
#[allow(unreachable_pub, reason = "the harness shares it")]
#[path = "../../../../tests/harness/changing.rs"]
mod changing;
mod cold;
#[cfg(target_arch = "x86_64")]
mod cut;
mod homes;
mod inspect;
mod ls;
mod meanwhile;
mod queues;
mod rm;
mod schema;
#[path = "../../../../tests/skip/mod.rs"]
mod skip;
mod snapshots;
#[cfg(target_arch = "x86_64")]
#[allow(dead_code, unreachable_pub, reason = "only a part is used here")]
#[path = "../../../../tests/harness/stepper.rs"]
mod stepper;
mod strangers;
mod unfinished;
mod verify;

/// Runs as an owner if this process was launched as one.
#[test]
fn child() {
    bench::live_as_child();
}
