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

macro_rules! five_of {
    ($inner:ty, $name:ident) => {
        #[derive(Clone, Copy, Pod, Zeroable, hotpool::object::Schema)]
        #[repr(C)]
        struct $name {
            first: $inner,
            second: $inner,
            third: $inner,
            fourth: $inner,
            fifth: $inner,
        }
    };
}

five_of!(u64, Five);
five_of!(Five, TwentyFive);
five_of!(TwentyFive, HundredTwentyFive);

#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 3)]
#[repr(C)]
struct MoreTextThanRoom {
    left: HundredTwentyFive,
    middle: HundredTwentyFive,
    right: HundredTwentyFive,
}

fn main() {}
