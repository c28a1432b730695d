//! What a dead process was doing is read from its pool, exactly and without changing a byte.

#[path = "harness/own_keys.rs"]
mod own_keys;

use bytemuck::{Pod, Zeroable};
use hotpool::conf::ProcessConf;
use hotpool::pool::{Event, Note, PostMortem, StartEnd};
use hotpool::share::{Home, observe_pool, remove_pool};
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject, TxError};
use own_keys::own_keys;
use std::process::Command;
use std::time::Duration;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Monster {
    hp: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
struct Corpse {
    age: u64,
}

struct Site(ProcessConf);

impl Site {
    fn new() -> Self {
        Site(conf(own_keys(16)))
    }

    fn read(&self) -> PostMortem {
        PostMortem::read(self.0.base_key, &Home::sysv()).unwrap()
    }

    /// Runs the server until it dies.
    fn die(&self, how: &str) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "server", "--nocapture"]);
        let settings = format!("{} {how}", self.0.base_key.0);
        let output = command.env("HOTPOOL_TEST_SERVER", settings).output().unwrap();
        assert!(!output.status.success());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(remove_pool(self.0.base_key, &Home::sysv(), false));
    }
}

fn conf(base: u32) -> ProcessConf {
    ProcessConf::new("zone", Key(base), Bytes(256 << 10), &[Key(base + 1)])
}

/// Runs as the server if this process was launched as one.
#[test]
fn server() {
    let Ok(settings) = std::env::var("HOTPOOL_TEST_SERVER") else { return };
    let (base, how) = settings.split_once(' ').unwrap();
    let mut pool = MemoryPoolMgr::open(&conf(base.parse().unwrap())).unwrap();
    pool.add_type::<Monster>().unwrap();
    pool.add_type::<Corpse>().unwrap();
    let monsters = [10, 20, 30].map(|hp| pool.alloc(Monster { hp }).unwrap());
    match how {
        "writing" => {
            pool.ready().unwrap();
            pool.note(7, 1, 2);
            pool.note_object(monsters[1]);
            let _corpse = pool.alloc(Corpse { age: 0 }).unwrap();
            let _guard = pool.get_mut(monsters[1]).unwrap();
            std::process::abort();
        }
        "freeing" => {
            pool.free(monsters[2]);
            std::process::abort();
        }
        _ => {
            pool.for_each::<Monster>(|_, monster| monster.hp += 1);
            std::mem::forget(pool.iter_mut::<Monster>().map(|(_, guard)| guard).collect::<Vec<_>>());
            std::process::abort();
        }
    }
}

#[test]
fn a_dead_process_leaves_its_last_operation_object_and_notes() {
    let site = Site::new();
    site.die("writing");
    let found = site.read();
    assert_eq!(
        (found.process.as_str(), found.owner.is_none(), found.closed, found.ready),
        ("zone", true, false, true)
    );
    let operation = found.operation.as_ref().unwrap();
    assert_eq!((operation.alloc, operation.type_name.as_str(), operation.slot), (true, "corpse", 0));
    let [mark] = &found.being_written[..] else { panic!("{:?}", found.being_written) };
    assert_eq!((mark.object.unwrap().to_string().as_str(), mark.type_name.as_str()), ("1:1v1", "monster"));
    assert!(!mark.earlier);

    let tags: Vec<String> = found.notes.iter().map(Note::to_string).collect();
    assert_eq!(tags[0], "open, start 1");
    assert!(tags.contains(&"note 7 1 2".to_string()), "{tags:?}");
    let own: Vec<&Note> = found.notes.iter().filter(|note| Event::of(note.tag).is_none()).collect();
    let [own] = own[..] else { panic!() };
    // The coarse clock advances once per tick, so a note may seem to be slightly in the future.
    let age = found.read_at.abs_diff(own.wall);
    assert!(age < 60_000_000_000, "the note is {age} ns old");
    assert!(tags.contains(&"object 1:1v1".to_string()));
    assert!(tags.iter().any(|tag| tag == "ready, start 1"));

    assert_eq!(found.starts.len(), 1);
    assert_eq!(u64::from(found.starts[0].pid), found.pid);
    assert!(found.starts[0].ready.is_some());
}

