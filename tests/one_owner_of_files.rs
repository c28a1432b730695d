//! One owner wherever the memory of a pool is visible: files in a folder that containers share, and
//! `/dev/shm` with separate IPC namespaces (G6). Owners and starts run in their own namespaces, are
//! killed, and race.
//!
//! Without the right to unshare, or without an overlay, the tests print SKIPPED.
//! `HOTPOOL_ROUNDS=500` runs more rounds and prints their figures.

mod owner;
mod skip;

use hotpool::conf::BackendKind;
use hotpool::share::{Home, LockFacts, Verdict, observe, remove_pool};
use owner::{Keys, Owner};
use skip::skipped;
use std::path::PathBuf;
use std::process::Command;

const SMALL: u64 = 1 << 20;
/// The namespaces that a container has for itself.
const CONTAINER: [&str; 5] = ["--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Runs as an owner if this process was launched as one.
#[test]
fn serve() {
    owner::serve();
}

fn may_unshare() -> bool {
    let tried = Command::new("unshare").args(CONTAINER).arg("true").output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        skipped(&format!("this process may not run `unshare {}`", CONTAINER.join(" ")));
    }
    may
}

fn contained() -> Owner {
    Owner::start_under("unshare", &CONTAINER)
}

/// Returns the number of rounds: `few`, unless `HOTPOOL_ROUNDS` is set.
fn rounds(few: u32) -> u32 {
    std::env::var("HOTPOOL_ROUNDS").map_or(few, |rounds| rounds.parse().unwrap())
}

