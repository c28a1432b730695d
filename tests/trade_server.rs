//! The example `trade_server` under ten connections, killed again and again: every acknowledged trade
//! is there, once, and every item is there exactly once.

mod example;
#[path = "harness/own_keys.rs"]
mod own_keys;
#[path = "../examples/trade_server/world.rs"]
mod world;

use hotpool::share::{Home, remove_pool};
use hotpool::units::Key;
use own_keys::own_keys;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use world::{GOLD, ITEMS, Item, PLAYERS, Player};

const KILLS: u32 = if cfg!(debug_assertions) { 40 } else { 1000 };

/// The pool of a run, which is removed at its end.
struct Site(Key);

impl Drop for Site {
    fn drop(&mut self) {
        drop(remove_pool(self.0, &Home::sysv(), false));
    }
}

/// A server, which is killed when this value is dropped.
struct Server(Child);

impl Server {
    fn start(key: Key, socket: &Path) -> Self {
        let mut command = Command::new(example::built("trade_server"));
        command.arg(key.to_string()).arg(socket).stdout(Stdio::null());
        Server(command.spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        let status = self.0.wait().unwrap();
        assert!(status.code().is_none(), "the server ended before it was killed: {status}");
    }
}

/// Trades until `stop`. `acknowledged` is the number of the last trade with an answer.
fn trade(player: u64, socket: &Path, stop: &AtomicBool, acknowledged: &AtomicU64) {
    let mut rng = fastrand::Rng::with_seed(player);
    let mut line = String::new();
    'connections: while !stop.load(Ordering::SeqCst) {
        let Ok(stream) = UnixStream::connect(socket) else {
            std::thread::sleep(Duration::from_micros(300));
            continue;
        };
        let Ok(mut writer) = stream.try_clone() else { continue };
        let mut answers = BufReader::new(stream);
        while !stop.load(Ordering::SeqCst) {
            let number = acknowledged.load(Ordering::SeqCst) + 1;
            let (item, price) = (rng.u64(..ITEMS), rng.u64(..20));
            line.clear();
            let sent = writer.write_all(format!("{player} {number} {item} {price}\n").as_bytes());
            if sent.is_err() || answers.read_line(&mut line).is_err() || !line.ends_with('\n') {
                continue 'connections;
            }
            assert_eq!(line, format!("ok {number}\n"));
            acknowledged.store(number, Ordering::SeqCst);
        }
    }
}

/// Compares the pool with what the clients know.
fn check(key: Key, acknowledged: &[AtomicU64]) {
    let mut pool = world::open(key).unwrap();
    assert!(pool.verify().is_sound(), "{}", pool.verify());
    assert!(pool.torn().is_empty());
    if pool.is_empty::<Player>() {
        assert!(acknowledged.iter().all(|last| last.load(Ordering::SeqCst) == 0), "all is lost");
        return;
    }
    let players: Vec<Player> = (0..PLAYERS).map(|key| *pool.get_by_key::<Player>(key).unwrap()).collect();
    assert_eq!(players.iter().map(|player| player.gold).sum::<i64>(), GOLD * PLAYERS as i64);
    for (number, (player, last)) in players.iter().zip(acknowledged).enumerate() {
        let last = last.load(Ordering::SeqCst);
        let is_there = player.last_trade == last || player.last_trade == last + 1;
        assert!(is_there, "player {number}: trade {last} was acknowledged, {} is there", player.last_trade);
    }
    assert_eq!(pool.len::<Item>() as u64, ITEMS);
    let items: Vec<Item> = (0..ITEMS).map(|key| *pool.get_by_key::<Item>(key).unwrap()).collect();
    let trades: u64 = items.iter().map(|item| item.trades).sum();
    assert_eq!(trades, players.iter().map(|player| player.last_trade).sum::<u64>(), "each trade once");
    let bought: Vec<&Item> = items.iter().filter(|item| item.trades != 0).collect();
    let distinct: BTreeSet<(u64, u64)> = bought.iter().map(|item| (item.owner, item.bought_by)).collect();
    assert_eq!(distinct.len(), bought.len(), "a trade moves one item");
    assert!(bought.iter().all(|item| item.bought_by <= players[item.owner as usize].last_trade));
    pool.ready().unwrap();
}

#[test]
fn every_acknowledged_trade_is_there_and_every_item_once() {
    let key = Key(own_keys(2));
    let site = Site(key);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    example::built("trade_server");
    let (stop, mut rng) = (AtomicBool::new(false), fastrand::Rng::new());
    let acknowledged: Vec<AtomicU64> = (0..PLAYERS).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|threads| {
        for (player, last) in acknowledged.iter().enumerate() {
            let (socket, stop) = (&socket, &stop);
            threads.spawn(move || trade(player as u64, socket, stop, last));
        }
        // The clients end, also if the server or a check fails.
        let _stop = StopAtEnd(&stop);
        for _ in 0..KILLS {
            let server = Server::start(key, &socket);
            std::thread::sleep(Duration::from_micros(rng.u64(2_000..25_000)));
            drop(server);
            check(key, &acknowledged);
        }
    });
    let trades: u64 = acknowledged.iter().map(|last| last.load(Ordering::SeqCst)).sum();
    println!("{KILLS} kills, {trades} trades");
    assert!(trades > u64::from(KILLS), "{trades} trades");
    drop(site);
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
