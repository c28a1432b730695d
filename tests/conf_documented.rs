//! The example inis and docs/operating.md match this build.
//!
//! The list of ini keys is taken from the error for an unknown key.

use hotpool::conf::{
    BackendKind, CoreDump, HugePages, MemoryConf, OnCrashLoop, OnMissing, OnTorn, ProblemKind, ResumeConf,
    SnapshotConf,
};
use hotpool::{ConfMgr, limits};
use std::fs;

/// Returns the ini keys of a process.
fn known_keys() -> &'static [&'static str] {
    let error = ConfMgr::parse("[common]\nProcessList = a\n[a]\nNoKey = 1\n", "a.ini").unwrap_err();
    let known = error.problems().iter().find_map(|problem| match problem.kind {
        ProblemKind::UnknownKey { known, .. } => Some(known),
        _ => None,
    });
    known.unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_default_ini_loads_and_needs_little_memory() {
    let conf = ConfMgr::load("config/memorypool.ini").unwrap();
    let names: Vec<&str> = conf.processes().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["zone", "world", "match"]);
    let bytes: u64 = conf.processes().iter().map(|p| p.block_size.0 * p.shm_keys.len() as u64).sum();
    assert!(bytes <= 1 << 30, "the default ini must need at most 1G, but needs {bytes} bytes");
    assert!(conf.processes().iter().all(|p| p.mode == 0o600 && p.backend == BackendKind::Sysv));
}

#[test]
fn the_full_ini_loads_and_shows_every_key_with_its_default() {
    let conf = ConfMgr::load("config/memorypool.full.ini").unwrap();
    let text = read("config/memorypool.full.ini");
    for key in known_keys() {
        let shown =
            text.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name.trim() == *key));
        assert!(shown, "{key} is not shown");
    }
    let zone = conf.process("zone").unwrap();
    assert_eq!(zone.backend, BackendKind::default());
    assert_eq!(zone.mode, 0o600);
    assert_eq!(zone.owner_wait_ms, limits::OWNER_WAIT_MS);
    assert_eq!(zone.core_dump, CoreDump::default());
    assert_eq!(zone.memory, MemoryConf::default());
    let resume = ResumeConf { max_crash_resumes: zone.resume.max_crash_resumes, ..ResumeConf::default() };
    assert_eq!(zone.resume, resume);
    assert_eq!(resume.max_crash_resumes, 3, "off by default, and shown switched on");
    let snapshots = SnapshotConf { dir: "/var/lib/hotpool/snapshots".into(), ..SnapshotConf::default() };
    assert_eq!(
        zone.snapshots,
        SnapshotConf { every_sec: 60, on_close: true, on_missing: OnMissing::Restore, ..snapshots },
        "shown switched on"
    );
    assert!(zone.types.iter().any(|t| t.object_bytes.is_none()));
    assert!(zone.types.iter().any(|t| t.object_bytes == Some(4096)));
    let lobby = conf.process("lobby").unwrap();
    assert_eq!((lobby.backend, lobby.dir.to_str().unwrap()), (BackendKind::File, "/var/lib/hotpool"));
    assert_eq!(lobby.base_key.to_string(), "0x48ff0200");
}

#[test]
fn every_key_of_a_queue_is_documented_and_shown() {
    let text = "[common]\nProcessList = a\n[queue.b]\nNoKey = 1\n";
    let error = ConfMgr::parse(text, "a.ini").unwrap_err();
    let known = error.problems().iter().find_map(|problem| match problem.kind {
        ProblemKind::UnknownKey { known, .. } => Some(known),
        _ => None,
    });
    let (document, ini) = (read("docs/operating.md"), read("config/memorypool.full.ini"));
    let shown = ini.split("[queue.moves]").nth(1).unwrap();
    for key in known.unwrap() {
        let row = |line: &str| line.starts_with("| `") && line.contains(&format!("`{key}`"));
        assert!(document.lines().any(row), "{key} has no row");
        assert!(
            shown.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name.trim() == *key)),
            "{key}"
        );
    }
    let conf = ConfMgr::load("config/memorypool.full.ini").unwrap();
    let moves = conf.queue("moves").unwrap();
    let made = hotpool::conf::QueueConf::new("moves", moves.key, moves.kind, 4096, moves.message_bytes);
    assert_eq!(
        (moves.on_dead, moves.on_slow, moves.mode, moves.wait_ms),
        (made.on_dead, made.on_slow, made.mode, made.wait_ms)
    );
}

