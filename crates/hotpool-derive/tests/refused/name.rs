use hotpool::PoolObject;

#[derive(PoolObject)]
#[pool(id = 1, name = "Player One")]
#[repr(C)]
struct Player {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 2, name = "")]
#[repr(C)]
struct Empty {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 3, name = 7)]
#[repr(C)]
struct Number {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 4)]
#[repr(C)]
struct AStructWhoseNameIsLongerThanTheNameOfATypeMayBe {
    hp: u64,
}

#[derive(PoolObject)]
#[pool(id = 5)]
#[repr(C)]
struct Größe {
    hp: u64,
}

fn main() {}
