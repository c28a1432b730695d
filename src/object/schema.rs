//! Schemas: the fields of a type, which a later build compares with its own.

use crate::object::change::Change;
use crate::object::desc::{Field, TypeDesc};
use crate::object::fingerprint::Fingerprint;
use crate::object::stored::Stored;
use bytemuck::Pod;
use std::marker::PhantomData;
use std::num::NonZero;

impl TypeDesc {
    /// Describes `T`, which the source writes as `name`.
    pub const fn of<T: Schema>(name: &'static str) -> Self {
        let size = size_of::<T>();
        let (fingerprint, fields, rank) = (T::FINGERPRINT, T::FIELDS, T::RANK);
        TypeDesc { name, size, fingerprint, fields, rank, rule: T::RULE, changes: T::CHANGES }
    }

    /// Describes a type of another crate, which is stored as `A`: `name` is that of `A`.
    ///
    /// Any bytes are a value of both, and all of them count.
    ///
    /// # Panics
    ///
    /// The two differ in size or alignment, or some bytes are no value of `A`. The derive calls this in
    /// a constant, so that this is an error of the compiler.
    pub const fn of_foreign<F: Pod, A: Schema>(name: &'static str) -> Self {
        assert!(
            size_of::<F>() == size_of::<A>() && align_of::<F>() == align_of::<A>(),
            "the type in `#[pool(as = ..)]` has another size or alignment than that of the field"
        );
        assert!(
            A::RULE.any_bits() && A::RULE.is_dense(),
            "not all bytes are a value of the type in `#[pool(as = ..)]`"
        );
        TypeDesc::of::<A>(name)
    }

    /// Describes a variant of an enum: its number in a tag of `size` bytes, and its fields.
    pub const fn variant(
        name: &'static str,
        size: usize,
        value: u64,
        fields: &'static [Field],
        changes: &'static [Change<'static>],
    ) -> Self {
        let fingerprint = Fingerprint::new("variant").number(value).fields(fields).finish();
        TypeDesc { name, size, fingerprint, fields, rank: 0, rule: u8::RULE, changes }
    }
}

impl Fingerprint {
    /// Returns the fingerprint of a struct: its size, and the name, fingerprint and offset of each
    /// field.
    ///
    /// The name of the struct is left out, so that renaming a Rust type keeps the objects of a
    /// running server. A pool identifies a type by its type number and its name in the pool.
    pub const fn of_struct(fields: &[Field], size: usize) -> u64 {
        Fingerprint::new("struct").number(size as u64).fields(fields).finish()
    }

    /// Returns the fingerprint of an enum: its sizes, and the name, number and fields of each
    /// variant.
    pub const fn of_enum(variants: &[Field], size: usize, tag: usize) -> u64 {
        Fingerprint::new("enum").number(size as u64).number(tag as u64).fields(variants).finish()
    }

    /// Adds fields, whose number the caller has added if it can vary.
    const fn fields(self, mut fields: &[Field]) -> Self {
        let mut all = self;
        while let [field, rest @ ..] = fields {
            all = all.text(field.name).number(field.desc.fingerprint).number(field.offset as u64);
            fields = rest;
        }
        all
    }
}

