use hotpool::object::Schema;

#[derive(Schema)]
#[repr(C)]
struct Part {
    #[pool(default = "seven")]
    mana: u32,
    #[pool(default)]
    class: Class,
}

#[derive(Schema)]
#[repr(u8)]
enum Class {
    Mage,
}

fn main() {}
