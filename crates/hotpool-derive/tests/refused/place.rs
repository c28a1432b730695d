use bytemuck::{Pod, Zeroable};
use hotpool::object::Place;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Form {
    name: [u8; 8],
    bag: [u32; 4],
    bag_len: u32,
}

#[derive(Place)]
struct NoForm {
    name: String,
}

#[derive(Place)]
#[place(form = Form)]
struct NoNames(String);

#[derive(Place)]
#[place(form = Form, shape = 3)]
struct UnknownKeys {
    #[place(leave)]
    name: String,
}

fn main() {}
