//! `verify` lists what is wrong with a pool, and its exit code is that of the worst finding.

use crate::bench::{Bench, raw};
use bytemuck::{Pod, Zeroable};
use hotpool::__internal::layout::{BaseHeader, MAGIC_GONE, TypeInfo};
use hotpool::PoolObject;
use std::mem::offset_of;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Player {
    gold: u64,
}

/// Offset of the tally of players. The table of types follows the header directly.
const PLAYERS: usize = size_of::<BaseHeader>() + size_of::<TypeInfo>() + offset_of!(TypeInfo, tally);
const RUN: usize = offset_of!(BaseHeader, run);
const SCHEMA_USED: usize = offset_of!(BaseHeader, schema_used);

/// Creates closed pools with three players each.
fn waiting(pools: u32) -> Bench {
    let bench = Bench::new();
    for number in 0..pools {
        let mut pool = bench.open(number);
        pool.add_type::<Player>().unwrap();
        for gold in 0..3 {
            pool.alloc(Player { gold }).unwrap();
        }
        pool.close().unwrap();
    }
    bench
}

#[test]
fn a_sound_pool_is_one_line_and_exit_code_zero() {
    let bench = waiting(1);
    let key = bench.base(0).to_string();
    let answer = bench.hotpool(&["verify", "--key", &key]);
    let wanted = format!(
        "{key} (zone): sound: 3 objects of 1 type in 2 blocks and 1 extent; 0 damaged, 0 warnings, 0 notes\n"
    );
    assert_eq!((answer.code, answer.out), (0, wanted));
    let json = bench.hotpool(&["verify", "--key", &key, "--json"]).json();
    let pool = &json["pools"][0];
    assert_eq!(
        (&json["ok"], &pool["outcome"], &pool["live"]),
        (&true.into(), &"sound".into(), &false.into())
    );
    assert_eq!((&pool["objects"], &pool["types"][0]["name"]), (&3.into(), &"player".into()));
    assert_eq!(pool["findings"].as_array().unwrap().len(), 0);
}

#[test]
fn the_exit_code_is_that_of_the_worst_finding() {
    let bench = waiting(1);
    let key = bench.base(0);
    let verify = || bench.hotpool(&["verify", "--key", &key.to_string()]);
    raw::set_word(key, SCHEMA_USED, 4096);
    let answer = verify();
    assert_eq!(answer.code, 0, "{}", answer.out);
    assert!(
        answer.out.contains(": sound: ") && answer.out.contains("0 warnings, 1 note\n"),
        "{}",
        answer.out
    );
    assert!(answer.out.contains("belong to no type"), "{}", answer.out);

    raw::set_word(key, RUN, 9);
    let answer = verify();
    assert_eq!(answer.code, 5, "{}", answer.out);
    assert!(answer.out.contains(": warnings: "), "{}", answer.out);

    raw::set_word(key, PLAYERS, 5);
    let answer = verify();
    assert_eq!(answer.code, 6, "{}", answer.out);
    let row = answer.out.lines().find(|line| line.starts_with("  damage ")).unwrap();
    assert!(row.contains(" type 1 ") && row.ends_with("its tally counts 5 objects, but 3 are live"), "{row}");

    let json = bench.hotpool(&["verify", "--json", "--key", &key.to_string()]).json();
    let pool = &json["pools"][0];
    assert_eq!((&json["ok"], &pool["outcome"]), (&false.into(), &"damaged".into()));
    assert_eq!((&pool["damage"], &pool["warnings"], &pool["notes"]), (&1.into(), &1.into(), &1.into()));
    let findings = pool["findings"].as_array().unwrap();
    let damage = findings.iter().find(|finding| finding["severity"] == "damage").unwrap();
    assert_eq!(
        (&damage["type_id"], &damage["what"]),
        (&1.into(), &"its tally counts 5 objects, but 3 are live".into())
    );
}

