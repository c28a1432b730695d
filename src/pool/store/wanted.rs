//! The description of a Rust type that a program adds to a pool, as values.

use crate::object::{Field, Followed, NewType, PoolObject, Rule, SchemaText, field_names};
use crate::pool::store::shape::{head_bytes, stride_bytes};
use std::any::TypeId;
use std::hash::{Hash, Hasher};

/// A Rust type as the pool needs it, so that `add_type` is compiled once, and not for each type.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) id: u16,
    pub(crate) name: &'static str,
    pub(crate) keyed: bool,
    pub(crate) size: usize,
    pub(crate) align: usize,
    pub(crate) fingerprint: u64,
    pub(crate) fields: &'static [Field],
    pub(crate) rule: &'static Rule,
    pub(crate) followed: Followed,
    pub(crate) rust_type: TypeId,
    pub(crate) token: Token,
    pub(crate) new_type: NewType,
    schema: fn() -> String,
}

impl Wanted {
    /// Describes type `T`.
    pub(crate) fn of<T: PoolObject>() -> Self {
        Wanted {
            id: T::TYPE_ID,
            name: T::NAME,
            keyed: T::KEYED,
            size: size_of::<T>(),
            align: align_of::<T>(),
            fingerprint: T::FINGERPRINT,
            fields: T::FIELDS,
            rule: T::RULE,
            followed: T::FOLLOWED,
            rust_type: TypeId::of::<T>(),
            token: Token::of::<T>(),
            new_type: NewType::of::<T>(),
            schema: SchemaText::of::<T>,
        }
    }

    /// Returns the bytes from one slot to the next; `None` on overflow.
    pub(crate) fn stride(&self) -> Option<u64> {
        stride_bytes(self.keyed, self.align, self.size)
    }

    /// Returns the bytes of a slot before its object.
    pub(crate) fn head(&self) -> usize {
        head_bytes(self.keyed, self.align)
    }

    /// Returns the names of the fields, as the schema text has them.
    pub(crate) fn field_names(&self) -> Vec<String> {
        field_names(self.fields)
    }

    /// Returns the schema text of the type.
    pub(crate) fn schema(&self) -> String {
        (self.schema)()
    }
}

/// A token that distinguishes one Rust type from all others in one comparison: 64 bits of its
/// `TypeId`.
///
/// Layout, name and fingerprint are not sufficient: two structs that agree in them are two types,
/// and only one of them can be added under a type number. The compiler folds [`Token::of`] to a
/// constant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u64);

impl Token {
    /// The token of no type.
    pub(crate) const NONE: Token = Token(0);

    /// Returns the token of `T`.
    #[inline(always)]
    pub(crate) fn of<T: 'static>() -> Self {
        let mut bits = Bits(0);
        TypeId::of::<T>().hash(&mut bits);
        Token(bits.0.max(1))
    }
}

/// A hasher that keeps the bits that a `TypeId` hashes, which are a good hash already.
struct Bits(u64);

impl Hasher for Bits {
    #[inline(always)]
    fn write_u64(&mut self, bits: u64) {
        self.0 ^= bits;
    }

    /// For a standard library that hashes a `TypeId` in another way.
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0
    }
}
