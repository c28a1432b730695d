use hotpool::PoolObject;
use hotpool::object::Schema;

#[derive(PoolObject)]
#[pool(id = 1)]
enum Kind {
    Sword,
    Shield,
}

const FIRST: u8 = 7;

#[derive(Schema)]
#[repr(u8)]
enum Numbered {
    One = FIRST,
    Two,
}

#[derive(Schema)]
#[repr(usize)]
enum Wide {
    One,
}

#[derive(Schema)]
#[repr(u8)]
enum Nothing {}

#[derive(PoolObject)]
#[pool(id = 2)]
#[repr(C)]
union Either {
    a: u32,
    b: f32,
}

#[derive(PoolObject)]
#[pool(id = 3)]
#[repr(C)]
struct Unit;

fn main() {}
