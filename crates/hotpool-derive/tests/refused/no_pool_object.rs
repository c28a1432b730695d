use hotpool::{Id, PoolObject};

struct Player;

fn add_type<T: PoolObject>() {}

fn main() {
    add_type::<Player>();
    let _ = Id::<Player>::from_bits(7);
}
