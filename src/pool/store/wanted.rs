//! What a program says of a type that it adds: all that the pool needs to know of a Rust type, as values.

use crate::object::{Field, PoolObject, SchemaText};
use crate::pool::store::typed::{Typed, head_bytes, stride_bytes};
use std::any::TypeId;

/// A Rust type, as the pool sees it. So `add_type` is compiled once, and not once for each type.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) id: u16,
    pub(crate) name: &'static str,
    pub(crate) keyed: bool,
    pub(crate) size: usize,
    pub(crate) align: usize,
    pub(crate) fingerprint: u64,
    pub(crate) fields: &'static [Field],
    pub(crate) rust_type: TypeId,
    /// `Typed::TOKEN`.
    pub(crate) token: u64,
    schema: fn() -> String,
}

impl Wanted {
    /// Type `T`.
    pub(crate) fn of<T: PoolObject>() -> Self {
        Wanted {
            id: T::TYPE_ID,
            name: T::NAME,
            keyed: T::KEYED,
            size: size_of::<T>(),
            align: align_of::<T>(),
            fingerprint: T::FINGERPRINT,
            fields: T::FIELDS,
            rust_type: TypeId::of::<T>(),
            token: Typed::<T>::TOKEN,
            schema: SchemaText::of::<T>,
        }
    }

    /// Bytes from one slot to the next; `None` where that does not fit.
    pub(crate) fn stride(&self) -> Option<u64> {
        stride_bytes(self.keyed, self.align, self.size)
    }

    /// Bytes of a slot before its object.
    pub(crate) fn head(&self) -> usize {
        head_bytes(self.keyed, self.align)
    }

    /// Its fields as text.
    pub(crate) fn schema(&self) -> String {
        (self.schema)()
    }
}
