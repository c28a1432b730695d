//! The derives of the `hotpool` crate, which re-exports both: use them from there.
//!
//! A derive that refuses a struct names everything that is wrong with it at once, each at the place
//! to change. What the struct looks like is checked in `shape.rs`, what `#[pool(..)]` says in
//! `args.rs`.
#![forbid(unsafe_code)]

mod args;
mod expand;
mod problems;
mod shape;
mod snake;
mod type_name;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a type of a pool: implements `hotpool::PoolObject` and `hotpool::object::Schema`.
///
/// The struct is `#[repr(C)]` (or, with one field, `#[repr(transparent)]`), derives `bytemuck::Pod`
/// besides, and says in `#[pool(..)]`:
///
/// - `id = 7`: its number in every pool, 1 to 1023. Required; never changes.
/// - `name = "player"`: its name for operators and the ini, 1 to 47 of `a-z`, `0-9` and `_`.
///   Without it the struct's own name in snake case: `HttpSession` is `http_session`.
/// - `keyed`: objects are found by a `u64` key of the user's.
/// - `crate = "pool"`: the path of the crate, if Cargo.toml renames it: `pool = { package = "hotpool", .. }`.
///
/// Every field's type has a `Schema`. Generics are refused.
#[proc_macro_derive(PoolObject, attributes(pool))]
pub fn derive_pool_object(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::pool_object(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct a part of objects: implements `hotpool::object::Schema`.
///
/// For structs that are fields of others. The struct is `#[repr(C)]` (or, with one field,
/// `#[repr(transparent)]`), and every field's type has a `Schema`. Generics are refused. What derives
/// `PoolObject` has its schema already. `#[pool(crate = "pool")]` names the crate if Cargo.toml renames it.
#[proc_macro_derive(Schema, attributes(pool))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::schema(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
