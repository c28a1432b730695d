use hotpool::PoolObject;
use hotpool::object::Schema;

#[derive(Schema)]
#[repr(C)]
struct Part {
    #[pool(transient)]
    socket: u32,
}

#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1)]
#[repr(C)]
struct Player {
    #[pool(transiant)]
    socket: u32,
}

fn main() {}
