//! `Stored`: which types may lie in a segment as they are.
//!
//! # What the unsafe code here relies on
//!
//! It implements the unsafe trait [`Stored`] for types of the standard library, by what that
//! documents of their layout: integers and floats have no padding and no invalid bytes, a `bool` is
//! a byte 0 or 1, a `char` is a `u32`, a `NonZero` is its integer, and an `Option` of it has zero
//! for `None`.
#![allow(unsafe_code)]

use crate::object::desc::{Kind, Rule};
use std::marker::PhantomData;
use std::num::NonZero;

/// A type whose values may lie in a segment as they are, and whose bytes can be checked.
///
/// [`PoolObject`](derive@crate::PoolObject) and [`Schema`](derive@crate::object::Schema) derive it;
/// no program implements it by hand. [docs/types.md] describes every kind of type, byte by byte.
///
/// ```
/// use hotpool::object::{Schema, Stored, check_bytes};
///
/// #[repr(C)]
/// #[derive(Schema)]
/// struct Monster {
///     hp: u16,
///     asleep: bool,
/// }
///
/// assert!(!Monster::ANY_BITS);
/// assert!(check_bytes::<Monster>(&[100, 0, 1, 0]).is_ok());
/// let error = check_bytes::<Monster>(&[100, 0, 7, 0]).unwrap_err();
/// assert_eq!(error.to_string(), "asleep: 7 is no bool");
/// ```
///
/// [docs/types.md]: https://docs.rs/crate/hotpool/latest/source/docs/types.md
///
/// # Safety
///
/// `RULE` describes the layout: bytes that keep it are a value of the type, and all bytes of a value
/// that the rule does not call padding are initialised. A value has no pointer, no interior
/// mutability and nothing to be dropped.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "is not `Stored`",
    note = "derive `hotpool::object::Schema` for a struct or enum of your own"
)]
pub unsafe trait Stored: Sized + 'static {
    /// Which bytes are a value.
    #[doc(hidden)]
    const RULE: &'static Rule;
    /// Whether any bytes are a value, so that nothing need be checked.
    const ANY_BITS: bool = Self::RULE.any_bits();
}

macro_rules! plain {
    ($($plain:ty)*) => {$(
        // SAFETY: without padding, and any bytes are a value.
        unsafe impl Stored for $plain {
            const RULE: &'static Rule = &Rule::plain(size_of::<Self>());
        }
    )*};
}

plain! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 }

macro_rules! non_zero {
    ($($integer:ty)*) => {$(
        // SAFETY: it has the layout of its integer, and any bytes but zero are a value.
        unsafe impl Stored for NonZero<$integer> {
            const RULE: &'static Rule = &Rule::scalar(size_of::<Self>(), false, Kind::NonZero);
        }

        // SAFETY: it has the layout of the integer, and zero is `None`.
        unsafe impl Stored for Option<NonZero<$integer>> {
            const RULE: &'static Rule = &Rule::plain(size_of::<Self>());
        }
    )*};
}

non_zero! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 }

// SAFETY: one byte, 0 or 1.
unsafe impl Stored for bool {
    const RULE: &'static Rule = &Rule::scalar(1, true, Kind::Bool);
}

// SAFETY: the layout of a `u32`, and a Unicode scalar value.
unsafe impl Stored for char {
    const RULE: &'static Rule = &Rule::scalar(4, true, Kind::Char);
}

// SAFETY: it has no bytes.
unsafe impl<T: 'static> Stored for PhantomData<T> {
    const RULE: &'static Rule = &Rule::plain(0);
}

// SAFETY: elements follow one another without padding, and each is a value.
unsafe impl<T: Stored, const N: usize> Stored for [T; N] {
    const RULE: &'static Rule = &Rule::array(N, T::RULE);
}
