//! The bytes of a part: a head, the chunks in any order, a table of chunks, and a foot.
//!
//! All numbers are little-endian. The foot comes last, so a part that was cut is noticed before a
//! chunk is read.

use super::codec::Codec;

/// Bytes of a chunk, the unit of checksums, compression and increments.
pub const CHUNK: u32 = 256 << 10;
/// First bytes of a part.
pub(super) const MAGIC: [u8; 8] = *b"HPOOLSET";
/// Last bytes of a part.
pub(super) const END: [u8; 8] = *b"HPOOLEND";
/// Version of these bytes and of the manifest.
pub(super) const FORMAT: u32 = 1;

/// The first bytes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) set: [u64; 2],
    pub(super) segment: u32,
    pub(super) chunk: u32,
}

impl Head {
    /// Bytes of a head.
    pub(super) const BYTES: u64 = 64;

    /// Returns the bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES as usize);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(self.segment.to_le_bytes());
        bytes.extend(self.set.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(self.chunk.to_le_bytes());
        bytes.resize(Self::BYTES as usize - 4, 0);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Reads the bytes; the error says what is wrong with them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Head, String> {
        let mut from = Fields(bytes);
        let sum = bytes.get(..Self::BYTES as usize - 4).map_or(0, crc32c::crc32c);
        if from.take::<8>() != MAGIC {
            return Err("it does not begin as a part of a snapshot".into());
        }
        let format = from.word32();
        if format != FORMAT {
            return Err(format!("it has the format {format}, and this build reads {FORMAT}"));
        }
        let segment = from.word32();
        let set = [from.word64(), from.word64()];
        let head = Head { set, segment, chunk: from.word32() };
        from.skip(Self::BYTES as usize - 4 - 36);
        match from.word32() == sum {
            true => Ok(head),
            false => Err("the checksum of its head is wrong".into()),
        }
    }
}

/// Where one chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) number: u32,
    pub(super) codec: Codec,
    pub(super) offset: u64,
    pub(super) stored: u32,
    pub(super) sum: u32,
}

impl Chunk {
    /// Bytes of an entry of the table.
    pub(super) const BYTES: u64 = 24;

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.codec.code().to_le_bytes());
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend(self.stored.to_le_bytes());
        bytes.extend(self.sum.to_le_bytes());
    }

    fn decode(from: &mut Fields<'_>) -> Option<Chunk> {
        let number = from.word32();
        let codec = Codec::of(from.word32())?;
        Some(Chunk { number, codec, offset: from.word64(), stored: from.word32(), sum: from.word32() })
    }
}

/// The last bytes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foot {
    /// Offset of the table of chunks.
    pub(super) table: u64,
    /// Number of its entries.
    pub(super) count: u64,
    /// Checksum of the table.
    pub(super) sum: u32,
}

impl Foot {
    /// Bytes of a foot.
    pub(super) const BYTES: u64 = 32;

    /// Returns the foot of a part, and the bytes of its table and foot, which begin at offset `table`.
    pub(super) fn end(chunks: &[Chunk], table: u64) -> (Foot, Vec<u8>) {
        let mut bytes = Vec::with_capacity(chunks.len() * Chunk::BYTES as usize + Self::BYTES as usize);
        chunks.iter().for_each(|chunk| chunk.encode(&mut bytes));
        let foot = Foot { table, count: chunks.len() as u64, sum: crc32c::crc32c(&bytes) };
        let from = bytes.len();
        bytes.extend(foot.table.to_le_bytes());
        bytes.extend(foot.count.to_le_bytes());
        bytes.extend(foot.sum.to_le_bytes());
        let sum = bytes.get(from..).map_or(0, crc32c::crc32c);
        bytes.extend(sum.to_le_bytes());
        bytes.extend(END);
        (foot, bytes)
    }

    /// Reads the last bytes of a part that is `len` long.
    pub(super) fn decode(bytes: &[u8], len: u64) -> Result<Foot, String> {
        let sum = bytes.get(..20).map_or(0, crc32c::crc32c);
        let mut from = Fields(bytes);
        let foot = Foot { table: from.word64(), count: from.word64(), sum: from.word32() };
        if from.word32() != sum || from.take::<8>() != END {
            return Err("it was cut, or its end is damaged".into());
        }
        let table = foot.count.checked_mul(Chunk::BYTES).and_then(|bytes| foot.table.checked_add(bytes));
        match table.and_then(|end| end.checked_add(Self::BYTES)) == Some(len) && foot.table >= Head::BYTES {
            true => Ok(foot),
            false => Err("its table of chunks does not fit its length".into()),
        }
    }
}

/// Reads the table of chunks of a segment that is `bytes` long. `foot` was checked.
///
/// The chunks are in order, inside of the segment and inside of the part.
pub(super) fn table(table: &[u8], foot: &Foot, bytes: u64, chunk: u32) -> Result<Vec<Chunk>, String> {
    if crc32c::crc32c(table) != foot.sum {
        return Err("the checksum of its table of chunks is wrong".into());
    }
    let mut from = Fields(table);
    let count = bytes.div_ceil(chunk.max(1).into());
    let mut chunks: Vec<Chunk> = Vec::new();
    for _ in 0..foot.count {
        let next = Chunk::decode(&mut from).ok_or("a chunk has an unknown compression")?;
        let is_next = chunks.last().is_none_or(|last| last.number < next.number);
        if !is_next || u64::from(next.number) >= count {
            return Err(format!("its chunk {} is not where it belongs", next.number));
        }
        let end = next.offset.checked_add(next.stored.into());
        if next.offset < Head::BYTES || end.is_none_or(|end| end > foot.table) || next.stored > 2 * chunk {
            return Err(format!("its chunk {} is outside of the part", next.number));
        }
        chunks.push(next);
    }
    Ok(chunks)
}

/// Bytes that are read from the front. Past their end are zeros.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk::<N>().map_or(([0; N], &[][..]), |(a, b)| (*a, b));
        self.0 = rest;
        first
    }

    fn word32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn word64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn skip(&mut self, bytes: usize) {
        self.0 = self.0.get(bytes..).unwrap_or_default();
    }
}
