//! The kernel's limits on System V memory and semaphores, compared with what an ini needs.

use super::{Finding, Needs, Root, Severity, size};
use hotpool::units::Key;

const PAGE: u64 = 4096;

/// Checks all limits.
pub(crate) fn all(root: &Root, needs: &Needs) -> Vec<Finding> {
    let there = Segments::read(root);
    let missing: Vec<u64> = needs
        .segments
        .iter()
        .filter(|(key, _)| !there.keys.contains(&key.0))
        .map(|(_, bytes)| *bytes)
        .collect();
    let mut findings = vec![
        shmmni(root, &there, missing.len() as u64),
        shmall(root, &there, missing.iter().map(|bytes| bytes.div_ceil(PAGE)).sum()),
        shmmax(root, missing.iter().copied().max().unwrap_or(0)),
    ];
    findings.extend(semaphores(root, needs));
    findings
}

/// The System V segments of the host.
struct Segments {
    keys: Vec<u32>,
    count: u64,
    pages: u64,
}

impl Segments {
    fn read(root: &Root) -> Self {
        let text = root.text("proc/sysvipc/shm").unwrap_or_default();
        let rows: Vec<(u32, u64)> = text.lines().skip(1).filter_map(row).collect();
        Segments {
            keys: rows.iter().map(|(key, _)| *key).collect(),
            count: rows.len() as u64,
            pages: rows.iter().map(|(_, bytes)| bytes.div_ceil(PAGE)).sum(),
        }
    }
}

/// Returns key and size from a row of `/proc/sysvipc/shm`.
fn row(line: &str) -> Option<(u32, u64)> {
    let mut fields = line.split_whitespace();
    let key = fields.next()?.parse::<i32>().ok()? as u32;
    Some((key, fields.nth(2)?.parse().ok()?))
}

/// Checks one limit: what is in use and what is missing, against the maximum.
fn limit(check: &'static str, name: &str, used: u64, more: u64, most: Option<u64>, unit: &str) -> Finding {
    let Some(most) = most else {
        return Finding::unread(check, &format!("proc/sys/{}", name.replace('.', "/")));
    };
    let wanted = used.saturating_add(more);
    if wanted <= most {
        return Finding::ok(check, format!("{name} = {most}: {used} {unit} in use, {more} more needed"));
    }
    Finding::new(
        check,
        Severity::Error,
        format!(
            "{name} = {most}: {used} {unit} in use, {more} more needed, so a start will fail with ENOSPC"
        ),
        format!("raise {name} to at least {wanted} (`sysctl -w`, and a file in /etc/sysctl.d)"),
    )
}

fn shmmni(root: &Root, there: &Segments, missing: u64) -> Finding {
    limit("shmmni", "kernel.shmmni", there.count, missing, root.number("proc/sys/kernel/shmmni"), "segments")
}

fn shmall(root: &Root, there: &Segments, missing: u64) -> Finding {
    limit("shmall", "kernel.shmall", there.pages, missing, root.number("proc/sys/kernel/shmall"), "pages")
}

fn shmmax(root: &Root, largest: u64) -> Finding {
    const CHECK: &str = "shmmax";
    match root.number("proc/sys/kernel/shmmax") {
        None => Finding::unread(CHECK, "proc/sys/kernel/shmmax"),
        Some(most) if largest <= most => Finding::ok(CHECK, format!("kernel.shmmax = {}", size(most))),
        Some(most) => Finding::new(
            CHECK,
            Severity::Error,
            format!(
                "kernel.shmmax = {}, but a segment needs {}, so a start will fail with EINVAL",
                size(most),
                size(largest)
            ),
            format!(
                "raise kernel.shmmax to at least {largest}, or lower BlockSize or the Capacity of a queue"
            ),
        ),
    }
}

/// Checks `kernel.sem`: the size of a set, the number of semaphores and the number of sets.
fn semaphores(root: &Root, needs: &Needs) -> [Finding; 3] {
    let sets = root.text("proc/sysvipc/sem").unwrap_or_default();
    let sets: Vec<(u32, u64)> = sets.lines().skip(1).filter_map(set).collect();
    let limits = root.text("proc/sys/kernel/sem").unwrap_or_default();
    let most = |nth: usize| limits.split_whitespace().nth(nth)?.parse::<u64>().ok();
    let is_missing = |key: Key| !sets.iter().any(|(there, _)| *there == key.0);
    let missing: Vec<u64> =
        needs.sets.iter().filter(|(key, _)| is_missing(*key)).map(|(_, count)| *count).collect();
    let (used, more) = (sets.iter().map(|(_, count)| count).sum(), missing.iter().sum());
    [
        semmsl(missing.iter().copied().max().unwrap_or(0), most(0)),
        limit("semmns", "kernel.sem", used, more, most(1), "semaphores (the second number)"),
        limit(
            "semmni",
            "kernel.sem",
            sets.len() as u64,
            missing.len() as u64,
            most(3),
            "semaphore sets (the last number)",
        ),
    ]
}

