//! Generates the code of the derives.

use crate::problems::Problems;
use crate::type_name::type_name;
use crate::{args, shape};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Ident, Index, Member, Path};

/// Expands `#[derive(PoolObject)]`.
pub(crate) fn pool_object(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let fields = shape::fields(input, &mut problems);
    let args = args::parse(input, &mut problems);
    args::refuse_on_fields(fields.as_deref().unwrap_or_default(), &mut problems);
    let (fields, args) = problems.unless_any(fields.zip(args))?;

    let ident = &input.ident;
    let args::Args { id, name, keyed, krate } = args;
    let (schema, dense) = (schema_impl(&krate, ident, &fields), dense(ident, &fields));
    Ok(quote! {
        #schema
        #dense

        #[automatically_derived]
        impl #krate::PoolObject for #ident {
            const TYPE_ID: u16 = #id;
            const NAME: &'static str = #name;
            const KEYED: bool = #keyed;
        }

        const _: () = #krate::object::admit::<#ident>();
    })
}

/// Expands `#[derive(Schema)]`.
pub(crate) fn schema(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let fields = shape::fields(input, &mut problems);
    let krate = args::parse_part(input, &mut problems);
    let (fields, krate) = problems.unless_any(fields.zip(krate))?;
    Ok(schema_impl(&krate, &input.ident, &fields))
}

fn schema_impl(krate: &Path, ident: &Ident, fields: &[&Field]) -> TokenStream {
    let fields = fields.iter().enumerate().map(|(at, field)| field_value(krate, at, field));
    quote! {
        #[automatically_derived]
        impl #krate::object::Schema for #ident {
            const FINGERPRINT: u64 = #krate::object::Fingerprint::of_struct(
                <Self as #krate::object::Schema>::FIELDS,
                ::core::mem::size_of::<Self>(),
            );
            const FIELDS: &'static [#krate::object::Field] = &[#(#fields),*];
        }
    }
}

/// Returns how to access a field, and its name.
fn member(at: usize, field: &Field) -> (Member, String) {
    match &field.ident {
        Some(ident) => (Member::Named(ident.clone()), ident.unraw().to_string()),
        None => (Member::Unnamed(Index::from(at)), at.to_string()),
    }
}

/// Generates assertions that fail to compile at a field that is followed by padding.
fn dense(ident: &Ident, fields: &[&Field]) -> TokenStream {
    let checks = fields.iter().enumerate().map(|(at, field)| {
        let ((here, name), ty) = (member(at, field), &field.ty);
        let (end, before) = match fields.get(at + 1) {
            Some(next) => {
                let (next, other) = member(at + 1, next);
                (quote!(::core::mem::offset_of!(#ident, #next)), format!("and `{other}`"))
            }
            None => (quote!(::core::mem::size_of::<#ident>()), "and the end of the struct".into()),
        };
        let why = format!(
            "padding between `{name}` {before}: every byte of an object must belong to a field; order the fields by \
             alignment, or add a field such as `_pad: [u8; 4]` there"
        );
        quote_spanned! {field.span()=>
            const _: () = ::core::assert!(
                ::core::mem::offset_of!(#ident, #here) + ::core::mem::size_of::<#ty>() == #end,
                #why
            );
        }
    });
    quote!(#(#checks)*)
}

fn field_value(krate: &Path, at: usize, field: &Field) -> TokenStream {
    let (member, name) = member(at, field);
    let (ty, written) = (&field.ty, type_name(&field.ty));
    // With the type's span, an error about a type without a schema points at the user's own line.
    let desc = quote_spanned! {ty.span()=> #krate::object::TypeDesc::of::<#ty>(#written) };
    quote! {
        #krate::object::Field {
            name: #name,
            desc: #desc,
            offset: ::core::mem::offset_of!(Self, #member),
        }
    }
}