/// A type whose layout hotpool records field by field.
///
/// These are integers, floats, `bool`, `char`, `NonZero` and its `Option`,
/// [`Ref`](crate::object::Ref), [`Maybe`](crate::object::Maybe),
/// [`FixedVec`](crate::object::FixedVec) and its relatives, arrays of them, and structs and enums
/// that derive [`PoolObject`](crate::PoolObject) or `Schema`. Derive it for structs and enums
/// inside others:
///
/// ```
/// use hotpool::object::Schema;
///
/// #[repr(C)]
/// #[derive(Schema)]
/// struct Vec3 {
///     x: f32,
///     y: f32,
///     z: f32,
/// }
///
/// assert_eq!(Vec3::FIELDS[2].name, "z");
/// assert_eq!(Vec3::FIELDS[2].offset, 8);
///
/// #[repr(u8)]
/// #[derive(Schema)]
/// enum Mood {
///     Calm,
///     Angry { at: u32 },
/// }
///
/// assert_eq!(Mood::FIELDS[1].name, "Angry");
/// ```
///
/// These types have no schema:
///
/// - `Option<T>` and tuples, whose layout the compiler may change: write [`Maybe<T>`] and a struct;
/// - pointers, references and types that own memory, because they mean nothing to the next process;
/// - `usize`, because its width depends on the machine.
///
/// [`Maybe<T>`]: crate::object::Maybe
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an object in a pool",
    label = "has no `Schema`, from which a later build learns what these bytes mean",
    note = "integers of fixed width, `f32`, `f64`, `bool`, `char`, `Ref<T>`, `Maybe<T>` and arrays of them can",
    note = "for `Option<T>` write `Maybe<T>`, for a tuple write a struct, for `usize` write `u32` or `u64`, \
            for a handle `Id<T>` write `Ref<T>`, for a `String` or `Vec` write `FixedStr<N>` or `FixedVec<T, N>`",
    note = "a struct or enum of your own can with `#[repr(C)]` or `#[repr(u8)]` and \
            `#[derive(hotpool::object::Schema)]`"
)]
pub trait Schema: Stored {
    /// Fingerprint, equal for types whose fields have the same names, types and offsets, to any
    /// depth.
    ///
    /// The names of structs do not count; [`Fingerprint::of_struct`] explains why.
    const FINGERPRINT: u64;
    /// Fields in the order of their offsets; for an array, those of its element; for an enum, its
    /// variants.
    ///
    /// Empty if the type contains no struct and no enum.
    const FIELDS: &'static [Field];
    /// Number of array dimensions: 0 for a type that is no array, 1 for `[T; N]`, 2 for an array of
    /// arrays.
    const RANK: usize = 0;
    /// Declared changes of the type, for objects of an earlier build; for an array, those of its
    /// element.
    #[doc(hidden)]
    const CHANGES: &'static [Change<'static>] = &[];
}

macro_rules! scalars {
    ($($scalar:ident)*) => {$(
        impl Schema for $scalar {
            const FINGERPRINT: u64 = Fingerprint::new(stringify!($scalar)).finish();
            const FIELDS: &'static [Field] = &[];
        }
    )*};
}

scalars! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 bool char }

macro_rules! non_zero {
    ($($integer:ident)*) => {$(
        impl Schema for NonZero<$integer> {
            const FINGERPRINT: u64 = Fingerprint::new("nonzero").text(stringify!($integer)).finish();
            const FIELDS: &'static [Field] = &[];
        }

        impl Schema for Option<NonZero<$integer>> {
            const FINGERPRINT: u64 = Fingerprint::new("option").number(NonZero::<$integer>::FINGERPRINT).finish();
            const FIELDS: &'static [Field] = &[];
        }
    )*};
}

non_zero! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 }

impl<T: 'static> Schema for PhantomData<T> {
    const FINGERPRINT: u64 = Fingerprint::new("phantom").finish();
    const FIELDS: &'static [Field] = &[];
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    const FINGERPRINT: u64 = Fingerprint::new("array").number(T::FINGERPRINT).number(N as u64).finish();
    const FIELDS: &'static [Field] = T::FIELDS;
    const RANK: usize = T::RANK + 1;
    const CHANGES: &'static [Change<'static>] = T::CHANGES;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_type_has_a_fingerprint_of_its_own() {
        let all = [
            u8::FINGERPRINT,
            i8::FINGERPRINT,
            u32::FINGERPRINT,
            f32::FINGERPRINT,
            u128::FINGERPRINT,
            <[u8; 4]>::FINGERPRINT,
            <[u8; 8]>::FINGERPRINT,
            <[u16; 4]>::FINGERPRINT,
            <[[u8; 4]; 8]>::FINGERPRINT,
            <[[u8; 8]; 4]>::FINGERPRINT,
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn an_array_counts_how_often_it_is_one() {
        assert_eq!(u8::RANK, 0);
        assert_eq!(<[u8; 4]>::RANK, 1);
        assert_eq!(<[[u8; 4]; 2]>::RANK, 2);
    }
}
