//! The zone: players and monsters in a pool, and the commands on them.

use crate::structs::{Kind, Monster, Player};
use anyhow::Result;
use hotpool::object::Schemas;
use hotpool::{AllocError, MemoryPoolMgr};
use redis_protocol::resp2::types::OwnedFrame;
use std::str::FromStr;
use std::time::Duration;

/// Maximum number of monsters that one command creates, so that no command delays the others for
/// long.
const MAX_SPAWN: u32 = 10_000;

/// Time between two ticks, if the ini asks for snapshots.
const TICK: Duration = Duration::from_millis(20);
/// Maximum time that a tick gives to a snapshot.
const SNAPSHOT_BUDGET: Duration = Duration::from_millis(2);

/// Returns what this build stores, for `hotpool compat`.
pub(crate) fn schemas() -> String {
    Schemas::new().with::<Player>().with::<Monster>().to_json()
}

pub(crate) struct Zone {
    pub(crate) pool: MemoryPoolMgr,
    commands: u64,
}

/// The result of a command.
pub(crate) enum Reply {
    Frame(OwnedFrame),
    /// The last reply to this client.
    Bye(OwnedFrame),
    /// The last reply of the server: the pool is closed and kept.
    Quit(OwnedFrame),
}

/// A reply, or the text of an error.
type Answer = Result<OwnedFrame, String>;

impl Zone {
    pub(crate) fn new(mut pool: MemoryPoolMgr) -> Result<Self> {
        pool.add_type::<Player>()?;
        pool.add_type::<Monster>()?;
        Ok(Zone { pool, commands: 0 })
    }

    /// Lets the pool write its snapshots as the ini says: call it between commands.
    pub(crate) fn tick(&mut self) {
        self.pool.snapshot_tick(SNAPSHOT_BUDGET);
    }

    /// Returns the maximum time between two ticks; `None` if the ini asks for no snapshots.
    pub(crate) fn tick_within(&self) -> Option<Duration> {
        (self.pool.conf().snapshots.every_sec != 0).then_some(TICK)
    }

    /// Executes one command. When this returns, the command is committed.
    pub(crate) fn execute(&mut self, words: &[&[u8]]) -> Reply {
        self.commands += 1;
        let Some((name, args)) = words.split_first() else { return Reply::Frame(error("ERR empty command")) };
        let name = String::from_utf8_lossy(name).to_ascii_uppercase();
        let answer = match (name.as_str(), args) {
            ("QUIT", []) => return Reply::Bye(ok()),
            ("QUITKEEP", []) => return Reply::Quit(ok()),
            ("PING", []) => Ok(OwnedFrame::SimpleString("PONG".into())),
            ("PING", [message]) => Ok(OwnedFrame::BulkString(message.to_vec())),
            ("LOGIN", [uid]) => self.login(uid),
            ("LOGOUT", [uid]) => self.logout(uid),
            ("MOVE", [uid, x, y]) => self.walk(uid, x, y),
            ("HIT", [uid, damage]) => self.hit(uid, damage),
            ("SHOW", [uid]) => self.show(uid),
            ("SPAWN", [count]) => self.spawn(count),
            ("COUNT", [kind]) => self.count(kind),
            ("INFO", _) => Ok(text(self.info())),
            // Queries that redis-cli and redis-benchmark send first.
            ("COMMAND", _) => Ok(OwnedFrame::Array(Vec::new())),
            ("CONFIG", [_, parameter]) => Ok(OwnedFrame::Array(vec![bulk(parameter), bulk(b"")])),
            (
                "QUIT" | "QUITKEEP" | "PING" | "LOGIN" | "LOGOUT" | "MOVE" | "HIT" | "SHOW" | "SPAWN"
                | "COUNT" | "CONFIG",
                _,
            ) => Err(format!("ERR wrong number of arguments for '{}' command", name.to_lowercase())),
            _ => Err(format!("ERR unknown command '{}'", printable(&name))),
        };
        Reply::Frame(answer.unwrap_or_else(|message| error(&message)))
    }

    /// Returns 1 for a new player, 0 for an existing one.
    fn login(&mut self, uid: &[u8]) -> Answer {
        let made = self.pool.force_get(number(uid)?, Player::NEW).map_err(full)?.is_made();
        Ok(OwnedFrame::Integer(made.into()))
    }

    fn logout(&mut self, uid: &[u8]) -> Answer {
        let uid = number(uid)?;
        if self.pool.free_by_key::<Player>(uid) { Ok(ok()) } else { Err(no_player(uid)) }
    }

    fn walk(&mut self, uid: &[u8], x: &[u8], y: &[u8]) -> Answer {
        let (uid, x, y) = (number(uid)?, coordinate(x)?, coordinate(y)?);
        let mut player = self.pool.get_mut_by_key::<Player>(uid).ok_or_else(|| no_player(uid))?;
        player.x = x;
        player.y = y;
        player.steps += 1;
        Ok(ok())
    }

