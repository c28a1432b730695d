//! Parses `#[pool(..)]` of a field and of a variant.

use crate::meta::{former, key_of, literal, pool_attributes};
use crate::problems::Problems;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Field, Ident, Lit, Meta, MetaList, MetaNameValue, Path, Token, Type, Variant};

/// What has a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// The struct of an object.
    Object,
    /// A struct or variant inside objects.
    Part,
}

/// The keys of `#[pool(..)]` of a field.
#[derive(Default)]
pub(crate) struct FieldArgs {
    pub(crate) transient: bool,
    /// The field refers to the owner of the object.
    pub(crate) owner: bool,
    /// The field is the time by which objects are ordered.
    pub(crate) time: bool,
    /// The type as which a type of another crate is stored.
    stored_as: Option<Type>,
    /// The value for objects without the field; `None` inside is that of `Default`.
    default: Option<Option<Expr>>,
    /// Former names, and before each the field inside this one that it is for.
    was: Vec<(Option<String>, String)>,
    /// `Bits` or `Sorted`, for the collections of hotpool.
    special: Option<&'static str>,
}

const KEYS: &str = "the keys of a field are `owner`, `time`, `as = \"..\"`, `transient`, `default`, `default = ..` and \
                    `was = \"..\"`; \
                    all others belong above the struct";
const WRITE_WAS: &str = "write `was = \"hp\"` with the name that the stored objects have; for a field inside \
                         another `was = \"pos.x\"`";

impl FieldArgs {
    pub(crate) fn parse(field: &Field, within: Within, problems: &mut Problems) -> Self {
        let mut found = FieldArgs::default();
        for attr in pool_attributes(&field.attrs) {
            match metas(attr) {
                Ok(metas) => metas.into_iter().for_each(|meta| found.take(meta, within, problems)),
                Err(error) => problems.push(error),
            }
        }
        let own = field.ident.as_ref().map(|ident| ident.unraw().to_string());
        if let Some(own) =
            own.filter(|own| found.was.iter().any(|(inner, was)| inner.is_none() && was == own))
        {
            problems.under(field, format_args!("`{own}` has this name still: `was` gives a former one"));
        }
        if found.transient && (found.default.is_some() || !found.was.is_empty()) {
            let why = "a transient field always gets its `Default`: remove the other keys";
            problems.under(field, why);
        }
        if found.transient && (found.owner || found.time) {
            let why = "a start resets a transient field: remove `transient`";
            problems.under(field, why);
        }
        found
    }

    fn take(&mut self, meta: Meta, within: Within, problems: &mut Problems) {
        match (key_of(meta.path()).as_str(), &meta) {
            ("transient", Meta::Path(_)) if within == Within::Object => self.transient = true,
            ("as", _) => self.stored_as = stored_as(&meta, problems),
            ("owner", Meta::Path(_)) if within == Within::Object => self.owner = true,
            ("time", Meta::Path(_)) if within == Within::Object => self.time = true,
            (key @ ("owner" | "time"), _) => {
                let why = "applies to a field of an object alone, and has no value";
                problems.under(&meta, format_args!("`{key}` {why}"));
            }
            ("transient", Meta::Path(_)) => {
                let why = "`transient` applies to the fields of an object alone: write it there";
                problems.under(&meta, why);
            }
            ("default", Meta::Path(_) | Meta::NameValue(_)) if self.default.is_some() => {
                problems.under(&meta, "`default` is given twice: remove one");
            }
            ("default", Meta::Path(_)) => self.default = Some(None),
            ("default", Meta::NameValue(pair)) => self.default = Some(Some(pair.value.clone())),
            ("was", Meta::NameValue(_)) => self.was.extend(former(&meta, problems).map(|was| (None, was))),
            ("was", Meta::List(list)) => self.take_inner(list, problems),
            ("bits", Meta::Path(_)) => self.special = Some("Bits"),
            ("sorted", Meta::Path(_)) => self.special = Some("Sorted"),
            ("was", _) => problems.under(&meta, WRITE_WAS),
            ("default", _) => problems.under(&meta, "write `default` or `default = 7`"),
            (key, _) => {
                problems.under(meta.path(), format_args!("`#[pool(..)]` of a field has no `{key}`: {KEYS}"));
            }
        }
    }

