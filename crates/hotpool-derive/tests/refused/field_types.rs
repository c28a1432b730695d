use hotpool::object::Schema;

struct NoSchema {
    x: f32,
}

#[derive(Schema)]
#[repr(C)]
struct Player {
    guild: Option<u32>,
    at: (f32, f32),
    slots: [usize; 4],
    inner: NoSchema,
}

#[derive(Schema)]
#[repr(u8)]
enum Order {
    Halt,
    Write(String),
}

fn main() {}