#[test]
fn reading_changes_nothing_and_a_second_reading_agrees() {
    let site = Site::new();
    site.die("freeing");
    let first = site.read();
    let operation = first.operation.as_ref().unwrap();
    assert_eq!((operation.alloc, operation.type_name.as_str(), operation.slot), (false, "monster", 2));
    let is_recent = |ended: u64| first.read_at.abs_diff(ended) < 60_000_000_000;
    assert!(first.ended.is_some_and(is_recent), "{:?}", first.ended);
    let second = site.read();
    assert_eq!((first.notes, first.starts), (second.notes, second.starts));
    assert_eq!(first.operation, second.operation);
    // The first reading attached the base; the kernel still notes the owner of the block.
    assert!(second.ended.is_some_and(is_recent), "{:?}", second.ended);
}

#[test]
fn tools_that_read_a_dead_pool_do_not_hide_when_its_owner_died() {
    let site = Site::new();
    site.die("freeing");
    // The kernel notes seconds.
    std::thread::sleep(Duration::from_millis(2100));
    site.read();
    drop(observe_pool(site.0.base_key, &Home::sysv()).unwrap());
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    let ago = pool.resume_report().ended_ago.unwrap();
    assert!(ago >= Duration::from_secs(1), "{ago:?}");
}

#[test]
fn several_guards_name_the_type_even_after_the_next_start() {
    let site = Site::new();
    site.die("all");
    let found = site.read();
    let [mark] = &found.being_written[..] else { panic!("{:?}", found.being_written) };
    assert_eq!((mark.object, mark.type_name.as_str(), mark.earlier), (None, "monster", false));
    drop(MemoryPoolMgr::open(&site.0).unwrap());
    let [mark] = &site.read().being_written[..] else { panic!() };
    assert!(mark.earlier);
}

#[test]
fn a_live_pool_is_read_while_its_owner_runs() {
    let site = Site::new();
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    pool.note(1, 0, 0);
    let found = site.read();
    assert_eq!(found.owner.unwrap().pid as u32, std::process::id());
    assert_eq!(found.ended, None);
    assert_eq!(found.starts.last().unwrap().end, StartEnd::Open);
    pool.note(2, 0, 0);
    assert_eq!(site.read().notes.last().unwrap().tag, 2);
    assert!(pool.health().is_good());
}

#[test]
fn the_black_box_keeps_the_last_notes_and_tells_program_tags_apart() {
    let site = Site::new();
    let pool = MemoryPoolMgr::open(&site.0).unwrap();
    for number in 0..5000 {
        pool.note(number | 1 << 31, number.into(), 0);
    }
    let notes = site.read().notes;
    assert_eq!(notes.len() as u64, hotpool::limits::NOTES);
    assert!(notes.windows(2).all(|pair| pair[1].number == pair[0].number + 1));
    assert!(notes.iter().all(|note| u64::from(note.tag) == note.a && Event::of(note.tag).is_none()));
    assert_eq!(notes.last().unwrap().a, 4999);
    assert!(notes.iter().all(|note| note.wall == 0), "the note of their start is no longer in the black box");
}

#[test]
fn the_tags_of_the_last_transactions_are_noted_when_they_are_committed() {
    let site = Site::new();
    let mut pool = MemoryPoolMgr::open(&site.0).unwrap();
    pool.add_type::<Monster>().unwrap();
    let wolf = pool.alloc(Monster { hp: 1 }).unwrap();
    for (tag, goes_well) in [(7, true), (8, false), (9, true)] {
        let done: Result<(), TxError> = pool.tx(|tx| {
            tx.get_mut(wolf)?.hp += tag;
            tx.commit_with(tag)?;
            if goes_well { Ok(()) } else { Err(TxError::Stale(wolf.handle())) }
        });
        assert_eq!(done.is_ok(), goes_well);
    }
    let untagged: Result<(), TxError> = pool.tx(|tx| tx.get_mut(wolf).map(|wolf| wolf.hp = 0));
    untagged.unwrap();
    let notes = site.read().notes;
    let mut commits = notes.iter().filter(|note| Event::of(note.tag) == Some(Event::Commit));
    assert_eq!(commits.clone().map(|note| (note.a, note.b)).collect::<Vec<_>>(), [(7, 0), (9, 7)]);
    assert_eq!(commits.next_back().unwrap().to_string(), "commit, tag 9");
}
