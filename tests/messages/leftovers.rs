//! A creation and a removal that are killed after each system call, a creation that is killed after
//! each store to the new segment, and what they leave.

use super::messages::Queue;
use super::scenarios::{Planted, plant};
use super::stepper::{self, Child, Moment, Path};
use hotpool::conf::QueueKind;
use hotpool::queue::{Receiver, Sender, verify_idle};
use hotpool::sync::{self, Part, Parts, parts};
use hotpool::units::Key;
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// The name of the kills of [`stores`], for the list of bugs.
pub(crate) const STORES: &str = "leftovers: stores of a creation";

/// The new segment, as this process sees it.
struct Watch {
    key: Key,
    /// Address and size, once it exists.
    mapped: Option<(*const u8, usize)>,
    last: Vec<u8>,
}

impl Watch {
    fn look(&mut self) {
        if self.mapped.is_some() {
            return;
        }
        // SAFETY: integers only.
        let shmid = unsafe { libc::shmget(self.key.raw(), 0, 0) };
        if shmid == -1 {
            return;
        }
        // SAFETY: the kernel chooses a free address.
        let start = unsafe { libc::shmat(shmid, std::ptr::null(), libc::SHM_RDONLY) };
        assert_ne!(start.addr(), usize::MAX, "{}", std::io::Error::last_os_error());
        // The head, the members and the entries of a small queue.
        self.mapped = Some((start.cast::<u8>().cast_const(), 2048));
        self.last = vec![0; 2048];
    }

    fn has_changed(&mut self) -> bool {
        let Some((start, bytes)) = self.mapped else { return false };
        // SAFETY: attached for reading, and the child is stopped.
        let now = unsafe { std::slice::from_raw_parts(start, bytes) };
        let changed = now != self.last;
        if changed {
            self.last.copy_from_slice(now);
        }
        changed
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((start, _)) = self.mapped {
            // SAFETY: the address came from `shmat`.
            unsafe { libc::shmdt(start.cast()) };
        }
    }
}

/// Kills a creation after each store to the new segment and after each system call. Then the queue
/// is sound, and carries messages.
pub(crate) fn stores(bug: Planted) -> (u64, Option<String>) {
    let queue = Queue::new(QueueKind::Channel, 3, &["a"], &["x"]);
    let start = || {
        queue.renew();
        Child::start(|| {
            plant(bug);
            stepper::begin();
            drop(open(&queue));
            stepper::end();
        })
    };
    let child = start();
    let mut watch = Watch { key: queue.conf.key, mapped: None, last: Vec::new() };
    let (mut entered, mut stored) = (false, 0);
    let path = Path::walk(&child, |moment| {
        if moment == Moment::BeforeKernel {
            entered = true;
            return false;
        }
        if std::mem::take(&mut entered) {
            watch.look();
        }
        let changed = watch.has_changed();
        stored += usize::from(changed);
        changed
    });
    child.kill();
    drop(watch);
    // The fields of the head, the names of the members, an entry for each message, a writer.
    assert!(stored > 20, "{stored} stores were seen");
    let (mut kills, mut missed) = (0, 0);
    for &place in &path.changes {
        let child = start();
        let reached = child.run_to(&path, place);
        child.kill();
        missed += usize::from(!reached);
        kills += 1;
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&queue)));
        match judged.unwrap_or_else(|_| Err("a process could not open it".into())) {
            Ok(()) => {}
            Err(what) => return (kills, Some(format!("{STORES}: killed after instruction {place}: {what}"))),
        }
    }
    println!("{STORES:64} {:6} instructions, {kills:6} kills, {missed} of them elsewhere", path.len());
    assert!(missed * 10 <= path.changes.len(), "{missed} of {} places were missed", path.changes.len());
    (kills, None)
}

fn judge(queue: &Queue) -> Result<(), String> {
    let mut tx = open(queue);
    let mut rx: Receiver<[u8]> = Receiver::open(&queue.conf, "x").unwrap();
    for number in 0..7_u64 {
        tx.try_send(&number.to_le_bytes()).map_err(|error| error.to_string())?;
        let got = rx.try_recv().map_err(|error| error.to_string())?;
        if got.value != number.to_le_bytes() || got.meta.id != number {
            return Err(format!("message {number} arrived as {} with {:?}", got.meta.id, got.value));
        }
        rx.ack();
    }
    drop((tx, rx));
    let damage = verify_idle(queue.conf.key).map_err(|error| error.to_string())?;
    if damage.is_empty() { Ok(()) } else { Err(damage.join("; ")) }
}
