//! A server is upgraded to a build with changed structs under load: killed, upgraded, killed in the
//! upgrade, rolled back before it was ready, upgraded again. No acknowledged command is lost (G12).

mod example;
mod skip;
#[allow(dead_code, reason = "shared with tests/zone_server.rs, which uses more")]
mod zone;

use hotpool::inspect::{Verdict, compat_pool};
use hotpool::object::Schemas;
use hotpool::share::Home;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use zone::{Client, Zone};

const FIRST: &str = "zone_server";
const SECOND: &str = "zone_server_v2";

/// Players that the load changes. Those of [`Told`] have higher numbers.
const PLAYERS: u64 = 5000;
const MONSTERS: u64 = 6000;

/// What the server has acknowledged of each player: hit points and position.
type Told = HashMap<u64, (i32, u32)>;

/// Launches the load: `redis-benchmark`, or if that is not installed, clients of our own.
fn load(port: u16, command: &str) -> Load {
    let mut child = Command::new("redis-benchmark");
    child.args(["-p", &port.to_string(), "-c", "20", "-n", "100000000", "-r", &PLAYERS.to_string(), "-q"]);
    child.args(command.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    match child.spawn() {
        Ok(child) => Load::Benchmark(child),
        Err(_) => {
            skip::skipped(
                "redis-benchmark is not installed: plain clients drive the server instead; run .ci/install-redis-tools",
            );
            let command = command.to_owned();
            let plain = move |seed| {
                let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (mut client, mut dice) = (Client::new(stream), fastrand::Rng::with_seed(seed));
                let mut one =
                    || client.ask(&command.replace("__rand_int__", &dice.u64(..PLAYERS).to_string()));
                while one().is_some() {}
            };
            Load::Plain(
                (0..4)
                    .map(|seed| {
                        std::thread::spawn({
                            let plain = plain.clone();
                            move || plain(seed)
                        })
                    })
                    .collect(),
            )
        }
    }
}

/// Clients that end with the server.
enum Load {
    Benchmark(Child),
    Plain(Vec<std::thread::JoinHandle<()>>),
}

impl Load {
    fn wait(self) {
        match self {
            Load::Benchmark(mut child) => drop(child.wait().unwrap()),
            Load::Plain(threads) => threads.into_iter().for_each(|thread| thread.join().unwrap()),
        }
    }
}

/// Logs players in, moves and hits them until the server is gone. A request without a reply counts as
/// unknown.
fn play(client: &mut Client, first: u64) -> Told {
    let mut told = Told::new();
    for uid in first.. {
        let at = (uid * 7 % 1000) as u32;
        let steps = [
            (format!("LOGIN {uid}"), (100, 0)),
            (format!("MOVE {uid} {at} {at}"), (100, at)),
            (format!("HIT {uid} {}", uid % 50), (100 - (uid % 50) as i32, at)),
        ];
        for (command, after) in steps {
            told.remove(&uid);
            let Some(reply) = client.ask(&command) else { return told };
            assert!(!reply.starts_with('-'), "{command}: {reply}");
            told.insert(uid, after);
        }
    }
    told
}

/// Puts the server under load until it has acknowledged enough, and kills it.
fn serve_and_kill(zone: &mut Zone, round: u64, command: &str, told: &mut Told) {
    let load = load(zone.port, command);
    let mut client = zone.client();
    let player = std::thread::spawn(move || play(&mut client, round << 32));
    // Long enough for thousands of commands; the kill comes between any two instructions.
    std::thread::sleep(Duration::from_millis(400));
    zone.kill();
    load.wait();
    let more = player.join().unwrap();
    assert!(!more.is_empty(), "the server has acknowledged nothing");
    told.extend(more);
}

/// Compares the server with all that was acknowledged.
fn compare(zone: &Zone, told: &Told, health: &str, more: &str) {
    let mut client = zone.client();
    for (uid, (hp, at)) in told {
        let shown = client.ask(&format!("SHOW {uid}")).unwrap();
        let expected = format!("uid {uid} {health} {hp} {more}level 1 x {at} y {at} ");
        assert!(shown.starts_with(&expected), "{shown:?} does not begin with {expected:?}");
    }
    let mut count = |of: &str| client.ask(&format!("COUNT {of}")).unwrap();
    assert_eq!((count("wolf"), count("bear")), (format!(":{}", MONSTERS / 2), format!(":{}", MONSTERS / 2)));
    let players: u64 = count("player")[1..].parse().unwrap();
    assert!(players >= told.len() as u64 + PLAYERS, "{players}");
}

/// Launches the second version with a port that is in use: it migrates, and waits before `ready()`.
fn upgrade_that_waits(zone: &Zone, taken: &TcpListener) -> Child {
    let address = taken.local_addr().unwrap().to_string();
    let mut command = zone.command(&address);
    command.args(["--listen-wait-ms", "60000"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nothing_is_lost_by_an_upgrade_that_is_killed_rolled_back_and_repeated() {
    let mut zone = Zone::start();
    let mut client = zone.client();
    for uid in 0..PLAYERS {
        client.ask(&format!("LOGIN {uid}")).unwrap();
    }
    assert_eq!(client.ask(&format!("SPAWN {MONSTERS}")), Some(format!(":{MONSTERS}")));
    let mut told = Told::new();
    serve_and_kill(&mut zone, 1, "MOVE __rand_int__ 3.5 -4", &mut told);

    // What the second version says of itself tells what it will do.
    zone.program = SECOND;
    let schemas = zone.command("127.0.0.1:0").arg("--schemas").output().unwrap();
    let build = Schemas::from_json(std::str::from_utf8(&schemas.stdout).unwrap()).unwrap();
    let compat = compat_pool(zone.base_key(), &Home::sysv(), &build, None).unwrap();
    assert!(compat.types.iter().all(|of| of.verdict == Verdict::Migrated), "{:?}", compat.types);

    // Killed at several moments of the upgrade, each later than the one before.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut is_migrated = false;
    for step in 0u64.. {
        let mut child = upgrade_that_waits(&zone, &taken);
        std::thread::sleep(Duration::from_millis(step * step));
        child.kill().unwrap();
        child.wait().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        is_migrated = said.into_iter().any(|line| line.contains("is in use"));
        if is_migrated {
            break;
        }
    }
    assert!(is_migrated);

    // Rolled back: the first version finds all as it was, and goes on.
    zone.program = FIRST;
    let ready = zone.restart();
    assert!(ready.contains("hot start"), "{ready}");
    compare(&zone, &told, "hp", "");
    serve_and_kill(&mut zone, 2, "HIT __rand_int__ 1", &mut told);

    // Rolled back once more, from an upgrade that was complete but not ready.
    zone.program = SECOND;
    let mut child = upgrade_that_waits(&zone, &taken);
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("is in use"), "{said}");
    kill(child);
    zone.program = FIRST;
    zone.restart();
    compare(&zone, &told, "hp", "");
    zone.kill();

    // Upgraded: the second version finds all in its own form, also after the next kill.
    zone.program = SECOND;
    let ready = zone.restart();
    assert!(ready.contains("migrated"), "{ready}");
    compare(&zone, &told, "health", "mana 50 ");
    let mut client = zone.client();
    assert_eq!(client.ask("COUNT dragon").as_deref(), Some(":0"));
    assert!(client.ask("SHOW 1").unwrap().starts_with("uid 1 health "));
    let mut new = Told::new();
    serve_and_kill(&mut zone, 3, "LOGIN __rand_int__", &mut new);
    let ready = zone.restart();
    assert!(ready.contains("hot start") && !ready.contains("migrated"), "{ready}");
    compare(&zone, &told, "health", "mana 50 ");
    compare(&zone, &new, "health", "mana 80 ");
    let monsters = zone.client().ask("SPAWN 3").unwrap();
    assert_eq!((monsters.as_str(), zone.client().ask("COUNT dragon").as_deref()), (":3", Some(":1")));
}
