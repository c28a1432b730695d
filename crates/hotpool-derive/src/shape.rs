//! Checks that a struct has a layout that every build agrees on.

use crate::problems::Problems;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Meta, Token};

/// Checks that `input` is a struct with a fixed layout, and returns its fields.
pub(crate) fn fields<'a>(input: &'a DeriveInput, problems: &mut Problems) -> Option<Vec<&'a Field>> {
    check_generics(input, problems);
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => {
            let why = "an enum cannot be in a pool: memory that another build has written may hold a variant \
                       which this one does not have; write a struct with a `u32` for the variant";
            problems.at(data.enum_token.span, why);
            return None;
        }
        Data::Union(data) => {
            let why = "a union cannot be in a pool: a later build could not tell which of its fields is \
                       stored; write a struct";
            problems.at(data.union_token.span, why);
            return None;
        }
    };
    check_repr(input, problems);
    check_not_empty(input, fields, problems);
    Some(fields.iter().collect())
}

fn check_generics(input: &DeriveInput, problems: &mut Problems) {
    if !input.generics.params.is_empty() {
        let why = "a generic struct cannot be in a pool: a type has one number, one name and one layout; \
                   write one struct for each type you store";
        problems.under(&input.generics.params, why);
    }
}

fn check_not_empty(input: &DeriveInput, fields: &Fields, problems: &mut Problems) {
    if fields.is_empty() {
        problems.under(&input.ident, "a struct without fields has nothing to store: give it a field");
    }
}

fn check_repr(input: &DeriveInput, problems: &mut Problems) {
    let mut fixed = false;
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("repr")) {
        match parse_repr(attr) {
            Ok(reprs) => {
                fixed |= reprs.iter().any(|r| r.path().is_ident("C") || r.path().is_ident("transparent"))
            }
            Err(error) => problems.push(error),
        }
    }
    if !fixed {
        let why = "without `#[repr(C)]` each build may order the fields differently: write `#[repr(C)]` above \
                   the struct";
        problems.under(&input.ident, why);
    }
}

fn parse_repr(attr: &Attribute) -> syn::Result<Punctuated<Meta, Token![,]>> {
    attr.parse_args_with(Punctuated::parse_terminated)
}
