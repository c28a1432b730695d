//! Owners and times that a pool cannot follow.

use hotpool::object::{Ref, Schema};
use hotpool::{Id, MemoryPoolMgr, PoolObject};

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1)]
struct Player {
    #[pool(owner)]
    uid: u64,
    #[pool(time)]
    x: f32,
    pad: u32,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 2)]
struct Item {
    #[pool(owner)]
    owner: Ref<Guild>,
    #[pool(owner)]
    second: Ref<Guild>,
    #[pool(time, transient)]
    until: u64,
    #[pool(owner = 7)]
    third: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Schema)]
struct Inner {
    #[pool(time)]
    until: u64,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 3)]
struct Guild {
    gold: u64,
}

#[repr(C, packed(4))]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 4)]
struct Packed {
    kind: u32,
    #[pool(time)]
    until: u64,
}

fn lists(pool: &mut MemoryPoolMgr, guild: Id<Guild>) {
    let _ = pool.children::<Guild>(guild).count();
    let _ = pool.expire::<Guild>(7);
}

fn main() {}
