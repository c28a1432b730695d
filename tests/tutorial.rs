//! The tutorial is accurate: its programs are the examples that are built here. Killed and
//! restarted on its ini, they do what it states.

mod example;
#[path = "harness/own_keys.rs"]
mod own_keys;

use hotpool::ConfMgr;
use hotpool::share::{Home, remove_pool};
use hotpool::units::Key;
use own_keys::own_keys;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn tutorial() -> String {
    fs::read_to_string("docs/tutorial.md").unwrap()
}

/// Returns the code blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let text = tutorial();
    let begin = format!("\n```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_string()).collect()
}

#[test]
fn its_programs_are_the_examples() {
    let code = |name: &str| {
        let text = fs::read_to_string(format!("examples/{name}.rs")).unwrap();
        text[text.find("use ").unwrap()..].to_string()
    };
    let programs = ["tutorial_counter", "tutorial_server"].map(code);
    assert_eq!(blocks("rust"), programs);
}

#[test]
fn its_commands_exist() {
    let verbs: Vec<String> = blocks("console")
        .concat()
        .lines()
        .filter_map(|line| Some(line.split_once("hotpool ")?.1.split(' ').next()?.to_string()))
        .filter(|verb| verb.chars().all(|letter| letter.is_ascii_lowercase()))
        .filter(|verb| !["anyhow"].contains(&verb.as_str()))
        .collect();
    assert!(verbs.len() > 5, "{verbs:?}");
    for verb in verbs {
        let file = format!("crates/hotpool-cli/src/verbs/{verb}.rs");
        assert!(fs::exists(&file).unwrap(), "{file}");
    }
}

/// A folder with the ini of the tutorial, under its own keys. Removes the pool when it is dropped.
struct Project {
    dir: tempfile::TempDir,
    base_key: u32,
}

impl Project {
    fn new() -> Self {
        let base_key = own_keys(2);
        let ini = blocks("ini").remove(0);
        let base = ConfMgr::parse(&ini, "tutorial").unwrap().process("game").unwrap().base_key;
        let ini = ini.replace(&base.to_string(), &format!("{base_key:#x}"));
        let ini = ini.replace(&Key(base.0 + 1).to_string(), &format!("{:#x}", base_key + 1));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("memorypool.ini"), ini).unwrap();
        Project { dir, base_key }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(example::built(name));
        command.current_dir(self.dir.path());
        command
    }

    fn output(&self, name: &str) -> Output {
        self.command(name).output().unwrap()
    }

    /// Launches a server and waits until it is ready.
    fn serve(&self) -> Server {
        let mut child =
            self.command("tutorial_server").arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let report = lines.next().unwrap().unwrap();
        let ready = lines.next().unwrap().unwrap();
        let address = ready.strip_prefix("ready on ").unwrap().to_string();
        Server { child, report, address }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if let Err(error) = remove_pool(Key(self.base_key), &Home::sysv(), false) {
            eprintln!("cannot remove the pool under {}: {error}", Key(self.base_key));
        }
    }
}

struct Server {
    child: Child,
    report: String,
    address: String,
}

impl Server {
    /// Returns the body of the reply, which is empty if the server died.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply);
        reply.split_once("\r\n\r\n").map(|(_, body)| body.trim_end().to_string()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_counter_counts_its_deaths() {
    let project = Project::new();
    for run in 1..=3 {
        let output = project.output("tutorial_counter");
        let text = String::from_utf8(output.stdout).unwrap();
        let start = if run == 1 { "game: cold start 1" } else { "game: hot start" };
        assert!(text.starts_with(start) && text.ends_with(&format!("run {run}\n")), "{text}");
        assert_eq!(output.status.signal(), Some(6), "the program aborts");
    }
}

#[test]
fn the_server_keeps_its_gold_after_a_kill_and_after_a_death_between_two_writes() {
    let project = Project::new();
    let server = project.serve();
    assert_eq!((server.get("login/7"), server.get("login/8")), ("login 1".into(), "login 1".into()));
    assert_eq!(server.get("give/7/8/30"), "done");
    assert_eq!(server.get("give/7/8/1000"), "not enough gold");
    assert_eq!(server.get("gold/9"), "no such player");
    drop(server);

    let mut server = project.serve();
    assert!(server.report.contains("hot start 2"), "{}", server.report);
    assert_eq!((server.get("gold/7"), server.get("gold/8")), ("70 gold".into(), "130 gold".into()));
    assert_eq!(server.get("crash/7/8/50"), "");
    assert_eq!(server.child.wait().unwrap().signal(), Some(6), "the program aborts");

    let server = project.serve();
    assert!(server.report.contains("rolled back"), "{}", server.report);
    assert_eq!((server.get("gold/7"), server.get("gold/8")), ("70 gold".into(), "130 gold".into()));
}

/// The player of step 7.
#[repr(C)]
#[derive(Clone, Copy, hotpool::PoolObject)]
#[pool(id = 2, keyed, name = "player")]
struct Player {
    gold: u64,
    logins: u64,
    #[pool(default = 1)]
    level: u64,
}

#[test]
fn the_players_get_a_level_and_the_old_server_can_come_back() {
    let project = Project::new();
    let server = project.serve();
    server.get("login/7");
    server.get("login/8");
    assert_eq!(server.get("give/7/8/30"), "done");
    drop(server);
    let conf = ConfMgr::load(project.dir.path().join("memorypool.ini")).unwrap();
    let mut pool = hotpool::MemoryPoolMgr::open(conf.process("game").unwrap()).unwrap();
    pool.add_type::<Player>().unwrap();
    let found = [7, 8].map(|uid| pool.get_by_key::<Player>(uid).map(|p| (p.gold, p.logins, p.level)));
    assert_eq!(found, [Some((70, 1, 1)), Some((130, 1, 1))]);
    assert!(pool.resume_report().to_string().contains("migrated 2 objects of `player` ("));
    drop(pool);
    let server = project.serve();
    assert_eq!((server.get("gold/7"), server.get("gold/8")), ("70 gold".into(), "130 gold".into()));
}