    /// Returns the hit points that the player has left.
    fn hit(&mut self, uid: &[u8], damage: &[u8]) -> Answer {
        let (uid, damage) = (number(uid)?, number::<u16>(damage)?);
        let mut player = self.pool.get_mut_by_key::<Player>(uid).ok_or_else(|| no_player(uid))?;
        let left = (*player.health_mut() - i32::from(damage)).max(0);
        *player.health_mut() = left;
        player.hits += 1;
        Ok(OwnedFrame::Integer(left.into()))
    }

    fn show(&self, uid: &[u8]) -> Answer {
        let uid = number(uid)?;
        let player = self.pool.get_by_key::<Player>(uid).ok_or_else(|| no_player(uid))?;
        let Player { level, x, y, steps, hits, .. } = *player;
        let fields = [
            ("level", level.to_string()),
            ("x", x.to_string()),
            ("y", y.to_string()),
            ("steps", steps.to_string()),
            ("hits", hits.to_string()),
        ];
        let own = player.own_fields().into_iter().map(|(name, value)| (name, value.to_string()));
        let all = std::iter::once(("uid", uid.to_string())).chain(own).chain(fields);
        let pairs = all.flat_map(|(name, value)| [bulk(name.as_bytes()), text(value)]);
        Ok(OwnedFrame::Array(pairs.collect()))
    }

    fn spawn(&mut self, count: &[u8]) -> Answer {
        let count = number::<u32>(count)?;
        if count > MAX_SPAWN {
            return Err(format!("ERR at most {MAX_SPAWN} at once"));
        }
        for made in 0..count {
            let monster = Monster { hp: 30, kind: Kind::ALL[made as usize % Kind::ALL.len()] };
            self.pool.alloc(monster).map_err(|why| format!("{}, after {made} of {count}", full(why)))?;
        }
        Ok(OwnedFrame::Integer(count.into()))
    }

    fn count(&self, kind: &[u8]) -> Answer {
        let count = match kind.to_ascii_lowercase().as_slice() {
            b"player" => self.pool.len::<Player>(),
            b"monster" => self.pool.len::<Monster>(),
            other => {
                let kind = Kind::ALL.iter().find(|kind| kind.name().as_bytes() == other);
                let unknown = || format!("ERR no such type '{}'", printable(&String::from_utf8_lossy(other)));
                let kind = kind.ok_or_else(unknown)?;
                self.pool.iter::<Monster>().filter(|(_, monster)| monster.kind == *kind).count()
            }
        };
        Ok(OwnedFrame::Integer(count as i64))
    }

    fn info(&self) -> String {
        let report = self.pool.resume_report();
        let lines = [
            format!("process:{}", report.process),
            format!("pid:{}", std::process::id()),
            format!("start:{}", if self.pool.is_resume() { "hot" } else { "cold" }),
            format!("starts:{}", report.epoch),
            format!("resume_us:{}", report.took.as_micros()),
            format!("resumed_objects:{}", report.objects()),
            format!("being_written:{}", report.being_written.len()),
            format!("player:{}", self.pool.len::<Player>()),
            format!("monster:{}", self.pool.len::<Monster>()),
            format!("bytes_free:{}", self.pool.bytes_free().0),
            format!(
                "snapshot:{}",
                self.pool.snapshot_last().map_or("none".into(), |set| set.display().to_string())
            ),
            format!("commands:{}", self.commands),
        ];
        format!("# Zone\r\n{}\r\n", lines.join("\r\n"))
    }
}

pub(crate) fn error(message: &str) -> OwnedFrame {
    OwnedFrame::Error(message.into())
}

fn ok() -> OwnedFrame {
    OwnedFrame::SimpleString("OK".into())
}

fn bulk(bytes: &[u8]) -> OwnedFrame {
    OwnedFrame::BulkString(bytes.to_vec())
}

fn text(text: String) -> OwnedFrame {
    OwnedFrame::BulkString(text.into_bytes())
}

fn no_player(uid: u64) -> String {
    format!("NOPLAYER no such player: {uid}")
}

fn full(why: AllocError) -> String {
    format!("FULL {why}")
}

fn number<T: FromStr>(word: &[u8]) -> Result<T, String> {
    let parsed = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    parsed.ok_or_else(|| "ERR value is not an integer or out of range".into())
}

fn coordinate(word: &[u8]) -> Result<f32, String> {
    let parsed = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    parsed.filter(|x: &f32| x.is_finite()).ok_or_else(|| "ERR value is not a coordinate".into())
}

/// Returns the beginning of a client's input, printable in an error message.
fn printable(text: &str) -> String {
    text.chars().take(32).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}
