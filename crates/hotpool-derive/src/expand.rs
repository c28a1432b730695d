//! Generates the code of the derives.

use crate::args;
use crate::problems::Problems;
use crate::shape::{Enum, Shape, shape};
use crate::type_name::type_name;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Generics, Index, Member, Path, Variant, parse_quote};

/// Expands `#[derive(PoolObject)]`.
pub(crate) fn pool_object(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let shape = shape(input, true, &mut problems);
    let args = args::parse(input, &mut problems);
    let transient = transient(shape.as_ref(), &mut problems);
    let (shape, args) = problems.unless_any(shape.zip(args))?;

    let ident = &input.ident;
    let args::Args { id, name, keyed, krate } = args;
    let schema = schema_impl(&krate, input, &shape);
    let reset = reset(&transient);
    Ok(quote! {
        #schema

        #[automatically_derived]
        impl #krate::PoolObject for #ident {
            const TYPE_ID: u16 = #id;
            const NAME: &'static str = #name;
            const KEYED: bool = #keyed;
            #reset
        }

        const _: () = #krate::object::admit::<#ident>();
    })
}

/// Expands `#[derive(Schema)]`.
pub(crate) fn schema(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let shape = shape(input, false, &mut problems);
    let fields = shape.as_ref().map(Shape::fields).unwrap_or_default();
    args::refuse_on_fields(&fields, &mut problems);
    let krate = args::parse_part(input, &mut problems);
    let (shape, krate) = problems.unless_any(shape.zip(krate))?;
    Ok(schema_impl(&krate, input, &shape))
}

/// Returns the transient fields of an object.
fn transient(shape: Option<&Shape<'_>>, problems: &mut Problems) -> Vec<Member> {
    let Some(Shape::Struct(fields)) = shape else {
        args::refuse_on_fields(&shape.map(Shape::fields).unwrap_or_default(), problems);
        return Vec::new();
    };
    let marked = fields.iter().enumerate().filter(|(_, field)| args::is_transient(field, problems));
    marked.map(|(at, field)| member(at, field).0).collect()
}

/// Generates the reset of the transient fields.
fn reset(fields: &[Member]) -> TokenStream {
    if fields.is_empty() {
        return TokenStream::new();
    }
    quote! {
        const HAS_TRANSIENT: bool = true;

        fn reset_transient(&mut self) {
            #(self.#fields = ::core::default::Default::default();)*
        }
    }
}

/// Generates the impls of `Schema` and `Stored`.
fn schema_impl(krate: &Path, input: &DeriveInput, shape: &Shape<'_>) -> TokenStream {
    let ident = &input.ident;
    let generics = with_bounds(krate, input.generics.clone());
    let (generics, ty_generics, bounds) = generics.split_for_impl();
    let Parts { fields, fingerprint, rule } = match shape {
        Shape::Struct(fields) => of_struct(krate, fields),
        Shape::Enum(found) => of_enum(krate, found),
    };
    quote! {
        #[automatically_derived]
        impl #generics #krate::object::Schema for #ident #ty_generics #bounds {
            const FINGERPRINT: u64 = #fingerprint;
            const FIELDS: &'static [#krate::object::Field] = #fields;
        }

        // SAFETY: the representation fixes the layout, `offset_of` or the rules of `repr(C)` give the
        // offsets, and every field is `Stored`.
        #[automatically_derived]
        unsafe impl #generics #krate::object::Stored for #ident #ty_generics #bounds {
            const RULE: &'static #krate::object::Rule = #rule;
        }
    }
}

/// Requires a schema of every type parameter.
fn with_bounds(krate: &Path, mut generics: Generics) -> Generics {
    for param in generics.type_params_mut() {
        param.default = None;
        param.bounds.push(parse_quote!(#krate::object::Schema));
    }
    generics
}

/// The constants of a type, as expressions.
struct Parts {
    fields: TokenStream,
    fingerprint: TokenStream,
    rule: TokenStream,
}

fn of_struct(krate: &Path, fields: &[&Field]) -> Parts {
    let fields = fields.iter().enumerate().map(|(at, field)| {
        let (member, _) = member(at, field);
        field_value(krate, at, field, quote!(::core::mem::offset_of!(Self, #member)))
    });
    Parts {
        fields: quote!(&[#(#fields),*]),
        fingerprint: quote! {
            #krate::object::Fingerprint::of_struct(
                <Self as #krate::object::Schema>::FIELDS,
                ::core::mem::size_of::<Self>(),
            )
        },
        rule: quote! {
            &#krate::object::Rule::of_struct(
                ::core::mem::size_of::<Self>(),
                <Self as #krate::object::Schema>::FIELDS,
            )
        },
    }
}

fn of_enum(krate: &Path, found: &Enum<'_>) -> Parts {
    let Enum { tag, variants, .. } = found;
    let values = variants.iter().map(|(_, value)| value);
    let fields = variants.iter().map(|(variant, value)| variant_value(krate, found, variant, *value));
    Parts {
        fields: quote!(&[#(#fields),*]),
        fingerprint: quote! {
            #krate::object::Fingerprint::of_enum(
                <Self as #krate::object::Schema>::FIELDS,
                ::core::mem::size_of::<Self>(),
                ::core::mem::size_of::<#tag>(),
            )
        },
        rule: quote! {
            &#krate::object::Rule::of_enum(
                ::core::mem::size_of::<Self>(),
                ::core::mem::size_of::<#tag>(),
                const { &[#(#values),*] },
                <Self as #krate::object::Schema>::FIELDS,
            )
        },
    }
}

fn variant_value(krate: &Path, of: &Enum<'_>, variant: &Variant, value: u64) -> TokenStream {
    let (name, numbered) = (variant.ident.unraw().to_string(), format!("variant {value}"));
    let tag = &of.tag;
    let layout = |ty: TokenStream| quote!((::core::mem::size_of::<#ty>(), ::core::mem::align_of::<#ty>()));
    let mut layouts: Vec<_> =
        variant.fields.iter().map(|field| &field.ty).map(|ty| layout(quote!(#ty))).collect();
    let (mut start, mut before) = (TokenStream::new(), 0);
    if of.has_c {
        let all = of.variants.iter().flat_map(|(variant, _)| &variant.fields).map(|field| &field.ty);
        start = quote! {
            #krate::object::payload_offset(
                ::core::mem::size_of::<#tag>(), &[#(::core::mem::align_of::<#all>()),*],
            ) +
        };
    } else {
        layouts.insert(0, layout(quote!(#tag)));
        before = 1;
    }
    let fields = variant.fields.iter().enumerate().map(|(at, field)| {
        let number = at + before;
        let offset = quote!(#start #krate::object::offset_in_c(&[#(#layouts),*], #number));
        field_value(krate, at, field, offset)
    });
    quote! {
        #krate::object::Field {
            name: #name,
            desc: #krate::object::TypeDesc::variant(
                #numbered,
                ::core::mem::size_of::<#tag>(),
                #value,
                const { &[#(#fields),*] },
            ),
            offset: 0,
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

fn field_value(krate: &Path, at: usize, field: &Field, offset: TokenStream) -> TokenStream {
    let (_, name) = member(at, field);
    let (ty, written) = (&field.ty, type_name(&field.ty));
    // With the type's span, an error about a type without a schema points at the user's own line.
    let desc = quote_spanned! {ty.span()=> #krate::object::TypeDesc::of::<#ty>(#written) };
    quote! {
        #krate::object::Field {
            name: #name,
            desc: #desc,
            offset: #offset,
        }
    }
}
