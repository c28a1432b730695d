use hotpool::PoolObject;
use hotpool::object::Schema;

#[derive(PoolObject)]
#[pool(id = 1)]
#[repr(C)]
struct Slots<T, const N: usize> {
    slots: [T; N],
}

#[derive(Schema)]
#[repr(C)]
struct Borrowed<'a> {
    text: &'a str,
}

fn main() {}