#[test]
fn every_pool_of_an_ini_has_its_line_and_absence_is_not_damage() {
    let bench = waiting(2);
    let ini = bench.ini(&["zone", "world", "match"]);
    let answer = bench.hotpool(&["verify", "--conf", &ini]);
    assert_eq!(answer.code, 7, "{}", answer.out);
    let line = |number: u32| {
        let start = bench.base(number).to_string();
        answer.out.lines().find(|line| line.starts_with(&start)).unwrap()
    };
    assert!(line(0).contains(": sound: ") && line(1).contains(": sound: "), "{}", answer.out);
    assert!(line(2).contains("(match): absent: there is no segment under "), "{}", answer.out);
    assert_eq!(bench.hotpool(&["verify", "--conf", &ini, "--process", "zone", "--process", "world"]).code, 0);

    raw::set_word(bench.base(1), PLAYERS, 5);
    let answer = bench.hotpool(&["verify", "--conf", &ini, "--json"]);
    assert_eq!(answer.code, 6, "{}", answer.out);
    let outcomes: Vec<_> =
        answer.json()["pools"].as_array().unwrap().iter().map(|pool| pool["outcome"].clone()).collect();
    assert_eq!(outcomes, ["sound", "damaged", "absent"]);
}

#[test]
fn a_running_server_is_verified_without_disturbance() {
    let bench = Bench::new();
    let mut pool = bench.open(0);
    pool.add_type::<Player>().unwrap();
    let id = pool.alloc(Player { gold: 7 }).unwrap();
    let answer = bench.hotpool(&["verify", "--key", &bench.base(0).to_string()]);
    assert_eq!(answer.code, 0, "{}", answer.out);
    assert!(answer.out.ends_with("; its owner was running\n"), "{}", answer.out);
    assert!(pool.health().is_good() && pool.get(id).is_some_and(|player| player.gold == 7));

    let mut owner = bench.owner(1, "ready");
    owner.kill();
    assert_eq!(bench.hotpool(&["verify", "--key", &bench.base(1).to_string()]).code, 0);
}

#[test]
fn an_incomplete_pool_is_unreadable() {
    let bench = waiting(2);
    raw::set_first_word(bench.base(0), 0x1234);
    raw::set_first_word(bench.base(1), MAGIC_GONE);
    for (number, said) in [(0, "its first word is 0x0000000000001234"), (1, "run `hotpool rm --key ")] {
        for verb in ["verify", "inspect"] {
            let answer = bench.hotpool(&[verb, "--key", &bench.base(number).to_string()]);
            assert_eq!(answer.code, 1, "{}", answer.out);
            assert!(answer.out.contains(": unreadable: ") && answer.out.contains(said), "{}", answer.out);
        }
    }
}

#[test]
fn the_command_line_selects_pools_in_one_way() {
    let bench = Bench::new();
    let ini = bench.ini(&["zone"]);
    let wrong = [vec![], vec!["--process", "zone"], vec!["--key", "0"], vec!["--conf", &ini, "--key", "0x5"]];
    for verb in ["verify", "inspect"] {
        for args in &wrong {
            assert_eq!(bench.hotpool(&[&[verb], &args[..]].concat()).code, 2, "{verb} {args:?}");
        }
        let answer = bench.hotpool(&[verb, "--conf", &ini, "--process", "zon"]);
        assert_eq!(answer.code, 1);
        assert!(answer.out.contains("did you mean zone?"), "{}", answer.out);
        assert_eq!(bench.hotpool(&[verb, "--conf", "nowhere.ini", "--json"]).code, 3);
    }
}

#[test]
fn a_missing_block_is_damage_used_or_empty_with_or_without_an_owner() {
    for (number, word) in [(0, "it holds objects"), (1, "it is empty")] {
        for is_live in [false, true] {
            let bench = waiting(1);
            let owner = is_live.then(|| bench.owner(0, "ready"));
            raw::remove_segment(bench.block(0, number));
            let answer = bench.hotpool(&["verify", "--key", &bench.base(0).to_string()]);
            assert_eq!(answer.code, 6, "block {number}, live {is_live}: {}", answer.out);
            assert!(answer.out.contains(word), "{}", answer.out);
            drop(owner);
        }
    }
}
