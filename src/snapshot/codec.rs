//! The compression of a chunk.

/// How the chunks of a set are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: the fastest.
    #[default]
    None,
    /// By LZ4, at about 0.5 GB/s a core.
    Lz4,
    /// By Zstandard at level 1, at about 0.3 GB/s a core. Needs the feature `zstd`.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// How the bytes of one chunk are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Raw,
    /// All bytes are zero, and none is stored.
    Zero,
    Lz4,
    Zstd,
}

impl Codec {
    /// Returns the code in a table of chunks.
    pub(super) fn code(self) -> u32 {
        match self {
            Codec::Raw => 0,
            Codec::Zero => 1,
            Codec::Lz4 => 2,
            Codec::Zstd => 3,
        }
    }

    /// Returns the codec of a code; `None` if it is unknown.
    pub(super) fn of(code: u32) -> Option<Codec> {
        [Codec::Raw, Codec::Zero, Codec::Lz4, Codec::Zstd].into_iter().find(|codec| codec.code() == code)
    }
}

/// Returns whether all bytes are zero.
fn is_zero(bytes: &[u8]) -> bool {
    // Many at once, and no branch for each: the compiler uses the wide registers.
    bytes.chunks(256).all(|some| some.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Compresses a chunk, unless that saves nothing; `None` stands for the bytes as they are.
pub(super) fn shrink(bytes: &[u8], how: Compression) -> Option<(Codec, Vec<u8>)> {
    if is_zero(bytes) {
        return Some((Codec::Zero, Vec::new()));
    }
    let (codec, small) = match how {
        Compression::None => return None,
        Compression::Lz4 => (Codec::Lz4, lz4_flex::block::compress(bytes)),
        #[cfg(feature = "zstd")]
        Compression::Zstd => (Codec::Zstd, zstd::bulk::compress(bytes, 1).ok()?),
    };
    (small.len() < bytes.len()).then_some((codec, small))
}

/// The reason why a chunk cannot be restored to its bytes.
pub(super) enum Unreadable {
    /// What it decompresses to is not as long as the chunk.
    Damaged,
    /// This build has no such codec.
    #[cfg_attr(feature = "zstd", expect(dead_code, reason = "this build has every codec"))]
    Unknown(&'static str),
}

/// Decompresses what is stored of a chunk into `to`, whose length is that of the chunk.
pub(super) fn grow(codec: Codec, stored: &[u8], to: &mut [u8]) -> Result<(), Unreadable> {
    let len = match codec {
        Codec::Raw if stored.len() == to.len() => {
            to.copy_from_slice(stored);
            to.len()
        }
        Codec::Raw => return Err(Unreadable::Damaged),
        Codec::Zero => {
            to.fill(0);
            to.len()
        }
        Codec::Lz4 => lz4_flex::block::decompress_into(stored, to).map_err(|_| Unreadable::Damaged)?,
        #[cfg(feature = "zstd")]
        Codec::Zstd => zstd::bulk::decompress_to_buffer(stored, to).map_err(|_| Unreadable::Damaged)?,
        #[cfg(not(feature = "zstd"))]
        Codec::Zstd => return Err(Unreadable::Unknown("zstd")),
    };
    if len == to.len() { Ok(()) } else { Err(Unreadable::Damaged) }
}
