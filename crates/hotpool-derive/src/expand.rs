//! The code that the derives write.

use crate::problems::Problems;
use crate::type_name::type_name;
use crate::{args, shape};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Ident, Index, Member};

/// `#[derive(PoolObject)]`.
pub(crate) fn pool_object(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let fields = shape::fields(input, &mut problems);
    let args = args::parse(input, &mut problems);
    args::refuse_on_fields(fields.as_deref().unwrap_or_default(), &mut problems);
    let (fields, args) = problems.unless_any(fields.zip(args))?;

    let ident = &input.ident;
    let schema = schema_impl(ident, &fields);
    let args::Args { id, name, keyed } = args;
    Ok(quote! {
        #schema

        #[automatically_derived]
        impl ::hotpool::PoolObject for #ident {
            const TYPE_ID: u16 = #id;
            const NAME: &'static str = #name;
            const KEYED: bool = #keyed;
        }

        const _: () = ::hotpool::object::admit::<#ident>();
    })
}

/// `#[derive(Schema)]`.
pub(crate) fn schema(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let fields = shape::fields(input, &mut problems);
    let fields = problems.unless_any(fields)?;
    Ok(schema_impl(&input.ident, &fields))
}

fn schema_impl(ident: &Ident, fields: &[&Field]) -> TokenStream {
    let fields = fields.iter().enumerate().map(|(at, field)| field_value(at, field));
    quote! {
        #[automatically_derived]
        impl ::hotpool::object::Schema for #ident {
            const FINGERPRINT: u64 = ::hotpool::object::Fingerprint::of_struct(
                <Self as ::hotpool::object::Schema>::FIELDS,
                ::core::mem::size_of::<Self>(),
            );
            const FIELDS: &'static [::hotpool::object::Field] = &[#(#fields),*];
        }
    }
}

fn field_value(at: usize, field: &Field) -> TokenStream {
    let (member, name) = match &field.ident {
        Some(ident) => (Member::Named(ident.clone()), ident.unraw().to_string()),
        None => (Member::Unnamed(Index::from(at)), at.to_string()),
    };
    let (ty, written) = (&field.ty, type_name(&field.ty));
    // The span is the type's, so that a type without a schema is marked in the user's own line.
    let desc = quote_spanned! {ty.span()=> ::hotpool::object::TypeDesc::of::<#ty>(#written) };
    quote! {
        ::hotpool::object::Field {
            name: #name,
            desc: #desc,
            offset: ::core::mem::offset_of!(Self, #member),
        }
    }
}
