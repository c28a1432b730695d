//! The kernel's limits on System V memory and semaphores, compared with what an ini needs.

use super::{Finding, Needs, Root, Severity, size};

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
    vec![
        shmmni(root, &there, missing.len() as u64),
        shmall(root, &there, missing.iter().map(|bytes| bytes.div_ceil(PAGE)).sum()),
        shmmax(root, missing.iter().copied().max().unwrap_or(0)),
        semmni(root, needs),
    ]
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
                "kernel.shmmax = {}, but a block needs {}, so a start will fail with EINVAL",
                size(most),
                size(largest)
            ),
            format!("raise kernel.shmmax to at least {largest}, or lower BlockSize"),
        ),
    }
}

/// Checks the number of semaphore sets, the last number of `kernel.sem`.
fn semmni(root: &Root, needs: &Needs) -> Finding {
    let sets = root.text("proc/sysvipc/sem").unwrap_or_default();
    let keys: Vec<u32> = sets
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_whitespace().next()?.parse::<i32>().ok()? as u32))
        .collect();
    let missing = needs.sets.iter().filter(|key| !keys.contains(&key.0)).count() as u64;
    let most = root.text("proc/sys/kernel/sem");
    let most = most.and_then(|text| text.split_whitespace().nth(3)?.parse().ok());
    limit("semmni", "kernel.sem", keys.len() as u64, missing, most, "semaphore sets (the last number)")
}

#[cfg(test)]
mod tests {
    use super::super::root::testing::Fake;
    use super::*;
    use hotpool::units::Key;

    const SHM: &str = "key shmid perms size\n 1213202689 1 600 67108864 0\n -5 2 600 4096 0\n";

    fn host(shmmni: &str, shmall: &str, shmmax: &str, sem: &str) -> Vec<Finding> {
        let root = Fake::with(&[
            ("proc/sysvipc/shm", SHM),
            ("proc/sysvipc/sem", "key semid\n 7 0 600 3\n"),
            ("proc/sys/kernel/shmmni", shmmni),
            ("proc/sys/kernel/shmall", shmall),
            ("proc/sys/kernel/shmmax", shmmax),
            ("proc/sys/kernel/sem", sem),
        ]);
        // One of the two segments is there.
        let segments = vec![(Key(0x4850_0101), 64 << 20), (Key(0x4850_0102), 64 << 20)];
        let needs = Needs { segments, sets: vec![Key(7), Key(8)], bytes: 128 << 20, ..Needs::default() };
        all(&root.root(), &needs)
    }

    fn bad(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.check).collect()
    }

    #[test]
    fn each_limit_is_held_against_what_is_used_and_what_is_missing() {
        assert_eq!(bad(&host("3\n", "32769\n", "67108864\n", "1 1 1 2\n")), [] as [&str; 0], "just enough");
        assert_eq!(bad(&host("2\n", "32769\n", "67108864\n", "1 1 1 2\n")), ["shmmni"]);
        assert_eq!(bad(&host("3\n", "32768\n", "67108864\n", "1 1 1 2\n")), ["shmall"]);
        assert_eq!(bad(&host("3\n", "32769\n", "67108863\n", "1 1 1 2\n")), ["shmmax"]);
        assert_eq!(bad(&host("3\n", "32769\n", "67108864\n", "9 9 9 1\n")), ["semmni"]);
    }

    #[test]
    fn the_fix_names_the_value_that_would_do() {
        let findings = host("2\n", "32769\n", "67108864\n", "1 1 1 2\n");
        assert_eq!(
            findings[0].fix,
            "raise kernel.shmmni to at least 3 (`sysctl -w`, and a file in /etc/sysctl.d)"
        );
    }

    #[test]
    fn what_cannot_be_read_is_a_note() {
        let findings = all(&Fake::with(&[]).root(), &Needs::default());
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");
    }
}