    /// Takes `was(x = "px", y = "py")`.
    fn take_inner(&mut self, list: &MetaList, problems: &mut Problems) {
        match list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) {
            Ok(metas) => {
                for meta in metas {
                    let inner = key_of(meta.path());
                    self.was.extend(former(&meta, problems).map(|was| (Some(inner), was)));
                }
            }
            Err(error) => problems.push(error),
        }
    }

    /// Generates the `Change`s of a field with this name and type.
    pub(crate) fn changes(&self, krate: &Path, name: &str, field: &Field) -> Vec<TokenStream> {
        let ty = &field.ty;
        let write = match self.stored_as {
            Some(_) => quote!(write_foreign),
            None => quote!(write_value),
        };
        let writer = |value: TokenStream| {
            quote_spanned! {ty.span()=> |bytes: &mut [u8]| #krate::object::#write::<#ty>(#value, bytes) }
        };
        let standard = || quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default());
        let mut found = Vec::new();
        if self.transient {
            let writer = writer(standard());
            found.push(change(krate, name, quote!(Transient(#writer))));
        }
        if let Some(value) = &self.default {
            let writer = writer(value.as_ref().map_or_else(standard, |value| quote!(#value)));
            found.push(change(krate, name, quote!(Default(#writer))));
        }
        for (inner, was) in &self.was {
            let name = inner.as_ref().map_or(name.to_owned(), |inner| format!("{name}.{inner}"));
            found.push(change(krate, &name, quote!(Was(#was))));
        }
        if let Some(special) = self.special {
            let special = quote::format_ident!("{special}");
            found.push(change(krate, name, quote!(#special)));
        }
        found
    }
}

/// Returns the type in `as = "[f32; 3]"`.
fn stored_as(meta: &Meta, problems: &mut Problems) -> Option<Type> {
    let ty = match literal(meta) {
        Some(Lit::Str(text)) => text.parse::<Type>().ok(),
        _ => None,
    };
    if ty.is_none() {
        let why = "`as` is followed by a type in quotes, which has the same bytes: write `as = \"[f32; 3]\"`";
        problems.under(meta, why);
    }
    ty
}

/// Returns the type as which a field is stored, if it is that of another crate. What is wrong with
/// its attributes is reported elsewhere.
pub(crate) fn type_in_segments(field: &Field) -> Option<Type> {
    FieldArgs::parse(field, Within::Object, &mut Problems::default()).stored_as
}

/// Generates the `Change`s of a variant: those of the enum, and those of its own fields.
pub(crate) fn of_variant(
    krate: &Path,
    variant: &Variant,
    problems: &mut Problems,
) -> (Vec<TokenStream>, Vec<TokenStream>) {
    let (mut outer, mut inner) = (Vec::new(), Vec::new());
    let name = variant.ident.unraw().to_string();
    for attr in pool_attributes(&variant.attrs) {
        let metas = metas(attr).unwrap_or_else(|error| {
            problems.push(error);
            Punctuated::new()
        });
        for meta in metas {
            match key_of(meta.path()).as_str() {
                "was" => {
                    let was = former(&meta, problems);
                    outer.extend(was.map(|was| change(krate, &name, quote!(Was(#was)))));
                }
                "removed" => {
                    let removed = former(&meta, problems);
                    inner.extend(removed.map(|removed| change(krate, &removed, quote!(Removed))));
                }
                key => {
                    let why = "a variant has `was = \"..\"`, or `removed = \"..\"` for one of its fields";
                    problems.under(meta.path(), format_args!("`{key}` does not apply to a variant: {why}"));
                }
            }
        }
    }
    (outer, inner)
}

/// Generates one `Change`.
pub(crate) fn change(krate: &Path, field: &str, how: TokenStream) -> TokenStream {
    quote!(#krate::object::Change { field: #field, how: #krate::object::How::#how })
}

fn metas(attr: &Attribute) -> syn::Result<Punctuated<Meta, Token![,]>> {
    attr.parse_args_with(|input: ParseStream<'_>| Punctuated::parse_terminated_with(input, meta))
}

/// Parses one key. `as` is a word of the language, which syn does not take for a key.
fn meta(input: ParseStream<'_>) -> syn::Result<Meta> {
    if !input.peek(Token![as]) {
        return input.parse();
    }
    let key = input.call(Ident::parse_any)?;
    let (eq_token, value) = (input.parse()?, input.parse()?);
    Ok(Meta::NameValue(MetaNameValue { path: key.into(), eq_token, value }))
}
