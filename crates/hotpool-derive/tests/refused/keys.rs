use hotpool::PoolObject;

#[derive(PoolObject)]
#[pool(id = 1, key)]
#[repr(C)]
struct Unknown {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 1, id = 2, keyed)]
#[pool(keyed)]
#[repr(C)]
struct Twice {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 1, keyed = true)]
#[repr(C)]
struct Value {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 1)]
#[repr(C)]
struct OnAField {
    #[pool(keyed)]
    uid: u64,
}

#[derive(PoolObject)]
#[pool]
#[repr(C)]
struct NoList {
    hp: u64,
}

fn main() {}
