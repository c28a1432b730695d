//! Generates the code of the derives.

use crate::args;
use crate::field_args::{FieldArgs, Within, change, of_variant, type_in_segments};
use crate::problems::Problems;
use crate::shape::{Enum, Shape, shape};
use crate::type_name::type_name;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Generics, Ident, Index, Member, Path, Type, Variant, parse_quote};

/// Expands `#[derive(PoolObject)]`.
pub(crate) fn pool_object(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let shape = shape(input, true, &mut problems);
    let args = args::parse(input, &mut problems);
    let krate = args.as_ref().map_or_else(|| parse_quote!(::hotpool), |args| args.krate.clone());
    let changes = Changes::of(&krate, shape.as_ref(), Within::Object, &mut problems);
    let (shape, args) = problems.unless_any(shape.zip(args))?;

    let ident = &input.ident;
    let args::Args { id, name, keyed, removed, krate } = args;
    let reset = reset(&changes.transient);
    let (follow, traits) = follow(&krate, ident, &changes);
    let schema = schema_impl(&krate, input, &shape, changes.with_removed(&krate, &removed));
    Ok(quote! {
        #schema

        #[automatically_derived]
        impl #krate::PoolObject for #ident {
            const TYPE_ID: u16 = #id;
            const NAME: &'static str = #name;
            const KEYED: bool = #keyed;
            const MIGRATIONS: &'static [#krate::object::Migration] = {
                #[allow(unused_imports)]
                use #krate::object::NoMigrations as _;
                #ident::HOTPOOL_MIGRATIONS
            };
            #follow
            #reset
        }

        #traits

        const _: () = #krate::object::admit::<#ident>();
    })
}

/// Expands `#[derive(Schema)]`.
pub(crate) fn schema(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    let shape = shape(input, false, &mut problems);
    let args = args::parse_part(input, &mut problems);
    let krate = args.as_ref().map_or_else(|| parse_quote!(::hotpool), |args| args.krate.clone());
    let changes = Changes::of(&krate, shape.as_ref(), Within::Part, &mut problems);
    let (shape, args) = problems.unless_any(shape.zip(args))?;
    Ok(schema_impl(&krate, input, &shape, changes.with_removed(&krate, &args.removed)))
}

/// The declared changes of a type, as expressions.
#[derive(Default)]
struct Changes {
    /// Those of the struct or enum itself.
    own: Vec<TokenStream>,
    /// Those of the fields of each variant.
    of_variants: Vec<Vec<TokenStream>>,
    /// The transient fields.
    transient: Vec<Member>,
    /// The reference to the owner, and its type.
    owner: Option<(Member, Type)>,
    /// The time by which objects are ordered, and its type.
    time: Option<(Member, Type)>,
}

impl Changes {
    /// Reads the attributes of all fields and variants.
    fn of(krate: &Path, shape: Option<&Shape<'_>>, within: Within, problems: &mut Problems) -> Self {
        let mut found = Changes::default();
        match shape {
            None => {}
            Some(Shape::Struct(fields)) => {
                for (at, field) in fields.iter().enumerate() {
                    let (member, name) = member(at, field);
                    let args = FieldArgs::parse(field, within, problems);
                    found.own.extend(args.changes(krate, &name, field));
                    let followed = [(args.owner, &mut found.owner), (args.time, &mut found.time)];
                    for (_, place) in followed.into_iter().filter(|(is, _)| *is) {
                        if place.replace((member.clone(), field.ty.clone())).is_some() {
                            problems.under(field, "an object has one owner and one time: remove the other");
                        }
                    }
                    found.transient.extend(args.transient.then_some(member));
                }
            }
            Some(Shape::Enum(of)) => {
                for (variant, _) in &of.variants {
                    let (outer, mut inner) = of_variant(krate, variant, problems);
                    for (at, field) in variant.fields.iter().enumerate() {
                        let (_, name) = member(at, field);
                        let args = FieldArgs::parse(field, Within::Part, problems);
                        inner.extend(args.changes(krate, &name, field));
                    }
                    found.own.extend(outer);
                    found.of_variants.push(inner);
                }
            }
        }
        found
    }

