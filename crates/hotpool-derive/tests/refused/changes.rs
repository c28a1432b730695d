use hotpool::PoolObject;
use hotpool::object::Schema;

#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1, removed = "", removed = 7, removed)]
#[repr(C)]
struct Player {
    #[pool(transient, default = 3)]
    socket: u32,
    #[pool(default, default = 3)]
    mana: u32,
    #[pool(was = "")]
    hp: u32,
    #[pool(was = "hp points")]
    life: u32,
    #[pool(was)]
    level: u32,
    #[pool(was = "speed")]
    speed: u32,
    #[pool(was(x = 7))]
    pos: u32,
    #[pool(default(3))]
    luck: u32,
    #[pool(keyed)]
    key: u32,
}

#[derive(Schema)]
#[repr(C)]
#[pool(remove = "hp")]
struct Part {
    #[pool(transient)]
    socket: u32,
    #[pool(deafult = 3)]
    mana: u32,
}

#[derive(Schema)]
#[repr(u8)]
enum Order {
    #[pool(default)]
    Rest,
    #[pool(was = "Go")]
    Walk {
        #[pool(transient)]
        to: u32,
    },
}

fn main() {}
