use hotpool::PoolObject;

#[derive(PoolObject)]
#[pool(id = 5000, name = "Player!", color = "red")]
struct Player<T> {
    #[pool(keyed)]
    uid: T,
}

fn main() {}
