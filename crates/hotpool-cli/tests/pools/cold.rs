//! Which starts are cold and which are refused: the rows of the table in `docs/operating.md` that a
//! test can reproduce.

use crate::bench::{Bench, raw};
use bytemuck::{Pod, Zeroable};
use hotpool::conf::ProcessConf;
use hotpool::units::Bytes;
use hotpool::{MemoryPoolMgr, PoolObject, StartMode};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Player {
    gold: u64,
}

/// The player of another build.
mod next_build {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 1)]
    pub(super) struct Player {
        gold: u64,
        level: u64,
    }
}

/// Creates a closed pool with a player.
fn waiting() -> (Bench, ProcessConf) {
    let bench = Bench::new();
    let conf = bench.conf(0);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<Player>().unwrap();
    pool.alloc(Player { gold: 7 }).unwrap();
    pool.close().unwrap();
    (bench, conf)
}

/// Returns the mode and the number of objects of the next start, or its refusal.
fn start(conf: &ProcessConf) -> Result<(StartMode, u64), String> {
    let pool = MemoryPoolMgr::open(conf).map_err(|error| error.to_string())?;
    Ok((pool.start_mode(), pool.resume_report().objects()))
}

const HOT: Result<(StartMode, u64), String> = Ok((StartMode::Resume, 1));
const COLD: Result<(StartMode, u64), String> = Ok((StartMode::Init, 0));

fn refusal(conf: &ProcessConf) -> String {
    start(conf).unwrap_err()
}

#[test]
fn a_close_and_a_death_are_hot() {
    let (bench, conf) = waiting();
    assert_eq!(start(&conf), HOT);
    bench.owner(0, "ready").kill();
    assert_eq!(start(&conf), HOT);
    bench.owner(0, "open").kill();
    assert_eq!(start(&conf), HOT);
}

#[test]
fn a_death_before_the_first_type_is_cold_and_not_refused() {
    let bench = Bench::new();
    bench.owner(0, "open").kill();
    assert_eq!(start(&bench.conf(0)), COLD);
}

#[test]
fn another_number_of_blocks_is_hot_unless_objects_would_be_lost() {
    let (bench, mut conf) = waiting();
    conf.shm_keys.push(bench.block(0, 2));
    assert_eq!(start(&conf), HOT);
    conf.shm_keys.truncate(1);
    assert_eq!(start(&conf), HOT, "blocks without objects are given up");
    conf.shm_keys = vec![bench.block(0, 1)];
    let why = refusal(&conf);
    assert!(why.contains("the ini no longer names block"), "{why}");
}

#[test]
fn another_block_size_is_refused() {
    let (_bench, mut conf) = waiting();
    conf.block_size = Bytes(128 << 10);
    let why = refusal(&conf);
    assert!(why.contains("have 64K, but the ini requires 128K"), "{why}");
    conf.block_size = Bytes(64 << 10);
    assert_eq!(start(&conf), HOT);
}

#[test]
fn a_changed_struct_keeps_the_pool_hot() {
    let (_bench, conf) = waiting();
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    let why = pool.add_type::<next_build::Player>().unwrap_err().to_string();
    assert!(why.contains("has changed") && why.contains("level"), "{why}");
    drop(pool);
    assert_eq!(start(&conf), HOT);
}

#[test]
fn segments_removed_by_hand() {
    let (bench, conf) = waiting();
    raw::remove_semaphores(bench.base(0));
    assert_eq!(start(&conf), HOT, "the semaphores are created again");

    raw::remove_segment(bench.base(0));
    let why = refusal(&conf);
    let cure = format!("`hotpool rm --key {} --key {}`", bench.block(0, 0), bench.block(0, 1));
    assert!(why.contains("2 blocks of a pool whose base is gone") && why.contains(&cure), "{why}");
    assert!(!raw::is_there(bench.base(0)), "no base was created");
    for key in [bench.block(0, 0), bench.block(0, 1)] {
        assert_eq!(bench.hotpool(&["rm", "--yes", "--key", &key.to_string()]).code, 0);
    }
    assert_eq!(start(&conf), COLD);

    let (bench, conf) = waiting();
    raw::remove_segment(bench.block(0, 0));
    let why = refusal(&conf);
    assert!(why.contains(&format!("there is no segment under {}", bench.block(0, 0))), "{why}");
    assert_eq!(bench.hotpool(&["rm", "--yes", "--key", &bench.base(0).to_string()]).code, 0);
    assert_eq!(start(&conf), COLD);
}

#[test]
fn a_start_after_a_removal_is_cold_and_after_an_interrupted_one_refused() {
    let (bench, conf) = waiting();
    raw::set_first_word(bench.base(0), hotpool::__internal::layout::MAGIC_GONE);
    let why = refusal(&conf);
    let rm = format!("run `hotpool rm --key {}`", bench.base(0));
    assert!(why.contains(&rm), "{why}");
    assert_eq!(bench.hotpool(&["rm", "--yes", "--key", &bench.base(0).to_string()]).code, 0);
    assert_eq!(start(&conf), COLD);
}

#[test]
fn a_segment_removed_under_its_owner_is_refused_until_the_owner_ends() {
    let bench = Bench::new();
    let mut conf = bench.conf(0);
    conf.owner_wait_ms = 0;
    let mut owner = bench.owner(0, "ready");
    for key in [bench.base(0), bench.block(0, 0), bench.block(0, 1)] {
        raw::remove_segment(key);
    }
    let why = refusal(&conf);
    assert!(why.contains(&format!("pid {}", owner.pid())), "{why}");
    owner.kill();
    assert_eq!(start(&conf), COLD);
}

#[test]
fn a_refusal_because_of_an_empty_block_names_the_remedy_that_keeps_all_objects() {
    let (bench, mut conf) = waiting();
    let block = bench.block(0, 1);
    raw::set_first_word(block, 0x7374_7261_6e67_6572);
    let why = refusal(&conf);
    assert!(why.contains(&format!("it holds no object: remove {block} from ShmKeys")), "{why}");
    conf.shm_keys.truncate(1);
    assert_eq!(start(&conf), HOT, "the advice works");

    let (bench, conf) = waiting();
    raw::remove_segment(bench.block(0, 0));
    let why = refusal(&conf);
    assert!(why.contains("it was removed, but its base records objects in it: restore a snapshot"), "{why}");
}
