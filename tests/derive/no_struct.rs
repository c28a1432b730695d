use hotpool::PoolObject;

#[derive(PoolObject)]
#[pool(id = 1)]
#[repr(u32)]
enum Kind {
    Sword,
    Shield,
}

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
