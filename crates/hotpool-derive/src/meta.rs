//! The pieces of which `#[pool(..)]` consists: keys, literals and names.

use crate::problems::Problems;
use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Path};

/// Returns the attributes `#[pool(..)]`.
pub(crate) fn pool_attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("pool"))
}

/// Returns the word before `=`.
pub(crate) fn key_of(path: &Path) -> String {
    path.get_ident().map_or_else(|| path.to_token_stream().to_string(), Ident::to_string)
}

/// Returns the name in `was = ".."` or `removed = ".."`: names with dots between them.
pub(crate) fn former(meta: &Meta, problems: &mut Problems) -> Option<String> {
    let key = key_of(meta.path());
    let Some(Lit::Str(text)) = literal(meta) else {
        let why = format!("`{key}` is followed by a name in quotes: write `{key} = \"hp\"`");
        problems.at(place(meta), why);
        return None;
    };
    let name = text.value();
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|char| char.is_alphanumeric() || char == '_');
    if name.split('.').all(is_word) {
        return Some(name);
    }
    problems
        .under(text, format_args!("`{name}` is no name of a field: write `{key} = \"hp\"`, or `\"pos.x\"`"));
    None
}

/// Returns the literal after `key =`, including one that a `macro_rules` variable stands for.
pub(crate) fn literal(meta: &Meta) -> Option<&Lit> {
    let Meta::NameValue(pair) = meta else { return None };
    let mut value = &pair.value;
    loop {
        match value {
            Expr::Lit(ExprLit { lit, .. }) => return Some(lit),
            Expr::Group(group) => value = &group.expr,
            Expr::Paren(paren) => value = &paren.expr,
            _ => return None,
        }
    }
}

/// Returns the span of the value, or of the key if it has none.
pub(crate) fn place(meta: &Meta) -> Span {
    match meta {
        Meta::NameValue(pair) => pair.value.span(),
        other => other.span(),
    }
}
