use bytemuck::Zeroable;
use hotpool::PoolObject;

#[repr(C)]
#[derive(Clone, Copy, Zeroable, PoolObject)]
#[pool(id = 1)]
struct Player {
    uid: u64,
    level: u32,
    gold: u64,
    hp: u16,
}

// SAFETY: not upheld; this file only tests the derive.
unsafe impl bytemuck::Pod for Player {}

fn main() {}
