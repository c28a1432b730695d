//! Schemas: the fields of a type, which a later build compares with its own.

use crate::object::Fingerprint;

/// One field of a struct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Name in the source; the field's number in a tuple struct.
    pub name: &'static str,
    /// Type of the field.
    pub desc: TypeDesc,
    /// Bytes from the beginning of the struct.
    pub offset: usize,
}

/// A type as a field has it: its source text, its size, and the fingerprint of its layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeDesc {
    /// Name as written in the source: `u64`, `[f32; 3]`, `Vec3`.
    pub name: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Fingerprint, equal for types whose fields have the same names, types and offsets.
    pub fingerprint: u64,
    /// Fields of the type, as in [`Schema::FIELDS`].
    pub fields: &'static [Field],
    /// Number of array dimensions, as in [`Schema::RANK`].
    pub rank: usize,
}

impl TypeDesc {
    /// Describes `T`, which the source writes as `name`.
    pub const fn of<T: Schema>(name: &'static str) -> Self {
        let size = size_of::<T>();
        TypeDesc { name, size, fingerprint: T::FINGERPRINT, fields: T::FIELDS, rank: T::RANK }
    }
}

impl Fingerprint {
    /// Returns the fingerprint of a struct: its size, and the name, fingerprint and offset of each
    /// field.
    ///
    /// The name of the struct is left out, so that renaming a Rust type keeps the objects of a
    /// running server. A pool identifies a type by its type number and its name in the pool.
    pub const fn of_struct(fields: &[Field], size: usize) -> u64 {
        let mut all = Fingerprint::new("struct").number(size as u64);
        let mut at = 0;
        while at < fields.len() {
            let field = &fields[at];
            all = all.text(field.name).number(field.desc.fingerprint).number(field.offset as u64);
            at += 1;
        }
        all.finish()
    }
}

/// A type whose layout hotpool records field by field.
///
/// These are integers, floats, [`Link`](crate::object::Link)s, arrays of them, and structs that
/// derive [`PoolObject`](crate::PoolObject) or `Schema`. Derive it for structs inside others:
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
/// ```
///
/// These types have no schema:
///
/// - `bool`, `char` and enums, because memory that another build wrote may hold an invalid value;
/// - pointers, references and types that own memory, because they mean nothing to the next process;
/// - `usize`, because its width depends on the machine.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an object in a pool",
    label = "has no `Schema`, from which a later build learns what these bytes mean",
    note = "integers of fixed width, `f32`, `f64`, `Link<T>` and arrays of them can",
    note = "for `bool`, `char` or an enum write an integer such as `u8` or `u32`, \
            for `usize` write `u32` or `u64`, for a handle `Id<T>` write `Link<T>`",
    note = "a struct of your own can with `#[repr(C)]` and `#[derive(hotpool::object::Schema)]`"
)]
pub trait Schema: Sized {
    /// Fingerprint, equal for types whose fields have the same names, types and offsets, to any
    /// depth.
    ///
    /// The names of structs do not count; [`Fingerprint::of_struct`] explains why.
    const FINGERPRINT: u64;
    /// Fields in the order of their offsets; for an array, those of its element.
    ///
    /// Empty if the type contains no struct.
    const FIELDS: &'static [Field];
    /// Number of array dimensions: 0 for a type that is no array, 1 for `[T; N]`, 2 for an array of
    /// arrays.
    const RANK: usize = 0;
}

macro_rules! scalars {
    ($($scalar:ident)*) => {$(
        impl Schema for $scalar {
            const FINGERPRINT: u64 = Fingerprint::new(stringify!($scalar)).finish();
            const FIELDS: &'static [Field] = &[];
        }
    )*};
}

scalars! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 }

impl<T: Schema, const N: usize> Schema for [T; N] {
    const FINGERPRINT: u64 = Fingerprint::new("array").number(T::FINGERPRINT).number(N as u64).finish();
    const FIELDS: &'static [Field] = T::FIELDS;
    const RANK: usize = T::RANK + 1;
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
