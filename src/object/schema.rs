//! What a type looks like: the fields that a later build compares its own with.

/// One field of a struct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Name in the source.
    pub name: &'static str,
    /// Its type.
    pub desc: TypeDesc,
    /// Bytes from the start of the struct.
    pub offset: usize,
}

/// A type: how the source writes it, its size, and the fingerprint of its insides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeDesc {
    /// As written in the source: `u64`, `[f32; 3]`, `Vec3`.
    pub name: &'static str,
    /// Bytes.
    pub size: usize,
    /// Equal for types whose fields have the same names, types and offsets.
    pub fingerprint: u64,
}

/// A type whose layout is known field by field: integers, floats, arrays of them, and
/// structs that derive [`PoolObject`](crate::PoolObject) or `Schema`.
pub trait Schema: Sized {
    /// Equal for types whose fields have the same names, types and offsets, to any depth.
    const FINGERPRINT: u64;
    /// The fields in order of their offset; empty for what is no struct.
    const FIELDS: &'static [Field];
}

/// FNV-1a over the bytes of `text`, going on from `seed` (0 to start).
pub const fn fingerprint(seed: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = if seed == 0 { 0xcbf2_9ce4_8422_2325 } else { seed };
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}
