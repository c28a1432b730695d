use hotpool::object::Schema;

struct NoSchema {
    x: f32,
}

#[derive(Schema)]
#[repr(C)]
struct Player {
    alive: bool,
    slots: [usize; 4],
    inner: NoSchema,
}

fn main() {}
