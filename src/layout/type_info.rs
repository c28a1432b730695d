use super::record::{checksum, record};
use super::tally::Tally;
use crate::word::{Half, Word};

/// One form of a type of a pool.
///
/// A type has one, or two while a build with a changed struct has not called `ready()`.
#[repr(C)]
#[derive(Debug)]
pub struct TypeInfo {
    /// The type number; 0 while the entry is unused.
    pub id: Half,
    /// Bit 0: objects have a user key.
    pub flags: Half,
    /// Fingerprint of the fields of the struct.
    pub fingerprint: Word,
    /// Size of an object in bytes.
    pub size: Word,
    /// Bytes from one slot to the next.
    pub stride: Word,
    /// Bytes of a slot before its object.
    pub head: Half,
    /// Alignment of an object in bytes.
    pub align: Half,
    /// Binary logarithm of the slots in an extent.
    pub shift: Half,
    /// Binary logarithm of the groups in an extent of the index.
    pub group_shift: Half,
    /// Bytes of an extent of slots, a multiple of the cache line.
    pub extent_bytes: Word,
    /// Bytes of an extent before its first slot: the map and its padding.
    pub map_bytes: Word,
    /// Bytes of an extent of the index.
    pub index_bytes: Word,
    /// Last generation of a slot, odd. The slot is retired when that life ends.
    pub last_generation: Half,
    /// Bytes of the schema text; 0 if it was not kept.
    pub schema_len: Half,
    /// Offset of the schema text in the base segment.
    pub schema_off: Word,
    /// Name of the type, zero-padded.
    pub name: [Word; 6],
    /// Position of this entry in the table; 0 if it is the type number.
    pub place: Word,
    /// Reserved, zero.
    pub spare_fixed: [Word; 5],
    /// CRC-32C of all the words above.
    pub check: Word,

    /// Live objects, and the slot that changed last: `slot:26 type:10 named:1 zero:1 objects:26`.
    pub tally: Word,
    /// Slots below this number have been used at least once, or the highest of them is only at
    /// hand.
    pub high_water: Word,
    /// Retired slots: `count << 32 | number of the last one + 1`.
    pub retired: Word,
    /// Number of groups of the index in use. Storing it commits a split.
    pub groups: Word,
    /// Position of the entry of the form that is being filled; 0 if there is none.
    pub filling: Word,
    /// Position of the entry of the complete new form, which is in force; 0 if there is none.
    pub newer: Word,
    /// Offset of the owner field + 1 in the low 32 bits, of the time field + 1 in the high ones; 0 if
    /// there is none.
    pub followed: Word,
    /// Hollow extents, which have slot numbers but no memory: `count << 32 | number of the last one
    /// + 1`.
    pub hollow: Word,
}

record!(TypeInfo, 256);

/// Bit of `flags` that is set if objects of the type have a user key.
pub(crate) const FLAG_KEYED: u32 = 1;

impl TypeInfo {
    /// Copies the record, reading each word once, for readers of a pool that another process may be
    /// writing.
    pub(crate) fn copy(&self) -> TypeInfo {
        let half = |of: &Half| Half::new(of.load());
        let word = |of: &Word| Word::new(of.load());
        let words = |of: &[Word; 6]| of.each_ref().map(word);
        TypeInfo {
            id: half(&self.id),
            flags: half(&self.flags),
            fingerprint: word(&self.fingerprint),
            size: word(&self.size),
            stride: word(&self.stride),
            head: half(&self.head),
            align: half(&self.align),
            shift: half(&self.shift),
            group_shift: half(&self.group_shift),
            extent_bytes: word(&self.extent_bytes),
            map_bytes: word(&self.map_bytes),
            index_bytes: word(&self.index_bytes),
            last_generation: half(&self.last_generation),
            schema_len: half(&self.schema_len),
            schema_off: word(&self.schema_off),
            name: words(&self.name),
            place: word(&self.place),
            spare_fixed: self.spare_fixed.each_ref().map(word),
            check: word(&self.check),
            tally: word(&self.tally),
            high_water: word(&self.high_water),
            retired: word(&self.retired),
            groups: word(&self.groups),
            filling: word(&self.filling),
            newer: word(&self.newer),
            followed: word(&self.followed),
            hollow: word(&self.hollow),
        }
    }

    /// Returns the position of this entry in the table, by which extents name it.
    pub(crate) fn place(&self) -> u16 {
        let place = self.place.load();
        u16::try_from(if place == 0 { self.id.load().into() } else { place }).unwrap_or(0)
    }

    /// Returns whether objects of the type have a user key.
    pub fn keyed(&self) -> bool {
        self.flags.load() & FLAG_KEYED != 0
    }

    /// Returns whether `missing` extents of slots without memory are those that `hollow` counts.
    ///
    /// The extent that it names may have its memory still, or again.
    pub(crate) fn counts_hollow(&self, missing: u64, is_missing: impl Fn(u64) -> bool) -> bool {
        let word = self.hollow.load();
        let (count, named) = (word >> 32, (word & u64::from(u32::MAX)).checked_sub(1));
        missing == count || (missing + 1 == count && named.is_some_and(|named| !is_missing(named)))
    }

    /// Returns the slot that changed last, if the tally names one.
    ///
    /// Only the header of that slot decides whether an object lives in it.
    pub fn named(&self) -> Option<u32> {
        Tally::parse(self.tally.load()).named
    }

    /// Returns the number of live objects; `lives` tells whether one lives in the named slot.
    pub fn len(&self, lives: bool) -> u64 {
        Tally::parse(self.tally.load()).len(lives)
    }

    /// Returns the name; invalid UTF-8 is replaced.
    pub fn name(&self) -> String {
        super::text::text(&self.name)
    }

    /// Computes the expected value of `check`.
    pub fn sum(&self) -> u64 {
        let pair = |low: &Half, high: &Half| u64::from(low.load()) | u64::from(high.load()) << 32;
        let fixed = [
            pair(&self.id, &self.flags),
            self.fingerprint.load(),
            self.size.load(),
            self.stride.load(),
            pair(&self.head, &self.align),
            pair(&self.shift, &self.group_shift),
            self.extent_bytes.load(),
            self.map_bytes.load(),
            self.index_bytes.load(),
            pair(&self.last_generation, &self.schema_len),
            self.schema_off.load(),
        ];
        checksum(
            fixed
                .into_iter()
                .chain(self.name.iter().map(Word::load))
                .chain([self.place.load()])
                .chain(self.spare_fixed.iter().map(Word::load)),
        )
        .into()
    }
}
