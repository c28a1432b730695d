//! Expands `#[derive(Place)]`.

use crate::problems::Problems;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, LitStr, Path};

/// What `#[place(..)]` says of a field.
enum How {
    /// It has a field of the same name in the form.
    Same,
    /// It has none.
    Skipped,
    /// It is a list, whose number of elements is in this field of the form.
    List(Ident),
}

/// Expands `#[derive(Place)]`.
pub(crate) fn place(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let fields = named_fields(input, &mut problems);
    let form_and_crate = form(input, &mut problems);
    let fields: Option<Vec<_>> =
        fields.map(|fields| fields.into_iter().filter_map(|field| how(field, &mut problems)).collect());
    let (fields, (form, krate)) = problems.unless_any(fields.zip(form_and_crate))?;

    let ident = &input.ident;
    let fits = fields.iter().map(|(field, how)| fits(&krate, &form, field, how));
    let writes = fields.iter().map(|(field, how)| write(&krate, field, how));
    let reads = fields.iter().map(|(field, how)| read(&krate, field, how));
    let (generics, ty_generics, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #krate::object::Place<#form> for #ident #ty_generics #bounds {
            fn fits(&self) -> ::core::result::Result<(), #krate::object::DoesNotFit> {
                #(#fits)*
                ::core::result::Result::Ok(())
            }

            fn write(&self, form: &mut #form) {
                #(#writes)*
            }

            fn read(form: &#form) -> ::core::result::Result<Self, #krate::object::NotReadable> {
                ::core::result::Result::Ok(#ident { #(#reads),* })
            }
        }
    })
}

fn named_fields<'a>(input: &'a DeriveInput, problems: &mut Problems) -> Option<Vec<&'a Field>> {
    if let Data::Struct(data) = &input.data
        && let Fields::Named(fields) = &data.fields
    {
        return Some(fields.named.iter().collect());
    }
    problems.under(&input.ident, "`Place` needs a struct with named fields: its form has them by name");
    None
}

fn place_attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("place"))
}

/// Reads the `#[place(..)]` of the struct.
fn form(input: &DeriveInput, problems: &mut Problems) -> Option<(Path, Path)> {
    let (mut form, mut krate) = (None, syn::parse_quote!(::hotpool));
    for attr in place_attributes(&input.attrs) {
        let read = |meta: ParseNestedMeta<'_>| {
            if meta.path.is_ident("form") {
                form = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("crate") {
                krate = meta.value()?.parse::<LitStr>()?.parse_with(Path::parse_mod_style)?;
            } else {
                return Err(meta.error("the keys are `form = HeroForm` and `crate = \"..\"`"));
            }
            Ok(())
        };
        if let Err(error) = attr.parse_nested_meta(read) {
            problems.push(error);
        }
    }
    if form.is_none() {
        problems.under(
            &input.ident,
            "`Place` needs the form: write `#[place(form = HeroForm)]` above the struct",
        );
    }
    Some((form?, krate))
}

/// Reads the `#[place(..)]` of a field.
fn how<'a>(field: &'a Field, problems: &mut Problems) -> Option<(&'a Ident, How)> {
    let mut how = How::Same;
    for attr in place_attributes(&field.attrs) {
        let read = |meta: ParseNestedMeta<'_>| {
            if meta.path.is_ident("skip") {
                how = How::Skipped;
            } else if meta.path.is_ident("count") {
                how = How::List(meta.value()?.parse()?);
            } else {
                return Err(meta.error("the keys of a field are `skip` and `count = bag_len`"));
            }
            Ok(())
        };
        if let Err(error) = attr.parse_nested_meta(read) {
            problems.push(error);
        }
    }
    Some((field.ident.as_ref()?, how))
}

fn fits(krate: &Path, form: &Path, field: &Ident, how: &How) -> TokenStream {
    let name = field.unraw().to_string();
    let function = match how {
        How::Skipped => return TokenStream::new(),
        How::Same => quote!(part_fits),
        How::List(_) => quote!(list_fits),
    };
    quote! {
        #krate::object::#function(&self.#field, |form: &#form| &form.#field).map_err(|error| error.of(#name))?;
    }
}

fn write(krate: &Path, field: &Ident, how: &How) -> TokenStream {
    match how {
        How::Skipped => TokenStream::new(),
        How::Same => quote!(#krate::object::Place::write(&self.#field, &mut form.#field);),
        How::List(count) => {
            quote!(form.#count = #krate::object::write_list(&self.#field, &mut form.#field);)
        }
    }
}

fn read(krate: &Path, field: &Ident, how: &How) -> TokenStream {
    let name = field.unraw().to_string();
    let value = match how {
        How::Skipped => return quote!(#field: ::core::default::Default::default()),
        How::Same => quote!(#krate::object::Place::read(&form.#field)),
        How::List(count) => quote!(#krate::object::read_list(&form.#field, form.#count)),
    };
    quote!(#field: #value.map_err(|error| error.of(#name))?)
}
