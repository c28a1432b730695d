//! `inspect` shows what a pool consists of, according to its base.

use crate::bench::{Bench, raw};
use bytemuck::{Pod, Zeroable};
use hotpool::__internal::layout::{BaseHeader, TypeInfo};
use hotpool::{MemoryPoolMgr, PoolObject};
use std::mem::offset_of;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1, keyed)]
struct Player {
    uid: u64,
    hp: i32,
    level: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
struct Corpse {
    at: [f32; 2],
}

fn filled(bench: &Bench) -> MemoryPoolMgr {
    let mut pool = bench.open(0);
    pool.add_type::<Player>().unwrap();
    pool.add_type::<Corpse>().unwrap();
    for uid in 1..=3 {
        pool.alloc_keyed(uid, Player { uid, hp: 100, level: 1 }).unwrap();
    }
    pool
}

#[test]
fn header_types_and_blocks_are_shown() {
    let bench = Bench::new();
    filled(&bench).close().unwrap();
    let key = bench.base(0).to_string();
    let answer = bench.hotpool(&["inspect", "--key", &key]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    assert!(answer.out.starts_with(&format!("{key}: closed\n  process         zone\n")), "{}", answer.out);
    let own = format!("none; the last owner was pid {}", std::process::id());
    for said in [
        "block size      64K",
        "layout version  1",
        " bytes, pages of 4 KiB\n",
        "epoch           1 (",
        "run state       closed",
        &own,
    ] {
        assert!(answer.out.contains(said), "{said} is not in {}", answer.out);
    }
    let row = |start: &[&str]| {
        let mut rows = answer.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.find(|words| words.starts_with(start)).unwrap_or_else(|| panic!("{}", answer.out))
    };
    assert_eq!(row(&["1", "player"])[2..6], ["yes", "16", "32", "3"]);
    assert_eq!(row(&["2", "corpse"])[2..6], ["no", "8", "16", "0"]);
    assert_eq!(row(&["0", &bench.block(0, 0).to_string()]).len(), 5);
    assert!(answer.out.lines().all(|line| line.trim_end() == line), "{}", answer.out);
    assert!(!answer.out.contains("fields of"), "{}", answer.out);
}

#[test]
fn the_json_is_complete_while_a_server_runs() {
    let bench = Bench::new();
    let pool = filled(&bench);
    let ini = bench.ini(&["zone"]);
    let answer = bench.hotpool(&["inspect", "--conf", &ini, "--json"]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    let json = answer.json();
    let told = &json["pools"][0];
    assert_eq!((&told["state"], &told["run"]), (&"starting".into(), &"starting".into()));
    assert_eq!(told["owner_pid"], std::process::id());
    assert_eq!(told["base_pages"], "small");
    assert_eq!((&told["epoch"], &told["block_bytes"]), (&1.into(), &(64 << 10).into()));
    assert_eq!(told["pool_id"].as_str().unwrap().len(), 32);
    let player = &told["types"][0];
    assert_eq!((&player["id"], &player["live"], &player["keyed"]), (&1.into(), &3.into(), &true.into()));
    assert!(player["capacity"].as_u64() >= player["high_water"].as_u64(), "{player}");
    assert_eq!(player["fields"][1]["name"], "hp");
    let (blocks, sum) = (told["blocks"].as_array().unwrap(), |name: &str| {
        told["blocks"].as_array().unwrap().iter().map(|block| block[name].as_u64().unwrap()).sum::<u64>()
    });
    assert_eq!(blocks[1]["key"], bench.block(0, 1).to_string());
    assert_eq!(sum("bytes_taken") + sum("bytes_free"), 2 * ((64 << 10) - 4096));
    assert_eq!(sum("extents"), told["extents"].as_u64().unwrap());
    assert!(pool.health().is_good());
}

#[test]
fn a_type_is_shown_with_its_fields() {
    let bench = Bench::new();
    filled(&bench).close().unwrap();
    let key = bench.base(0).to_string();
    let answer = bench.hotpool(&["inspect", "--key", &key, "--type", "player"]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    let fields = answer.out.split("\nfields of player:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let words: Vec<Vec<&str>> = fields.lines().map(|line| line.split_whitespace().collect()).collect();
    let wanted = [["offset", "size", "type", "name"], ["0", "8", "u64", "uid"], ["8", "4", "i32", "hp"]];
    assert_eq!(words[..3], wanted);
    assert!(!answer.out.contains("corpse"), "{}", answer.out);

    let answer = bench.hotpool(&["inspect", "--key", &key, "--type", "plyer"]);
    assert_eq!(answer.code, 2);
    assert!(
        answer.err.contains("no pool has a type `plyer`; its types are corpse, player"),
        "{}",
        answer.err
    );
}

#[test]
fn absence_and_damage_have_their_exit_codes() {
    let bench = Bench::new();
    let key = bench.base(0).to_string();
    let answer = bench.hotpool(&["inspect", "--key", &key, "--type", "player"]);
    assert_eq!(answer.code, 7, "{}", answer.out);
    assert!(answer.out.contains(": absent: there is no segment under "), "{}", answer.out);
    assert_eq!(bench.hotpool(&["inspect", "--key", &key, "--json"]).json()["pools"][0]["state"], "absent");

    filled(&bench).close().unwrap();
    let stride = size_of::<BaseHeader>() + size_of::<TypeInfo>() + offset_of!(TypeInfo, stride);
    raw::set_word(bench.base(0), stride, u64::MAX);
    let answer = bench.hotpool(&["inspect", "--key", &key]);
    assert_eq!(answer.code, 6, "{}", answer.out);
    assert!(answer.out.contains(" type 1 is damaged: its checksum is wrong"), "{}", answer.out);
    raw::set_word(bench.base(0), offset_of!(BaseHeader, geometry), 1);
    let answer = bench.hotpool(&["inspect", "--key", &key]);
    assert_eq!(answer.code, 6, "{}", answer.out);
    assert!(answer.out.contains("the checksum of its geometry is wrong"), "{}", answer.out);
}

#[test]
fn the_key_of_a_block_is_answered_with_its_pool_and_the_base_key() {
    let bench = Bench::new();
    bench.open(0).close().unwrap();
    let (base, block) = (bench.base(0), bench.block(0, 1));
    let told = |verb: &str, code: i32, words: &[&str]| {
        let answer = bench.hotpool(&[verb, "--key", &block.to_string()]);
        assert_eq!(answer.code, code, "{verb}: {}{}", answer.out, answer.err);
        for word in words {
            assert!(answer.out.contains(word), "{verb}: {}", answer.out);
        }
        assert!(!answer.out.contains("damaged"), "{verb}: {}", answer.out);
    };
    let whose = format!("{block} is block 1 of the pool of zone under {base}; use the base key {base}");
    for verb in ["verify", "inspect", "postmortem"] {
        told(verb, 1, &[&format!("{block}: block: "), &whose]);
    }
    told("rm", 4, &[&whose]);
    raw::remove(base);
    for verb in ["verify", "inspect", "postmortem"] {
        told(verb, 1, &["a pool whose base was not found", &format!("hotpool rm --key {block}")]);
    }
}

#[test]
fn a_base_key_that_names_a_block_is_a_problem_of_the_ini() {
    let bench = Bench::new();
    bench.open(0).close().unwrap();
    let ini = bench.ini(&["zone"]);
    let (base, block) = (bench.base(0).to_string(), bench.block(0, 0).to_string());
    let text = std::fs::read_to_string(&ini).unwrap();
    let text = text.replace(&format!("BaseKey = {base}"), &format!("BaseKey = {block}"));
    let text = text.replace(&format!("ShmKeys = {block}"), &format!("ShmKeys = {base}"));
    std::fs::write(&ini, text).unwrap();
    let answer = bench.hotpool(&["ls", "--conf", &ini]);
    assert_eq!(answer.code, 1, "{}", answer.out);
    assert!(answer.row(bench.block(0, 0)).contains("foreign"), "{}", answer.out);
    assert!(
        answer.out.contains(&format!("{block} is a block, not a base: correct BaseKey")),
        "{}",
        answer.out
    );
}
