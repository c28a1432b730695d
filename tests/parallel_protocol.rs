//! The protocols between threads of a pool (`src/pool/par/protocol.rs`) in every interleaving that
//! the memory model allows, by loom: with the orderings of the library, and with weaker ones, which
//! must be caught.
#![allow(clippy::duplicate_mod, reason = "the protocol is there with several orderings")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};

mod protocol;

use protocol::{gives_early, right, takes_early};

/// Two threads write their names into the mark of one lane. loom reports two accesses to a mark
/// without an order between them.
macro_rules! lanes {
    ($protocol:ident) => {
        loom::model(|| {
            let lanes = Arc::new(($protocol::protocol::LaneSet::new(), [UnsafeCell::new(0)]));
            let work = |name: u64, lanes: &($protocol::protocol::LaneSet, [UnsafeCell<u64>; 1])| {
                let Some(number) = lanes.0.take(1) else { return };
                let mark = &lanes.1[number as usize];
                // SAFETY: loom checks that no other thread has the cell.
                mark.with_mut(|mark| unsafe { *mark = name });
                // SAFETY: as above.
                assert_eq!(mark.with(|mark| unsafe { *mark }), name);
                // SAFETY: as above.
                mark.with_mut(|mark| unsafe { *mark = 0 });
                lanes.0.give(number);
            };
            let other = Arc::clone(&lanes);
            let thread = thread::spawn(move || work(1, &other));
            work(2, &lanes);
            thread.join().unwrap();
            assert!(!lanes.0.is_any_taken());
            // SAFETY: as above.
            assert_eq!(lanes.1[0].with(|mark| unsafe { *mark }), 0);
        })
    };
}

/// Two jobs store their results, and the thread that waits reads them.
macro_rules! countdown {
    ($protocol:ident) => {
        loom::model(|| {
            let jobs = Arc::new(($protocol::protocol::Countdown::new(), [0, 1].map(|_| UnsafeCell::new(0))));
            for number in 0..2 {
                jobs.0.add();
                let jobs = Arc::clone(&jobs);
                thread::spawn(move || {
                    // SAFETY: loom checks that no other thread has the cell.
                    jobs.1[number].with_mut(|result| unsafe { *result = 7 });
                    jobs.0.end_one();
                });
            }
            while !jobs.0.is_over() {
                thread::yield_now();
            }
            for result in &jobs.1 {
                // SAFETY: as above.
                assert_eq!(result.with(|result| unsafe { *result }), 7);
            }
        })
    };
}

fn is_caught(model: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(model)).is_err()
}

#[test]
fn a_lane_has_one_thread_at_a_time() {
    lanes!(right);
    assert!(is_caught(|| lanes!(takes_early)), "a lane is used before it is taken");
    assert!(is_caught(|| lanes!(gives_early)), "a lane is given before it was used for the last time");
}

#[test]
fn who_waits_for_jobs_sees_what_they_did() {
    countdown!(right);
    assert!(is_caught(|| countdown!(takes_early)), "the waiting thread reads too early");
    assert!(is_caught(|| countdown!(gives_early)), "a job ends before its last store");
}
