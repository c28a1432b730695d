//! Pages of 2 MiB and locked memory: whether the host provides what the ini requests.

use super::{Finding, Needs, Root, Severity, size};
use hotpool::limits::HUGE_PAGE;
use hotpool::units::Key;

/// Checks everything about pages.
pub(crate) fn all(root: &Root, needs: &Needs) -> Vec<Finding> {
    vec![huge_pages(root, needs), memlock(root, needs)]
}

const FOLDER: &str = "sys/kernel/mm/hugepages/hugepages-2048kB";
const SHMEM: &str = "sys/kernel/mm/transparent_hugepage/shmem_enabled";

fn huge_pages(root: &Root, needs: &Needs) -> Finding {
    const CHECK: &str = "huge-pages";
    let (insisted, tried) = (missing(root, &needs.insisted), missing(root, &needs.tried));
    let number = |name: &str| root.number(&format!("{FOLDER}/{name}")).unwrap_or(0);
    let (total, free) =
        (number("nr_hugepages"), number("free_hugepages").saturating_sub(number("resv_hugepages")));
    let state = format!("the host has {total} reserved pages of 2 MiB, of which {free} are free");
    let fix = |more: u64| {
        let enough = (total - free.min(total)) + more;
        format!(
            "`sysctl vm.nr_hugepages={enough}`, best at boot (/etc/sysctl.d), before memory is fragmented"
        )
    };
    match insisted + tried {
        _ if needs.insisted.is_empty() && needs.tried.is_empty() => small_pages(CHECK, root, needs),
        0 => Finding::ok(CHECK, format!("{state}; the pools with HugePages have all their pages")),
        wanted if wanted <= free => Finding::ok(CHECK, format!("{state}, and the pools need {wanted} more")),
        wanted if insisted > free => Finding::new(
            CHECK,
            Severity::Error,
            format!("{state}, but pools with HugePages = on need {insisted} more: a start will be refused"),
            fix(wanted),
        ),
        wanted => Finding::new(
            CHECK,
            Severity::Note,
            format!(
                "{state}, but the pools need {wanted} more: those with HugePages = try will use small pages"
            ),
            fix(wanted),
        ),
    }
}

/// Returns the pages of 2 MiB that segments need which do not exist yet. Existing ones keep their pages.
fn missing(root: &Root, segments: &[(Key, u64)]) -> u64 {
    let text = root.text("proc/sysvipc/shm").unwrap_or_default();
    let key = |line: &str| Some(line.split_whitespace().next()?.parse::<i32>().ok()? as u32);
    let there: Vec<u32> = text.lines().skip(1).filter_map(key).collect();
    let missing = segments.iter().filter(|(key, _)| !there.contains(&key.0));
    missing.map(|(_, bytes)| bytes.div_ceil(HUGE_PAGE)).sum()
}

/// Reports whether an immediate restart has to wait until the kernel has freed many small pages.
fn small_pages(check: &'static str, root: &Root, needs: &Needs) -> Finding {
    let Some(text) = root.text(SHMEM) else { return Finding::unread(check, SHMEM) };
    let chosen = text.split(['[', ']']).nth(1).unwrap_or("").to_string();
    if needs.bytes < 1 << 30 || !["never", "deny"].contains(&chosen.as_str()) {
        return Finding::ok(check, format!("shmem_enabled is {chosen}"));
    }
    Finding::new(
        check,
        Severity::Note,
        format!(
            "before an immediate restart continues, the kernel frees {} in small pages",
            size(needs.bytes)
        ),
        format!(
            "to shorten the wait, set HugePages = try, and `sysctl vm.nr_hugepages=N` or `echo advise > /{SHMEM}`"
        ),
    )
}

