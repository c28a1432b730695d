//! What `doctor` says about each queue of an ini: its parts, its configuration, and who is missing.

use crate::human;
use crate::probe::{Finding, Severity};
use crate::remains::Remains;
use hotpool::conf::{OnDead, QueueConf, QueueKind};
use hotpool::queue::{QueueFacts, ReaderFacts, disagreement, observe};
use hotpool::sync::parts;
use hotpool::units::plural;

const PARTS: &str = "queue-parts";
const CONFIG: &str = "queue-config";
const DAMAGE: &str = "queue-damage";
const READERS: &str = "queue-readers";

/// Returns the findings about one queue.
pub(crate) fn findings(queue: &QueueConf) -> Vec<Finding> {
    let name = format!("queue {} ({})", human::printable(&queue.name), queue.key);
    let read = observe(queue.key).and_then(|found| Ok((found, parts(queue.key)?, disagreement(queue)?)));
    let (found, parts, differs) = match read {
        Ok(read) => read,
        Err(error) => return vec![Finding::note(PARTS, format!("{name}: cannot read it: {error}"))],
    };
    let remains = Remains::of(parts, found.is_some());
    let mut findings = vec![parts_of(queue, &name, remains)];
    let Some(facts) = found else { return findings };
    findings.push(config(&name, differs.map(|error| error.to_string())));
    if !facts.damage.is_empty() {
        let fix = format!("stop its members, and remove it with `hotpool queues --rm {}`", queue.key);
        findings.push(Finding::new(
            DAMAGE,
            Severity::Error,
            format!("{name}: {}", facts.damage.join("; ")),
            fix,
        ));
    }
    findings.extend(readers(queue, &name, &facts));
    findings
}

/// Checks whether segment and semaphores are both there.
fn parts_of(queue: &QueueConf, name: &str, remains: Remains) -> Finding {
    let found = |state: &str| format!("{name}: {state}");
    let remove = format!("or remove what is there with `hotpool queues --rm {}`", queue.key);
    match remains {
        Remains::Absent => Finding::ok(PARTS, found("no process has created it yet")),
        Remains::Whole => Finding::ok(PARTS, found("its segment and its semaphores are there")),
        Remains::Unfinished(why) => {
            Finding::new(PARTS, Severity::Note, found(why), format!("start one of its members, {remove}"))
        }
        Remains::Half(why) => Finding::new(
            PARTS,
            Severity::Warning,
            found(why),
            "stop the members that still run, then start them; find what removed the semaphores: `ipcrm`, or RemoveIPC",
        ),
        Remains::Foreign(why) => {
            Finding::new(PARTS, Severity::Error, found(why), "set another Key, or remove what is there")
        }
    }
}

/// Checks whether the processes of this ini can open the queue.
fn config(name: &str, differs: Option<String>) -> Finding {
    match differs {
        None => Finding::ok(CONFIG, format!("{name}: the ini agrees with it")),
        Some(error) => {
            let (found, fix) = error.split_once("; ").unwrap_or((&error, ""));
            Finding::new(CONFIG, Severity::Error, format!("{name}: {found}"), fix)
        }
    }
}

/// Checks whether messages wait for readers that no process serves.
fn readers(queue: &QueueConf, name: &str, facts: &QueueFacts) -> Vec<Finding> {
    if queue.kind == QueueKind::Work {
        return vec![consumers(name, facts)];
    }
    let writers_live = facts.writers.iter().any(|writer| writer.process.is_some());
    let waits = |reader: &&ReaderFacts| reader.process.is_none() && reader.lag > 0 && !reader.evicted;
    // Writers of the other kinds never wait for a reader, and it learns what it has missed.
    let is_channel = queue.kind == QueueKind::Channel;
    let waited_for: Vec<_> = facts.readers.iter().filter(waits).filter(|_| is_channel).collect();
    if waited_for.is_empty() {
        return vec![Finding::ok(READERS, format!("{name}: no message waits for a dead reader"))];
    }
    let finding = |reader: &ReaderFacts| {
        let is_full = reader.lag >= facts.capacity;
        let found = format!(
            "{name}: reader {} is dead, with {} of {} to read",
            human::printable(&reader.name),
            plural(reader.lag, "message"),
            facts.capacity,
        );
        let (then, severity) = match (is_full, queue.on_dead, writers_live) {
            // Nobody sends: the deployment is stopped, and continues there.
            (_, _, false) => ("", Severity::Note),
            (true, OnDead::Hold, true) => (": the writers wait for it", Severity::Error),
            (true, _, true) => (": the writers go on without it", Severity::Warning),
            (false, _, true) => ("", Severity::Warning),
        };
        let fix = "start it; OnDead = evict lets writers go on without it";
        Finding::new(READERS, severity, found + then, if severity == Severity::Note { "" } else { fix })
    };
    waited_for.into_iter().map(finding).collect()
}

/// Checks whether a consumer lives for the messages of a work queue.
fn consumers(name: &str, facts: &QueueFacts) -> Finding {
    let waiting = facts.unfinished.unwrap_or(0);
    let is_served = facts.readers.iter().any(|reader| reader.process.is_some());
    if waiting == 0 || is_served {
        return Finding::ok(READERS, format!("{name}: no message waits for a dead reader"));
    }
    let found = format!(
        "{name}: no reader lives, with {} of {} to finish",
        plural(waiting, "message"),
        facts.capacity
    );
    match facts.writers.iter().any(|writer| writer.process.is_some()) {
        true => Finding::new(READERS, Severity::Warning, found, "start one of its readers"),
        false => Finding::note(READERS, found),
    }
}