/// Returns the backends whose memory other namespaces see, and the folder of one.
fn homes() -> (tempfile::TempDir, [Home; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let file = Home { backend: BackendKind::File, dir: dir.path().into() };
    (dir, [file, Home { backend: BackendKind::Posix, dir: PathBuf::new() }])
}

/// Returns two processes in two namespaces, and two in one.
fn pairs() -> [(&'static str, [Owner; 2]); 2] {
    [("two namespaces", [contained(), contained()]), ("one namespace", [Owner::start(), Owner::start()])]
}

#[test]
fn of_two_starts_in_two_namespaces_exactly_one_succeeds() {
    if !may_unshare() {
        return;
    }
    let (_dir, homes) = homes();
    for home in &homes {
        for (place, mut starters) in pairs() {
            let keys = Keys::take_at(home.clone(), SMALL);
            let (mut cold, rounds) = (0, rounds(12));
            for round in 0..rounds {
                starters.iter_mut().for_each(|starter| keys.tell_to_open(starter, 0));
                let answers = starters.each_mut().map(Owner::answer);
                let let_in: Vec<usize> = (0..2).filter(|n| !answers[*n].starts_with("refused")).collect();
                assert_eq!(let_in.len(), 1, "{place}, {:?}, round {round}: {answers:?}", home.backend);
                let (owner, other) = (let_in[0], 1 - let_in[0]);
                assert!(answers[other].contains("is owned by "), "{place}, round {round}: {answers:?}");
                cold += u32::from(answers[owner].contains("cold start"));
                // In half of the rounds no pool exists at the beginning.
                let leave = if round % 2 == 0 { "close" } else { "destroy" };
                assert_eq!(starters[owner].ask(leave), "Ok(())", "{place}, round {round}");
            }
            println!("{:?}, {place}: {rounds} rounds, one owner in each, {cold} cold starts", home.backend);
            assert_eq!(cold, rounds.div_ceil(2));
        }
    }
}

#[test]
fn a_start_in_another_namespace_right_after_a_kill_is_hot() {
    if !may_unshare() {
        return;
    }
    kill_and_start("another namespace", contained);
}

#[test]
fn a_start_in_the_same_namespace_right_after_a_kill_is_hot() {
    kill_and_start("the same namespace", Owner::start);
}

fn kill_and_start(place: &str, start: impl Fn() -> Owner) {
    let (_dir, homes) = homes();
    for home in &homes {
        let keys = Keys::take_at(home.clone(), SMALL);
        let mut owner = start();
        assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
        assert_eq!(owner.ask("fill"), "15");
        let rounds = rounds(6);
        for round in 0..rounds {
            let mut next = start();
            owner.kill();
            let report = keys.open_by(&mut next, 20_000);
            let hot = format!("hot start {}, the last owner died while serving", round + 2);
            assert!(report.contains(&hot), "{:?}: {report}", home.backend);
            owner = next;
        }
        println!("{:?}: {rounds} kills, a hot start in {place} after each", home.backend);
    }
}

#[test]
fn a_start_waits_for_an_owner_in_another_namespace_and_names_it() {
    if !may_unshare() {
        return;
    }
    let (_dir, homes) = homes();
    for home in &homes {
        let keys = Keys::take_at(home.clone(), SMALL);
        let (mut owner, mut starter) = (contained(), contained());
        assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
        let refused = keys.open_by(&mut starter, 100);
        for part in
            ["owned by a process that is not visible here (process zone, pid ", "waited 1", "namespace"]
        {
            assert!(refused.contains(part), "{refused}");
        }
        keys.tell_to_open(&mut starter, 20_000);
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(owner.ask("close"), "Ok(())");
        assert!(starter.answer().contains("hot start 2, closed cleanly"));
    }
}

#[test]
fn tools_see_an_owner_in_another_namespace_and_remove_nothing() {
    if !may_unshare() {
        return;
    }
    let (_dir, homes) = homes();
    for home in &homes {
        let keys = Keys::take_at(home.clone(), SMALL);
        let (mut owner, mut tool) = (contained(), contained());
        assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
        assert_eq!(owner.ask("fill"), "15");
        // The host sees the process but not its semaphores; another container sees neither.
        let facts = observe(keys.base, home).unwrap();
        let Verdict::Busy { holder } = facts.verdict() else { panic!("{:?}", facts.verdict()) };
        assert_ne!(holder.pid, 0, "the host sees the processes of its containers");
        assert!(remove_pool(keys.base, home, false).is_err());
        let refused = keys.remove_by(&mut tool);
        assert!(refused.contains("is owned by a process not visible"), "{refused}");
        assert_eq!(owner.ask("sum"), "0");
        owner.kill();
        owner.wait();
        let mut next = contained();
        assert!(keys.open_by(&mut next, 20_000).contains("hot start 2,"), "the pool was not removed");
        assert_eq!(next.ask("close"), "Ok(())");
        assert_eq!(observe(keys.base, home).unwrap().verdict(), Verdict::Clean);
        assert!(keys.remove_by(&mut tool).starts_with("removed"), "the pool has no owner any more");
        assert_eq!(observe(keys.base, home).unwrap().verdict(), Verdict::Absent);
    }
}

#[test]
fn a_simultaneous_removal_leaves_the_owner_its_pool() {
    if !may_unshare() {
        return;
    }
    let (_dir, homes) = homes();
    for home in &homes {
        for (place, [mut starter, mut tool]) in pairs() {
            let keys = Keys::take_at(home.clone(), SMALL);
            let (mut opened, mut removed) = (0, 0);
            for round in 0..rounds(16) {
                keys.tell_to_remove(&mut tool);
                keys.tell_to_open(&mut starter, 0);
                let (tool_said, starter_said) = (tool.answer(), starter.answer());
                removed += u32::from(tool_said.starts_with("removed"));
                if starter_said.starts_with("refused") {
                    assert!(starter_said.contains("is owned by "), "{place}: {starter_said}");
                    continue;
                }
                opened += 1;
                let facts = observe(keys.base, home).unwrap();
                let busy = matches!(facts.verdict(), Verdict::Busy { .. });
                assert!(busy, "{place}, round {round}: {tool_said}; {starter_said}; {facts:?}");
                assert_eq!(starter.ask("close"), "Ok(())");
                assert_eq!(observe(keys.base, home).unwrap().verdict(), Verdict::Clean, "{place}");
            }
            println!("{:?}, {place}: {opened} starts, {removed} removals", home.backend);
            assert!(opened != 0);
        }
    }
}

#[test]
fn a_stopped_owner_keeps_the_lock_and_a_forked_child_does_not() {
    if !may_unshare() {
        return;
    }
    let (_dir, homes) = homes();
    for home in &homes {
        stopped_and_forked(home);
    }
}

fn stopped_and_forked(home: &Home) {
    let keys = Keys::take_at(home.clone(), SMALL);
    let (mut owner, mut starter) = (Owner::start(), contained());
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    owner.signal(libc::SIGSTOP);
    let refused = keys.open_by(&mut starter, 50);
    assert!(refused.contains("is not visible here"), "{refused}");
    owner.signal(libc::SIGCONT);
    owner.fork();
    owner.kill();
    assert!(
        keys.open_by(&mut starter, 20_000).contains("hot start 2,"),
        "the start succeeds although the child is alive"
    );
    assert_eq!(starter.ask("close"), "Ok(())");
}

#[test]
fn a_process_that_executes_itself_competes_for_the_lock() {
    if !may_unshare() {
        return;
    }
    let (_dir, homes) = homes();
    for home in &homes {
        let keys = Keys::take_at(home.clone(), SMALL);
        let (mut owner, mut other) = (Owner::start(), contained());
        assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
        assert_eq!(owner.ask("exec"), "here");
        assert!(
            keys.open_by(&mut owner, 0).contains("hot start 2,"),
            "exec released the mapping and with it the lock"
        );
        assert!(keys.open_by(&mut other, 0).starts_with("refused"));
        assert_eq!(owner.ask("exec"), "here");
        assert!(keys.open_by(&mut other, 0).contains("hot start 3,"), "no process can write");
        let refused = keys.open_by(&mut owner, 0);
        assert!(refused.starts_with("refused"), "the semaphores that it kept are not enough: {refused}");
        assert_eq!(other.ask("close"), "Ok(())");
    }
}

/// An overlay, unmounted when it is dropped.
struct Overlay {
    dir: tempfile::TempDir,
}

impl Overlay {
    fn mount() -> Option<Self> {
        // The upper layer cannot be on another overlay.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path.display().to_string()
        };
        let layers =
            format!("lowerdir={},upperdir={},workdir={}", path("lower"), path("upper"), path("work"));
        let mount =
            Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers, &path("top")]).output();
        if !mount.is_ok_and(|output| output.status.success()) {
            skipped("this process may not mount an overlay");
            return None;
        }
        Some(Overlay { dir })
    }

    fn top(&self) -> PathBuf {
        self.dir.path().join("top")
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.top()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Its semaphores are in its own namespace. That they say nothing here is no sign that a process removed them.
#[test]
fn an_owner_in_sight_of_another_ipc_namespace_is_named_as_the_owner() {
    if !may_unshare() {
        return;
    }
    let (_dir, homes) = homes();
    for home in &homes {
        let keys = Keys::take_at(home.clone(), SMALL);
        let (mut owner, mut starter) = (Owner::start_under("unshare", &["--ipc"]), Owner::start());
        assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
        for refused in [keys.open_by(&mut starter, 0), keys.remove_by(&mut starter)] {
            assert!(refused.contains(&format!("is owned by pid {} (", owner.pid())), "{refused}");
            assert!(!refused.contains("semaphores"), "{refused}");
        }
        assert_eq!(owner.ask("close"), "Ok(())");
        assert!(keys.open_by(&mut starter, 0).contains("hot start 2, closed cleanly"));
    }
}

#[test]
fn an_overlay_allows_one_owner_only() {
    let (true, Some(overlay)) = (may_unshare(), Overlay::mount()) else { return };
    let home = Home { backend: BackendKind::File, dir: overlay.top() };
    stopped_and_forked(&home);
    let keys = Keys::take_at(home.clone(), SMALL);
    let mut starters = [contained(), contained()];
    for round in 0..rounds(12) {
        starters.iter_mut().for_each(|starter| keys.tell_to_open(starter, 0));
        let answers = starters.each_mut().map(Owner::answer);
        let owners = answers.iter().filter(|answer| !answer.starts_with("refused")).count();
        assert_eq!(owners, 1, "round {round}: {answers:?}");
        let owner = answers.iter().position(|answer| !answer.starts_with("refused")).unwrap();
        assert!(matches!(observe(keys.base, &home).unwrap().lock, LockFacts::Held { .. }), "round {round}");
        assert_eq!(starters[owner].ask(if round % 2 == 0 { "close" } else { "destroy" }), "Ok(())");
    }
}
