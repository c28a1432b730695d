//! The derives of the `hotpool` crate, which re-exports them: use them from there.
//!
//! A derive reports all problems of a struct at once, each at the position to change. `shape.rs`
//! checks the struct, and `args.rs` checks `#[pool(..)]`.
#![forbid(unsafe_code)]

mod args;
mod expand;
mod field_args;
mod meta;
mod place;
mod problems;
mod shape;
mod snake;
mod type_name;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a type of a pool: implements `hotpool::PoolObject`, `hotpool::object::Schema` and
/// `hotpool::object::Stored`.
///
/// The struct must be `#[repr(C)]` (or, with one field, `#[repr(transparent)]`) and `Copy`. An enum
/// must have the representation of an integer: `#[repr(u8)]` or `#[repr(C, u8)]`. The attribute
/// `#[pool(..)]` has these keys:
///
/// - `id = 7`: the type number in every pool, 1 to 1023. Required; never changes.
/// - `name = "player"`: the name for operators and the ini, 1 to 47 of `a-z`, `0-9` and `_`. The
///   default is the struct's name in snake case: `HttpSession` becomes `http_session`.
/// - `keyed`: objects have a user key, a `u64`.
/// - `crate = "pool"`: the path of the crate, if Cargo.toml renames it: `pool = { package =
///   "hotpool", .. }`.
///
/// Every field's type must have a `Schema`. Padding is zeroed. Generic types are refused.
///
/// A field with `#[pool(transient)]` gets its `Default` in each hot start, when the type is added.
/// One with `#[pool(owner)]`, a `Ref`, makes the struct a `Child`, and one with `#[pool(time)]` makes
/// it `Timed`.
///
/// A field whose type is that of another crate can have `#[pool(as = "[f32; 3]")]`: it is stored as the
/// type in quotes. Its own type must be `bytemuck::Pod`, and have the same size and alignment.
///
/// Other attributes declare how the struct differs from the one that an earlier build stored; the
/// types of fields can have them as well. They change no fingerprint, and may stay in the source:
///
/// - `#[pool(default)]` or `#[pool(default = 7)]` at a new field: its value in stored objects.
/// - `#[pool(was = "hp")]` at a field or variant: its former name, such as `pos.x` if it was inside
///   another; `#[pool(was(x = "px"))]` for field `x` of the struct that the field holds.
/// - `#[pool(removed = "hp")]` above the struct or enum: the field or variant is gone.
#[proc_macro_derive(PoolObject, attributes(pool))]
pub fn derive_pool_object(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::pool_object(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct or enum usable as a field of objects: implements `hotpool::object::Schema` and
/// `hotpool::object::Stored`.
///
/// A struct must be `#[repr(C)]` (or, with one field, `#[repr(transparent)]`), an enum `#[repr(u8)]`,
/// `#[repr(C, u8)]` or the same with another integer, its discriminants numbers. Every field's type
/// must have a `Schema`, and so must the type for a type parameter. A type that derives `PoolObject`
/// has its schema already. `#[pool(crate = "pool")]` names the crate if Cargo.toml renames it.
#[proc_macro_derive(Schema, attributes(pool))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::schema(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Writes a struct straight into its form in shared memory and reads it back: implements
/// `hotpool::object::Place`.
///
/// `#[place(form = HeroForm)]` above the struct names the form, a `Pod` struct that has a field of
/// the same name for each field of this one. Fields can have:
///
/// - `#[place(skip)]`: the form does not have it. `Default` gives its value when it is read.
/// - `#[place(count = bag_len)]`: a `Vec`, whose form is an array. The field `bag_len: u32` of the
///   form has the number of elements.
///
/// `#[place(crate = "pool")]` names the crate if Cargo.toml renames it.
#[proc_macro_derive(Place, attributes(place))]
pub fn derive_place(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    place::place(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