/// Returns key and size from a row of `/proc/sysvipc/sem`.
fn set(line: &str) -> Option<(u32, u64)> {
    let mut fields = line.split_whitespace();
    let key = fields.next()?.parse::<i32>().ok()? as u32;
    Some((key, fields.nth(2)?.parse().ok()?))
}

fn semmsl(largest: u64, most: Option<u64>) -> Finding {
    const CHECK: &str = "semmsl";
    match most {
        None => Finding::unread(CHECK, "proc/sys/kernel/sem"),
        Some(most) if largest <= most => {
            Finding::ok(CHECK, format!("kernel.sem allows sets of {most} (the first number)"))
        }
        Some(most) => Finding::new(
            CHECK,
            Severity::Error,
            format!(
                "kernel.sem allows sets of {most} (the first number), but a queue needs one of {largest}, so an open will \
                 fail with EINVAL"
            ),
            format!("raise the first number of kernel.sem to at least {largest}, or list fewer members"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::testing::Fake;
    use super::*;
    use hotpool::conf::{QueueConf, QueueKind};
    use hotpool::units::Bytes;

    const SHM: &str = "key shmid perms size\n 1213202689 1 600 67108864 0\n -5 2 600 4096 0\n";

    fn host(shmmni: &str, shmall: &str, shmmax: &str, sem: &str) -> Vec<Finding> {
        let root = Fake::with(&[
            ("proc/sysvipc/shm", SHM),
            ("proc/sysvipc/sem", "key semid perms nsems\n 7 0 600 3\n"),
            ("proc/sys/kernel/shmmni", shmmni),
            ("proc/sys/kernel/shmall", shmall),
            ("proc/sys/kernel/shmmax", shmmax),
            ("proc/sys/kernel/sem", sem),
        ]);
        // One of the two segments is there.
        let segments = vec![(Key(0x4850_0101), 64 << 20), (Key(0x4850_0102), 64 << 20)];
        let needs =
            Needs { segments, sets: vec![(Key(7), 3), (Key(8), 6)], bytes: 128 << 20, ..Needs::default() };
        all(&root.root(), &needs)
    }

    fn bad(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.check).collect()
    }

    #[test]
    fn each_limit_is_held_against_what_is_used_and_what_is_missing() {
        assert_eq!(bad(&host("3\n", "32769\n", "67108864\n", "6 9 1 2\n")), [] as [&str; 0], "just enough");
        assert_eq!(bad(&host("2\n", "32769\n", "67108864\n", "6 9 1 2\n")), ["shmmni"]);
        assert_eq!(bad(&host("3\n", "32768\n", "67108864\n", "6 9 1 2\n")), ["shmall"]);
        assert_eq!(bad(&host("3\n", "32769\n", "67108863\n", "6 9 1 2\n")), ["shmmax"]);
        assert_eq!(bad(&host("3\n", "32769\n", "67108864\n", "9 9 9 1\n")), ["semmni"]);
        assert_eq!(bad(&host("3\n", "32769\n", "67108864\n", "9 8 9 9\n")), ["semmns"]);
        assert_eq!(bad(&host("3\n", "32769\n", "67108864\n", "5 9 9 9\n")), ["semmsl"]);
    }

    #[test]
    fn the_fix_names_the_value_that_would_do() {
        let findings = host("2\n", "32769\n", "67108864\n", "6 9 1 2\n");
        assert_eq!(
            findings[0].fix,
            "raise kernel.shmmni to at least 3 (`sysctl -w`, and a file in /etc/sysctl.d)"
        );
    }

    #[test]
    fn a_queue_needs_a_segment_and_a_semaphore_for_each_member() {
        let mut queue = QueueConf::new("moves", Key(9), QueueKind::Channel, 64, Bytes(1000));
        queue.writers = ["zone", "match"].map(String::from).into();
        queue.readers = vec!["world".into()];
        let needs = Needs::default().with_queues([&queue]);
        assert_eq!(needs.sets, [(Key(9), 5)]);
        let [(key, bytes)] = needs.segments[..] else { panic!("{needs:?}") };
        // A chunk for each message and each writer, with a head of 64 bytes.
        assert!(
            key == Key(9) && bytes == needs.bytes && bytes > 66 * 1064 && bytes < 66 * 1088 + 8192,
            "{bytes}"
        );
    }

    #[test]
    fn what_cannot_be_read_is_a_note() {
        let findings = all(&Fake::with(&[]).root(), &Needs::default());
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");
    }
}
