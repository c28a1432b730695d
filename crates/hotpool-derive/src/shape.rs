//! Checks that a type has a layout that every build agrees on.

use crate::problems::Problems;
use proc_macro2::Ident;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Expr, ExprLit, ExprUnary, Field, Fields, Lit, Meta, Token, UnOp,
    Variant,
};

/// The parts of a type with a fixed layout.
pub(crate) enum Shape<'a> {
    /// A struct with these fields.
    Struct(Vec<&'a Field>),
    /// An enum.
    Enum(Enum<'a>),
}

/// An enum with a fixed representation.
pub(crate) struct Enum<'a> {
    /// The integer type of its tag.
    pub(crate) tag: Ident,
    /// Whether the payload is a union after the tag (`#[repr(C, u8)]`), instead of a struct with the
    /// tag for each variant (`#[repr(u8)]`).
    pub(crate) has_c: bool,
    pub(crate) variants: Vec<(&'a Variant, u64)>,
}

/// Checks that `input` has a fixed layout, and returns its parts. `is_object` if it is the type of a
/// pool itself, and not of a field.
pub(crate) fn shape<'a>(
    input: &'a DeriveInput,
    is_object: bool,
    problems: &mut Problems,
) -> Option<Shape<'a>> {
    check_generics(input, is_object, problems);
    match &input.data {
        Data::Struct(data) => {
            check_repr(input, problems);
            check_not_empty(input, &data.fields, problems);
            Some(Shape::Struct(data.fields.iter().collect()))
        }
        Data::Enum(data) => enumeration(input, data, problems).map(Shape::Enum),
        Data::Union(data) => {
            let why = "a union cannot be in a pool: a later build could not tell which of its fields is \
                       stored; write an enum";
            problems.at(data.union_token.span, why);
            None
        }
    }
}

fn check_generics(input: &DeriveInput, is_object: bool, problems: &mut Problems) {
    let generics = &input.generics;
    if is_object && !generics.params.is_empty() {
        let why = "a generic type cannot be in a pool: a type has one number, one name and one layout; \
                   write one struct for each type you store, with the generic one as a field";
        problems.under(&generics.params, why);
    } else if let Some(lifetime) = generics.lifetimes().next() {
        let why = "a type with a lifetime cannot be in a pool: references mean nothing to the next process";
        problems.under(lifetime, why);
    }
}

fn check_not_empty(input: &DeriveInput, fields: &Fields, problems: &mut Problems) {
    if fields.is_empty() {
        problems.under(&input.ident, "a struct without fields has nothing to store: give it a field");
    }
}

fn check_repr(input: &DeriveInput, problems: &mut Problems) {
    let fixed =
        reprs(input, problems).iter().any(|r| r.path().is_ident("C") || r.path().is_ident("transparent"));
    if !fixed {
        let why = "without `#[repr(C)]` each build may order the fields differently: write `#[repr(C)]` above \
                   the struct";
        problems.under(&input.ident, why);
    }
}

fn reprs(input: &DeriveInput, problems: &mut Problems) -> Vec<Meta> {
    let mut found = Vec::new();
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("repr")) {
        match parse_repr(attr) {
            Ok(reprs) => found.extend(reprs),
            Err(error) => problems.push(error),
        }
    }
    found
}

fn parse_repr(attr: &Attribute) -> syn::Result<Punctuated<Meta, Token![,]>> {
    attr.parse_args_with(Punctuated::parse_terminated)
}

/// The integers that a tag can be, with their bits.
const TAGS: [(&str, u32); 8] =
    [("u8", 8), ("u16", 16), ("u32", 32), ("u64", 64), ("i8", 8), ("i16", 16), ("i32", 32), ("i64", 64)];

fn enumeration<'a>(input: &DeriveInput, data: &'a DataEnum, problems: &mut Problems) -> Option<Enum<'a>> {
    let (mut tag, mut has_c) = (None, false);
    for repr in reprs(input, problems) {
        let word = repr.path().get_ident().cloned();
        let bits = word.as_ref().and_then(|word| TAGS.iter().find(|(name, _)| word == name));
        match (bits, word) {
            (Some((_, bits)), Some(word)) => tag = Some((word, *bits)),
            (_, Some(word)) if word == "C" => has_c = true,
            _ => problems
                .under(&repr, "an enum in a pool has `#[repr(u8)]`, `#[repr(C, u8)]` or another integer"),
        }
    }
    if data.variants.is_empty() {
        problems.under(&input.ident, "an enum without variants has no value: give it a variant");
    }
    let Some((tag, bits)) = tag else {
        let why = "without an integer each build may number the variants differently: write `#[repr(u8)]` above \
                   the enum";
        problems.under(&input.ident, why);
        return None;
    };
    Some(Enum { tag, has_c, variants: numbered(data, bits, problems)? })
}

/// Returns the variants with the bits of their tags.
fn numbered<'a>(data: &'a DataEnum, bits: u32, problems: &mut Problems) -> Option<Vec<(&'a Variant, u64)>> {
    let mut next = 0i128;
    let mut found = Vec::new();
    for variant in &data.variants {
        if let Some((_, value)) = &variant.discriminant {
            let Some(value) = number(value) else {
                let why = "write the number itself: it is stored in segments, and never changes";
                problems.under(value, why);
                return None;
            };
            next = value;
        }
        found.push((variant, (next as u64) & (u64::MAX >> (64 - bits))));
        next += 1;
    }
    Some(found)
}

/// Returns the value of an integer literal, which may be negative or come from a `macro_rules`
/// variable.
fn number(value: &Expr) -> Option<i128> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Byte(byte), .. }) => Some(byte.value().into()),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => Some(-number(expr)?),
        Expr::Group(group) => number(&group.expr),
        Expr::Paren(paren) => number(&paren.expr),
        _ => None,
    }
}
