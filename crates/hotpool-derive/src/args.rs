//! Parses `#[pool(..)]`.

use crate::meta::{former, key_of, literal, place, pool_attributes};
use crate::problems::Problems;
use crate::snake::snake_case;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{DeriveInput, Ident, Lit, Meta, Path, Token};

/// Copy of `hotpool::limits::MAX_TYPE_ID`; the generated code compares the number again.
const MAX_ID: u16 = 1023;
/// Copy of `hotpool::limits::MAX_TYPE_NAME`; the generated code compares the name again.
const MAX_NAME: usize = 47;

const WRITE_ID: &str =
    "write `#[pool(id = 7)]` with a number from 1 to 1023 that no other type of the pool has";
const WRITE_NAME: &str = "write `name = \"player\"` with 1 to 47 of `a-z`, `0-9` and `_`";

/// The validated keys of `#[pool(..)]`.
pub(crate) struct Args {
    pub(crate) id: u16,
    pub(crate) name: String,
    pub(crate) keyed: bool,
    /// Names of the fields that are gone.
    pub(crate) removed: Vec<String>,
    /// The path of the `hotpool` crate.
    pub(crate) krate: Path,
}

/// The keys that the attributes have, before it is checked that they are complete.
#[derive(Default)]
struct Said {
    id: Option<Meta>,
    name: Option<Meta>,
    keyed: Option<Meta>,
    krate: Option<Meta>,
    removed: Vec<String>,
}

/// The validated keys of the `#[pool(..)]` of a type for fields.
pub(crate) struct PartArgs {
    /// Names of the fields or variants that are gone.
    pub(crate) removed: Vec<String>,
    /// The path of the `hotpool` crate.
    pub(crate) krate: Path,
}

/// Parses the `#[pool(..)]` of a struct; several attributes are read as one.
pub(crate) fn parse(input: &DeriveInput, problems: &mut Problems) -> Option<Args> {
    let said = Said::by(input, problems);
    // All of them are parsed before the first `?`, so that each reports its problem.
    let id = id(said.id.as_ref(), &input.ident, problems);
    let name = name(said.name.as_ref(), &input.ident, problems);
    let keyed = keyed(said.keyed.as_ref(), problems);
    let krate = krate(said.krate.as_ref(), problems);
    Some(Args { id: id?, name: name?, keyed: keyed?, removed: said.removed, krate: krate? })
}

/// Parses the `#[pool(..)]` of a nested struct, in which `removed` and the path of the crate count.
pub(crate) fn parse_part(input: &DeriveInput, problems: &mut Problems) -> Option<PartArgs> {
    // If the struct derives `PoolObject`, too, the compiler reports the duplicate schema.
    let said = Said::by(input, problems);
    let krate = krate(said.krate.as_ref(), problems)?;
    Some(PartArgs { removed: said.removed, krate })
}

impl Said {
    /// Reads all attributes of a struct as one.
    fn by(input: &DeriveInput, problems: &mut Problems) -> Self {
        let mut said = Said::default();
        for attr in pool_attributes(&input.attrs) {
            match attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) {
                Ok(metas) => metas.into_iter().for_each(|meta| said.take(meta, problems)),
                Err(error) => problems.push(error),
            }
        }
        said
    }

    fn take(&mut self, meta: Meta, problems: &mut Problems) {
        let key = key_of(meta.path());
        let entry = match key.as_str() {
            "id" => &mut self.id,
            "name" => &mut self.name,
            "keyed" => &mut self.keyed,
            "crate" => &mut self.krate,
            "removed" => return self.removed.extend(former(&meta, problems)),
            _ => {
                let known = "the keys are `id = 7`, `name = \"player\"`, `keyed`, `removed = \"..\"` and `crate = \"..\"`";
                return problems
                    .under(meta.path(), format_args!("`#[pool(..)]` has no key `{key}`: {known}"));
            }
        };
        if entry.is_some() {
            return problems.under(meta.path(), format_args!("`{key}` is given twice: remove one"));
        }
        *entry = Some(meta);
    }
}

fn id(said: Option<&Meta>, ident: &Ident, problems: &mut Problems) -> Option<u16> {
    let Some(meta) = said else {
        problems.under(ident, format_args!("a type of a pool needs a number that never changes: {WRITE_ID}"));
        return None;
    };
    let Some(Lit::Int(number)) = literal(meta) else {
        problems.at(place(meta), format_args!("an id is a number in digits: {WRITE_ID}"));
        return None;
    };
    let id = number.base10_parse::<u16>().ok().filter(|id| (1..=MAX_ID).contains(id));
    if id.is_none() {
        problems.under(number, format_args!("{number} cannot be an id: {WRITE_ID}"));
    }
    id
}

fn name(said: Option<&Meta>, ident: &Ident, problems: &mut Problems) -> Option<String> {
    let Some(meta) = said else {
        let name = snake_case(&ident.unraw().to_string());
        return checked_name(name, ident.span(), problems);
    };
    let Some(Lit::Str(text)) = literal(meta) else {
        problems.at(place(meta), format_args!("a name is a string in quotes: {WRITE_NAME}"));
        return None;
    };
    checked_name(text.value(), text.span(), problems)
}

fn checked_name(name: String, span: Span, problems: &mut Problems) -> Option<String> {
    let plain = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if plain && (1..=MAX_NAME).contains(&name.len()) {
        return Some(name);
    }
    problems.at(span, format_args!("`{name}` cannot be the name of a type: {WRITE_NAME}"));
    None
}

fn keyed(said: Option<&Meta>, problems: &mut Problems) -> Option<bool> {
    match said {
        None => Some(false),
        Some(Meta::Path(_)) => Some(true),
        Some(meta) => {
            problems.under(meta, "`keyed` has no value: write `keyed`, or nothing");
            None
        }
    }
}

/// Returns the path of the crate in the generated code: `::hotpool`, unless the program has renamed
/// it.
fn krate(said: Option<&Meta>, problems: &mut Problems) -> Option<Path> {
    let Some(meta) = said else { return Some(syn::parse_quote!(::hotpool)) };
    let path = match literal(meta) {
        Some(Lit::Str(text)) => text.parse_with(Path::parse_mod_style).ok(),
        _ => None,
    };
    if path.is_none() {
        let why = "a crate is a path in quotes: write `crate = \"pool\"` if Cargo.toml has `pool = { package = \"hotpool\", .. }`";
        problems.at(place(meta), why);
    }
    path
}
