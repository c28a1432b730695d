//! Owners and starts in different PID namespaces of one host, and a kernel that removes segments as
//! soon as no process has them attached (G6, G15).
//!
//! Without the right to unshare, the tests print SKIPPED.

mod owner;
mod skip;

use hotpool::share::{Home, LockFacts, observe};
use owner::{Keys, Owner};
use skip::skipped;
use std::process::Command;

const SMALL: u64 = 1 << 20;
/// Passes the outer namespace to the inner process of
/// [`forced_removal_makes_every_start_cold_and_is_reported`], which must not change it.
const OUTER: &str = "HOTPOOL_TEST_OUTER_IPC";

/// Runs as an owner if this process was launched as one.
#[test]
fn serve() {
    owner::serve();
}

fn may_unshare(what: &[&str]) -> bool {
    let tried = Command::new("unshare").args(what).arg("true").output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        skipped(&format!("this process may not run `unshare {}`", what.join(" ")));
    }
    may
}

#[test]
fn a_start_in_another_pid_namespace_waits_for_the_owner() {
    // Once with the `/proc` of the namespace, once with that of the host.
    for proc in [&["--mount-proc"][..], &[]] {
        let inside = [&["--pid", "--fork", "--kill-child"], proc].concat();
        if !may_unshare(&inside) {
            return;
        }
        let start =
            |is_inside| if is_inside { Owner::start_under("unshare", &inside) } else { Owner::start() };
        for (owner_inside, starter_inside) in [(false, true), (true, false), (true, true)] {
            let keys = Keys::take(SMALL);
            let mut owner = start(owner_inside);
            assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
            assert_eq!(owner.ask("fill"), "15");
            assert_eq!(owner.ask("touch"), "touched");
            let mut starter = start(starter_inside);
            let refused = keys.open_by(&mut starter, 100);
            // The pid is named where it is valid.
            let who = if starter_inside {
                "is owned by a process not visible in this PID namespace"
            } else {
                "is owned by pid "
            };
            assert!(refused.starts_with("refused: ") && refused.contains(who), "{refused}");
            owner.kill();
            let report = keys.open_by(&mut starter, 20_000);
            assert!(report.contains("hot start 2, the last owner died while serving"), "{report}");
            assert_eq!(starter.ask("sum"), "240");
        }
    }
}

/// `kernel.shm_rmid_forced` belongs to the namespace, so the test uses its own.
#[test]
fn forced_removal_makes_every_start_cold_and_is_reported() {
    if !may_unshare(&["--ipc"]) {
        return;
    }
    let mut inside = Command::new("unshare");
    inside.arg("--ipc").arg(std::env::current_exe().unwrap());
    inside.args(["--exact", "inside_an_ipc_namespace_with_forced_removal", "--nocapture"]);
    inside.env(OUTER, std::fs::read_link("/proc/self/ns/ipc").unwrap());
    let output = inside.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().filter_map(|line| line.split_once("SKIPPED: ")).for_each(|(_, why)| skipped(why));
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn inside_an_ipc_namespace_with_forced_removal() {
    let Some(outer) = std::env::var_os(OUTER) else { return };
    assert_ne!(std::fs::read_link("/proc/self/ns/ipc").unwrap(), outer, "this is the namespace of the host");
    let setting = "/proc/sys/kernel/shm_rmid_forced";
    if std::fs::write(setting, "1").is_err() {
        skipped(&format!("this process may not write {setting}"));
        return;
    }
    let keys = Keys::take(SMALL);
    let mut owner = Owner::start();
    for _ in 0..2 {
        let report = keys.open_by(&mut owner, 20_000);
        assert!(report.starts_with("zone: cold start 1, the pool is new; 0 objects"), "{report}");
        let warnings = owner.ask("warnings");
        assert!(
            warnings.contains("kernel.shm_rmid_forced is 1") && warnings.contains("sysctl"),
            "{warnings}"
        );
        assert_eq!(owner.ask("fill"), "15");
        owner.kill();
        owner.wait();
        let facts = observe(keys.base, &Home::sysv()).unwrap();
        assert_eq!(facts.segment, None, "the segment was removed with its owner");
        assert_eq!(facts.lock, LockFacts::Free { observers: 0 });
        owner = Owner::start();
    }
    // With the setting restored, the pool of the next start is kept.
    std::fs::write(setting, "0").unwrap();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    // The earlier owner's semaphores remain without its segments: the start reports that, but not
    // the setting.
    let warnings = owner.ask("warnings");
    assert!(
        warnings.contains("an earlier owner has left semaphores") && !warnings.contains("shm_rmid_forced"),
        "{warnings}"
    );
    owner.kill();
    assert!(keys.open_by(&mut Owner::start(), 20_000).contains("hot start 2,"));
}