#[test]
fn missing_keys_have_their_defaults() {
    let text = "[common]\nProcessList = a\n[a]\nBaseKey = 1\nBlockSize = 64K\nShmKeys = 2\n";
    let conf = ConfMgr::parse(text, "a.ini").unwrap();
    let a = conf.process("a").unwrap();
    let made = hotpool::conf::ProcessConf::new("a", a.base_key, a.block_size, &a.shm_keys);
    let mut read = a.clone();
    read.places = made.places.clone();
    assert_eq!(read, made);
    assert_eq!(a.places.shm_keys.to_string(), "a.ini:6: [a] ShmKeys");
}

#[test]
fn every_ini_key_and_value_is_documented() {
    let document = read("docs/operating.md");
    let row = |key: &str| document.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
    for key in known_keys().iter().chain(&["ProcessList"]) {
        assert!(row(key).is_some(), "{key} has no row");
    }
    for backend in BackendKind::ALL {
        assert!(row("Backend").unwrap().contains(&format!("`{}`", backend.name())), "{backend:?}");
    }
    for level in CoreDump::ALL {
        assert!(row("CoreDump").unwrap().contains(&format!("`{}`", level.name())), "{level:?}");
    }
    for pages in HugePages::ALL {
        assert!(row("HugePages").unwrap().contains(&format!("`{}`", pages.name())), "{pages:?}");
    }
    for policy in OnCrashLoop::ALL {
        assert!(row("OnCrashLoop").unwrap().contains(&format!("`{}`", policy.name())), "{policy:?}");
    }
    for policy in OnTorn::ALL {
        assert!(row("OnTorn").unwrap().contains(&format!("`{}`", policy.name())), "{policy:?}");
    }
    for policy in OnMissing::ALL {
        assert!(row("OnMissing").unwrap().contains(&format!("`{}`", policy.name())), "{policy:?}");
    }
    let limits = [
        ("MaxCrashResumes", ResumeConf::default().max_crash_resumes.to_string()),
        ("MaxCrashResumes", limits::MAX_CRASH_RESUMES.to_string()),
        ("CrashWindowSec", limits::CRASH_WINDOW_SEC.to_string()),
        ("CrashWindowSec", limits::MAX_CRASH_WINDOW_SEC.to_string()),
        ("SnapshotKeep", limits::SNAPSHOTS_KEPT.to_string()),
        ("SnapshotKeep", limits::MAX_SNAPSHOTS_KEPT.to_string()),
        ("SnapshotEverySec", limits::MAX_SNAPSHOT_EVERY_SEC.to_string()),
        ("OwnerWaitMs", limits::OWNER_WAIT_MS.to_string()),
        ("OwnerWaitMs", limits::MAX_OWNER_WAIT_MS.to_string()),
        ("ShmKeys", limits::MAX_BLOCKS.to_string()),
        ("ProcessList", limits::MAX_PROCESSES.to_string()),
        ("ProcessList", limits::MAX_PROCESS_NAME.to_string()),
        ("BlockSize", hotpool::units::Bytes(limits::MIN_BLOCK_BYTES).to_string()),
        ("BlockSize", hotpool::units::Bytes(limits::MAX_BLOCK_BYTES).to_string()),
    ];
    for (key, limit) in limits {
        assert!(row(key).unwrap().contains(&limit), "{key} does not say {limit}");
    }
}

#[test]
fn the_documented_key_plan_matches_the_code() {
    use hotpool::conf::key_plan::{MAX_BLOCK, MAX_PROCESS, MAX_WORLD, MAX_ZONE, TAG};
    let document = read("docs/operating.md");
    let fields = [("world", MAX_WORLD), ("zone", MAX_ZONE), ("process", MAX_PROCESS), ("block", MAX_BLOCK)];
    for (field, max) in fields {
        let row = document.lines().find(|line| line.starts_with(&format!("| {field} |"))).unwrap();
        assert!(row.contains(&format!("0 to {max} ")), "{row}");
    }
    assert!(document.contains(&format!("`0x{TAG:x}`")));
}
