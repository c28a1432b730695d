use hotpool::PoolObject;

#[derive(PoolObject)]
#[repr(C)]
struct NoAttribute {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(keyed)]
#[repr(C)]
struct NoId {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 0)]
#[repr(C)]
struct Zero {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 1024)]
#[repr(C)]
struct TooLarge {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = -1)]
#[repr(C)]
struct Negative {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = "7")]
#[repr(C)]
struct Text {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id)]
#[repr(C)]
struct NoValue {
    hp: u64,
}

fn main() {}
