//! A creation and a removal that are killed after each system call, and what they leave.

use super::messages::Queue;
use super::stepper::{self, Child};
use hotpool::conf::QueueKind;
use hotpool::queue::Sender;
use hotpool::sync::{self, Part, Parts, parts};

/// The states that kills of an operation must have left, and those that they must not leave.
struct Operation {
    name: &'static str,
    /// Whether the queue exists before.
    exists: bool,
    run: fn(&Queue),
    /// Segment and semaphores.
    seen: &'static [(Part, Part)],
}

const ALL: &[Operation] = &[
    Operation {
        name: "leftovers: create",
        exists: false,
        run: |queue| drop(open(queue)),
        seen: &[
            (Part::Absent, Part::Absent),
            (Part::Absent, Part::Unfinished),
            (Part::Absent, Part::Whole),
            (Part::Unfinished, Part::Whole),
            (Part::Whole, Part::Whole),
        ],
    },
    Operation {
        name: "leftovers: remove",
        exists: true,
        run: |queue| assert!(sync::remove(queue.conf.key).unwrap()),
        seen: &[(Part::Whole, Part::Whole), (Part::Absent, Part::Whole), (Part::Absent, Part::Absent)],
    },
];

fn open(queue: &Queue) -> Sender<[u8]> {
    Sender::open(&queue.conf, "a").unwrap()
}

/// Kills all operations; returns the number of kills, and the violations.
pub(crate) fn run() -> (u64, Vec<String>) {
    let (mut kills, mut violations) = (0, Vec::new());
    for operation in ALL {
        let mut seen = Vec::new();
        let mut calls = 0;
        while let Some(found) = kill(operation, calls, &mut violations) {
            calls += 1;
            if !seen.contains(&found) {
                seen.push(found);
            }
        }
        println!("{:64} {calls:6} system calls", operation.name);
        kills += calls;
        let same = |state: &(Part, Part)| seen.contains(state);
        if seen.len() != operation.seen.len() || !operation.seen.iter().all(same) {
            violations.push(format!("{}: the kills left the states {seen:?}", operation.name));
        }
    }
    (kills, violations)
}

/// Kills an operation after so many system calls and one more; returns what that leaves, or `None`
/// if the operation ends first.
fn kill(operation: &Operation, calls: u64, violations: &mut Vec<String>) -> Option<(Part, Part)> {
    let queue = Queue::new(QueueKind::Channel, 3, &["a"], &["x"]);
    if operation.exists {
        drop(open(&queue));
    }
    let child = Child::start(|| {
        stepper::begin();
        (operation.run)(&queue);
        stepper::end();
    });
    let reached = (0..=calls).all(|_| child.to_call().is_some());
    child.kill();
    if !reached {
        return None;
    }
    let key = queue.conf.key;
    let left = parts(key).unwrap();
    let nothing = Parts { segment: Part::Absent, seats: Part::Absent };
    let removed = sync::remove(key);
    let then = parts(key).unwrap();
    if !matches!(removed, Ok(was) if was == (left != nothing)) || then != nothing {
        violations.push(format!(
            "{}: killed after system call {}: left {left:?}, removal said {removed:?}, left {then:?}",
            operation.name,
            calls + 1
        ));
    }
    Some((left.segment, left.seats))
}
