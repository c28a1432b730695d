//! Whether the host has memory for the pools, and whether core dumps contain it.

use super::{Finding, Needs, Root, Severity, size};
use hotpool::units::Key;

/// Checks everything about memory.
pub(crate) fn all(root: &Root, needs: &Needs) -> Vec<Finding> {
    let resident = resident(root, needs);
    let missing = needs.bytes.saturating_sub(resident);
    vec![cgroup(root, missing), available(root, missing), overcommit(root, missing), core_filter(root, needs)]
}

/// Returns the populated bytes of the ini's System V segments, without reserved pages.
fn resident(root: &Root, needs: &Needs) -> u64 {
    let text = root.text("proc/sysvipc/shm").unwrap_or_default();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let key = fields.first()?.parse::<i32>().ok()? as u32;
        let named = |of: &[(Key, u64)]| of.iter().any(|(wanted, _)| wanted.0 == key);
        let ours = named(&needs.segments) && !named(&needs.insisted);
        fields.get(14).filter(|_| ours)?.parse::<u64>().ok()
    };
    text.lines().skip(1).filter_map(row).sum()
}

/// Checks the memory limits of the cgroup and its ancestors.
fn cgroup(root: &Root, missing: u64) -> Finding {
    const CHECK: &str = "cgroup-memory";
    let Some(text) = root.text("proc/self/cgroup") else { return Finding::unread(CHECK, "proc/self/cgroup") };
    let Some((limit, used, place)) = tightest(root, &text) else {
        return Finding::ok(CHECK, "no cgroup limits memory");
    };
    let room = limit.saturating_sub(used);
    let state = format!("{place} limits memory to {}; {} are in use", size(limit), size(used));
    if missing <= room {
        return Finding::ok(CHECK, format!("{state}, and the pools need {} more", size(missing)));
    }
    Finding::new(
        CHECK,
        Severity::Error,
        format!(
            "{state}, and the pools need {} more. The kernel will kill the server, and the next start too, because the \
             pools stay charged to the cgroup",
            size(missing)
        ),
        format!(
            "raise the limit to at least {} (MemoryMax=, --memory), or lower BlockSize",
            size(used + missing)
        ),
    )
}

/// Returns limit, use and folder of the cgroup with the least room, among this one and its ancestors.
fn tightest(root: &Root, text: &str) -> Option<(u64, u64, String)> {
    let mut found: Option<(u64, u64, String)> = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let (top, most, used) = match number == "0" && controllers.is_empty() {
            true => ("sys/fs/cgroup", "memory.max", "memory.current"),
            false if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            false => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            let folder = format!("{top}{path}");
            // Version 1 writes no limit as a number larger than all memory, version 2 as a word.
            let limit = root.number(&format!("{folder}/{most}")).filter(|limit| *limit < 1 << 60);
            if let (Some(limit), Some(used)) = (limit, root.number(&format!("{folder}/{used}"))) {
                let room = |limit: u64, used: u64| limit.saturating_sub(used);
                if found.as_ref().is_none_or(|(l, u, _)| room(limit, used) < room(*l, *u)) {
                    found = Some((limit, used, format!("/{folder}")));
                }
            }
            match path.rsplit_once('/') {
                Some((above, _)) => path = above,
                None => break,
            }
        }
    }
    found
}

fn available(root: &Root, missing: u64) -> Finding {
    const CHECK: &str = "memory";
    match root.kilobytes("proc/meminfo", "MemAvailable") {
        None => Finding::unread(CHECK, "proc/meminfo"),
        Some(room) if missing <= room => Finding::ok(
            CHECK,
            format!("{} are available, and the pools need {} more", size(room), size(missing)),
        ),
        Some(room) => Finding::new(
            CHECK,
            Severity::Error,
            format!("only {} are available, and the pools need {} more", size(room), size(missing)),
            "add memory, lower BlockSize, or list fewer ShmKeys",
        ),
    }
}

/// Checks the commit limit: under strict accounting, a segment counts in full when it is created.
fn overcommit(root: &Root, missing: u64) -> Finding {
    const CHECK: &str = "overcommit";
    const FILE: &str = "proc/sys/vm/overcommit_memory";
    let limit = root.kilobytes("proc/meminfo", "CommitLimit");
    let used = root.kilobytes("proc/meminfo", "Committed_AS");
    match (root.number(FILE), limit, used) {
        (None, ..) => Finding::unread(CHECK, FILE),
        (Some(2), Some(limit), Some(used)) if used.saturating_add(missing) > limit => Finding::new(
            CHECK,
            Severity::Error,
            format!(
                "vm.overcommit_memory = 2 counts a segment in full when it is created; {} of {} are committed, and the pools \
                 need {} more",
                size(used),
                size(limit),
                size(missing)
            ),
            "raise vm.overcommit_ratio, add swap, or set vm.overcommit_memory = 0",
        ),
        (Some(mode), ..) => Finding::ok(CHECK, format!("vm.overcommit_memory = {mode}")),
    }
}

