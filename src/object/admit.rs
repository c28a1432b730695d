//! The limits that every type of a pool must keep, checked at compile time.

use crate::limits;
use crate::object::{PoolObject, SchemaText};

/// Fails to compile unless `T` keeps the limits of a pool.
///
/// The derive calls it for its struct. Call it for a [`PoolObject`] that you implement by hand:
///
/// ```compile_fail,E0080
/// # use hotpool::{PoolObject, object::{Field, Schema}};
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, Schema)]
/// #[repr(C)]
/// struct Player {
///     hp: u64,
/// }
///
/// impl PoolObject for Player {
///     const TYPE_ID: u16 = 0; // no type has this number
///     const NAME: &'static str = "player";
///     const KEYED: bool = false;
/// }
///
/// const _: () = hotpool::object::admit::<Player>();
/// ```
///
/// # Panics
///
/// The type breaks a rule. In a constant, as above, it does not compile then.
pub const fn admit<T: PoolObject>() {
    assert!(
        T::TYPE_ID >= 1 && T::TYPE_ID <= limits::MAX_TYPE_ID,
        "the type number is not in the range 1 to 1023"
    );
    assert!(is_name(T::NAME), "the type's name is not 1 to 47 of a-z, 0-9 and _");
    assert!(size_of::<T>() > 0, "an object must have at least 1 byte");
    assert!(align_of::<T>() <= limits::MAX_ALIGN, "the alignment of an object is more than 4096 bytes");
    assert!(
        T::FOLLOWED.fits(size_of::<T>(), align_of::<T>()),
        "the field with `#[pool(owner)]` or `#[pool(time)]` is not aligned: a packed struct cannot have one"
    );
    assert!(
        SchemaText::len_of::<T>() <= limits::MAX_SCHEMA_BYTES as usize,
        "the schema text is longer than 16 KiB: use fewer fields, or arrays of them"
    );
}

const fn is_name(name: &str) -> bool {
    let mut bytes = name.as_bytes();
    while let [byte, rest @ ..] = bytes {
        if !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        bytes = rest;
    }
    !name.is_empty() && name.len() <= limits::MAX_TYPE_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_words() {
        assert!(is_name("player_2"));
        assert!(is_name(&"p".repeat(47)));
        for bad in ["", "Player", "game-item", "spielstärke", "a b", &"p".repeat(48)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