/// Checks the limit on locked memory, which does not hold for `CAP_IPC_LOCK`.
fn memlock(root: &Root, needs: &Needs) -> Finding {
    const CHECK: &str = "memlock";
    const IPC_LOCK: u64 = 1 << 14;
    let Some(text) = root.text("proc/self/limits") else { return Finding::unread(CHECK, "proc/self/limits") };
    let line = text.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    let soft = line.and_then(|line| line.split_whitespace().next().map(str::to_owned)).unwrap_or_default();
    let status = root.text("proc/self/status").unwrap_or_default();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = rights.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let Ok(limit) = soft.parse::<u64>() else {
        return Finding::ok(CHECK, format!("locked memory is limited to {soft}"));
    };
    let state = format!("locked memory is limited to {}", size(limit));
    match needs.locked {
        0 => Finding::ok(CHECK, format!("{state}, and no ini needs any (LockMemory)")),
        locked if locked <= limit => {
            Finding::ok(CHECK, format!("{state}, and a pool needs {}", size(locked)))
        }
        locked if rights & IPC_LOCK != 0 => Finding::note(
            CHECK,
            format!(
                "{state}, but a pool with LockMemory needs {}; this shell has CAP_IPC_LOCK, and the server needs it too",
                size(locked)
            ),
        ),
        locked => Finding::new(
            CHECK,
            Severity::Error,
            format!("{state}, but a pool with LockMemory needs {}: a start will be refused", size(locked)),
            format!(
                "set `ulimit -l {}`, LimitMEMLOCK={locked} in the unit, or CAP_IPC_LOCK",
                locked.div_ceil(1024)
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::testing::Fake;
    use super::*;

    const THP: &str = "always within_size advise [never] deny force\n";

    fn host(total: &'static str, free: &'static str) -> Fake {
        Fake::with(&[
            ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", total),
            ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", free),
            ("sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "1\n"),
            // One segment is there.
            ("proc/sysvipc/shm", "key shmid perms size\n 7 1 600 67108864 0\n"),
            (SHMEM, THP),
        ])
    }

    fn segments() -> Vec<(Key, u64)> {
        vec![(Key(7), 64 << 20), (Key(8), 64 << 20), (Key(9), (4 << 20) - 4096)]
    }

    #[test]
    fn reserved_pages_are_held_against_what_is_missing() {
        let on = Needs { insisted: segments(), ..Needs::default() };
        let tries = Needs { tried: segments(), ..Needs::default() };
        let enough = host("40\n", "35\n");
        assert_eq!(huge_pages(&enough.root(), &on).severity, Severity::Ok);
        assert_eq!(huge_pages(&enough.root(), &tries).severity, Severity::Ok);
        let short = host("40\n", "34\n");
        let found = huge_pages(&short.root(), &on);
        assert_eq!(found.severity, Severity::Error);
        assert_eq!(
            found.found,
            "the host has 40 reserved pages of 2 MiB, of which 33 are free, but pools with HugePages = on need 34 more: \
             a start will be refused"
        );
        assert!(found.fix.starts_with("`sysctl vm.nr_hugepages=41`, "), "{}", found.fix);
        let found = huge_pages(&short.root(), &tries);
        assert_eq!((found.severity, found.fix.contains("=41`")), (Severity::Note, true));
        // The free pages go to the pool that cannot start without them.
        let both = Needs { insisted: vec![(Key(8), 2 << 20)], ..tries };
        assert_eq!(huge_pages(&short.root(), &both).severity, Severity::Note);
        assert_eq!(huge_pages(&Fake::with(&[]).root(), &on).severity, Severity::Error);
    }

    #[test]
    fn small_pages_of_a_large_pool_are_a_note() {
        let with =
            |bytes| huge_pages(&host("0\n", "0\n").root(), &Needs { bytes, ..Needs::default() }).severity;
        assert_eq!([with(2 << 30), with(8 << 20)], [Severity::Note, Severity::Ok]);
    }

    #[test]
    fn a_lock_is_held_against_the_limit_and_the_rights() {
        let limits =
            "Limit  Soft\nMax locked memory         8388608              8388608              bytes\n";
        let with = |locked, rights: &'static str| {
            let fake = Fake::with(&[("proc/self/limits", limits), ("proc/self/status", rights)]);
            memlock(&fake.root(), &Needs { locked, ..Needs::default() })
        };
        let (none, root) = ("Name:\tsh\nCapEff:\t0000000000000000\n", "CapEff:\t0000000000004000\n");
        assert_eq!(with(0, none).severity, Severity::Ok);
        assert_eq!(with(8 << 20, none).severity, Severity::Ok);
        assert_eq!(with((8 << 20) + 1, root).severity, Severity::Note);
        let found = with((8 << 20) + 1, none);
        assert_eq!(found.severity, Severity::Error);
        assert_eq!(found.fix, "set `ulimit -l 8193`, LimitMEMLOCK=8388609 in the unit, or CAP_IPC_LOCK");
    }
}