/// Checks bit 1 of the filter: anonymous shared memory, which includes System V segments.
fn core_filter(root: &Root, needs: &Needs) -> Finding {
    const CHECK: &str = "coredump-filter";
    const FILE: &str = "proc/self/coredump_filter";
    let filter = root.text(FILE).and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let Some(filter) = filter else { return Finding::unread(CHECK, FILE) };
    match (needs.dumps, filter & 2 != 0) {
        (true, false) => Finding::new(
            CHECK,
            Severity::Warning,
            format!(
                "coredump_filter {filter:#x} leaves shared memory out of core dumps, but an ini asks for it (CoreDump)"
            ),
            "set bit 1: run `echo 0x33 > /proc/self/coredump_filter` before the server, or set CoredumpFilter= in its unit",
        ),
        _ => Finding::ok(
            CHECK,
            format!("{filter:#x}; CoreDump in each ini decides which parts of a pool are dumped"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::testing::Fake;
    use super::*;

    fn needs(bytes: u64) -> Needs {
        Needs { bytes, ..Needs::default() }
    }

    #[test]
    fn the_tightest_cgroup_above_counts_in_version_2() {
        let fake = Fake::with(&[
            ("proc/self/cgroup", "0::/game.slice/zone.service\n"),
            ("sys/fs/cgroup/game.slice/zone.service/memory.max", "max\n"),
            ("sys/fs/cgroup/game.slice/zone.service/memory.current", "1000\n"),
            ("sys/fs/cgroup/game.slice/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/game.slice/memory.current", "536870912\n"),
        ]);
        assert_eq!(cgroup(&fake.root(), 512 << 20).severity, Severity::Ok);
        let short = cgroup(&fake.root(), (512 << 20) + 1);
        assert_eq!(short.severity, Severity::Error);
        assert!(short.found.contains("/sys/fs/cgroup/game.slice limits memory to 1024M"), "{}", short.found);
    }

    #[test]
    fn version_1_is_read_too_and_its_no_limit_is_none() {
        let files = |limit: &'static str| {
            Fake::with(&[
                ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/a\n"),
                ("sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes", limit),
                ("sys/fs/cgroup/memory/docker/a/memory.usage_in_bytes", "0\n"),
            ])
        };
        assert_eq!(cgroup(&files("4096\n").root(), 4097).severity, Severity::Error);
        assert_eq!(cgroup(&files("9223372036854771712\n").root(), 4097).severity, Severity::Ok);
    }

    #[test]
    fn too_little_memory_is_an_error_and_memory_that_pools_have_is_not_asked_for_again() {
        let shm = "key\n 7 1 600 8192 0 0 0 0 0 0 0 0 0 0 8192 0\n";
        let fake = Fake::with(&[("proc/meminfo", "MemAvailable:  4 kB\n"), ("proc/sysvipc/shm", shm)]);
        let mut needs = needs(12_288);
        assert_eq!(all(&fake.root(), &needs)[1].severity, Severity::Error);
        needs.segments.push((hotpool::units::Key(7), 8192));
        assert_eq!(all(&fake.root(), &needs)[1].severity, Severity::Ok);
    }

    #[test]
    fn strict_accounting_is_an_error_only_where_it_is_exceeded() {
        let with = |mode, missing| {
            let info = "CommitLimit:  100 kB\nCommitted_AS:  50 kB\n";
            let fake = Fake::with(&[("proc/sys/vm/overcommit_memory", mode), ("proc/meminfo", info)]);
            overcommit(&fake.root(), missing).severity
        };
        assert_eq!(with("2\n", 50 << 10), Severity::Ok);
        assert_eq!(with("2\n", (50 << 10) + 1), Severity::Error);
        assert_eq!(with("0\n", 1 << 40), Severity::Ok);
    }

    #[test]
    fn a_core_dump_that_would_miss_what_the_ini_asks_for_is_a_warning() {
        let with = |filter, dumps| {
            let fake = Fake::with(&[("proc/self/coredump_filter", filter)]);
            core_filter(&fake.root(), &Needs { dumps, ..Needs::default() }).severity
        };
        assert_eq!(with("00000031\n", true), Severity::Warning);
        assert_eq!(with("00000033\n", true), Severity::Ok);
        assert_eq!(with("00000031\n", false), Severity::Ok);
    }
}