    fn with_removed(mut self, krate: &Path, removed: &[String]) -> Self {
        self.own.extend(removed.iter().map(|name| change(krate, name, quote!(Removed))));
        self
    }
}

/// Generates the constant that names the followed fields, and the traits of a type that has some.
fn follow(krate: &Path, ident: &Ident, changes: &Changes) -> (TokenStream, TokenStream) {
    let (mut fields, mut traits) = (TokenStream::new(), TokenStream::new());
    if let Some((member, ty)) = &changes.owner {
        let owner = quote_spanned!(ty.span()=> <#ty as #krate::object::OwnerRef>::Owner);
        fields.extend(quote_spanned! {ty.span()=>
            .owner(::core::mem::offset_of!(Self, #member), <#owner as #krate::PoolObject>::TYPE_ID)
        });
        traits.extend(quote! {
            #[automatically_derived]
            impl #krate::object::Child for #ident {
                type Owner = #owner;
            }
        });
    }
    if let Some((member, ty)) = &changes.time {
        fields.extend(quote_spanned! {ty.span()=>
            .time(::core::mem::offset_of!(Self, #member), <#ty as #krate::object::Moment>::KIND)
        });
        traits.extend(quote! {
            #[automatically_derived]
            impl #krate::object::Timed for #ident {
                type Time = #ty;
            }
        });
    }
    if fields.is_empty() {
        return (fields, traits);
    }
    let constant = quote! {
        const FOLLOWED: #krate::object::Followed = #krate::object::Followed::NOTHING #fields;
    };
    (constant, traits)
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
fn schema_impl(krate: &Path, input: &DeriveInput, shape: &Shape<'_>, changes: Changes) -> TokenStream {
    let ident = &input.ident;
    let generics = with_bounds(krate, input.generics.clone());
    let (generics, ty_generics, bounds) = generics.split_for_impl();
    let Parts { fields, fingerprint, rule } = match shape {
        Shape::Struct(fields) => of_struct(krate, fields),
        Shape::Enum(found) => of_enum(krate, found, &changes.of_variants),
    };
    let own = changes.own;
    let changes = (!own.is_empty())
        .then(|| quote!(const CHANGES: &'static [#krate::object::Change<'static>] = &[#(#own),*];));
    quote! {
        #[automatically_derived]
        impl #generics #krate::object::Schema for #ident #ty_generics #bounds {
            const FINGERPRINT: u64 = #fingerprint;
            const FIELDS: &'static [#krate::object::Field] = #fields;
            #changes
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

fn of_enum(krate: &Path, found: &Enum<'_>, changes: &[Vec<TokenStream>]) -> Parts {
    let Enum { tag, variants, .. } = found;
    let values = variants.iter().map(|(_, value)| value);
    let fields = variants.iter().zip(changes);
    let fields =
        fields.map(|((variant, value), changes)| variant_value(krate, found, variant, *value, changes));
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

fn variant_value(
    krate: &Path,
    of: &Enum<'_>,
    variant: &Variant,
    value: u64,
    changes: &[TokenStream],
) -> TokenStream {
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
                const { &[#(#changes),*] },
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
    let ty = &field.ty;
    // With the type's span, an error about a type without a schema points at the user's own line.
    let desc = match type_in_segments(field) {
        None => {
            let written = type_name(ty);
            quote_spanned! {ty.span()=> #krate::object::TypeDesc::of::<#ty>(#written) }
        }
        Some(stored) => {
            let written = type_name(&stored);
            quote_spanned! {ty.span()=> #krate::object::TypeDesc::of_foreign::<#ty, #stored>(#written) }
        }
    };
    quote! {
        #krate::object::Field {
            name: #name,
            desc: #desc,
            offset: #offset,
        }
    }
}
