use bytemuck::{Pod, Zeroable};
use hotpool::PoolObject;

#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
#[repr(C, align(8192))]
struct Aligned {
    bytes: [u8; 8192],
}

#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
#[repr(C)]
struct Nothing {
    bytes: [u8; 0],
}

fn main() {}
