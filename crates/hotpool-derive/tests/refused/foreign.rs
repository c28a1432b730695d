//! Types of other crates that cannot be stored as what is written.

use bytemuck::{Pod, Zeroable};
use hotpool::PoolObject;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Colour {
    rgb: [f32; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct NotPod {
    flag: bool,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1)]
struct Shorter {
    #[pool(as = "[f32; 2]")]
    colour: Colour,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 2)]
struct Narrow {
    #[pool(as = "[char; 3]")]
    colour: Colour,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 3)]
struct Unsound {
    #[pool(as = "u8")]
    flag: NotPod,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 4)]
struct Wrong {
    #[pool(as = "[f32;")]
    colour: Colour,
    #[pool(as = 7)]
    other: Colour,
}

fn main() {}
