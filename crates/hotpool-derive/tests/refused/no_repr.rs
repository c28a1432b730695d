use hotpool::object::Schema;

#[derive(Schema)]
struct Bare {
    x: f32,
}

#[derive(Schema)]
#[repr(align(16))]
struct Aligned {
    x: f32,
}

fn main() {}
