use super::{Tally, checksum, record};
use crate::word::{Half, Word};

/// One type of a pool. Index in the table is its number.
#[repr(C)]
#[derive(Debug)]
pub struct TypeInfo {
    /// Its own number; 0 while the entry is unused.
    pub id: Half,
    /// Bit 0: objects have a user key.
    pub flags: Half,
    /// Fingerprint of the struct's fields.
    pub fingerprint: Word,
    /// Bytes of an object.
    pub size: Word,
    /// Bytes from one slot to the next.
    pub stride: Word,
    /// Bytes of a slot before its object.
    pub head: Half,
    /// Alignment of an object.
    pub align: Half,
    /// An extent holds `1 << shift` slots.
    pub shift: Half,
    /// An extent of the index holds `1 << group_shift` groups.
    pub group_shift: Half,
    /// Bytes of an extent of slots, whole pages.
    pub extent_bytes: Word,
    /// Bytes of an extent before its first slot: the map of which slots are used.
    pub map_bytes: Word,
    /// Bytes of an extent of the index.
    pub index_bytes: Word,
    /// Last generation of a slot, odd.
    pub last_generation: Half,
    /// Bytes of the schema text.
    pub schema_len: Half,
    /// Offset of the schema text in the base segment.
    pub schema_off: Word,
    /// Name, zero-padded.
    pub name: [Word; 6],
    /// Zero.
    pub spare_fixed: [Word; 6],
    /// CRC-32C of all the words above.
    pub check: Word,

    /// Live objects, and the slot that was the last to change: `slot:26 type:10 named:1 zero:1 objects:26`.
    pub tally: Word,
    /// Slots below this one have been used at some time, the last of them perhaps only kept at hand.
    pub high_water: Word,
    /// Slots used up: count << 32 | the last one's number + 1.
    pub retired: Word,
    /// Groups of the index in use. Storing it commits a split.
    pub groups: Word,
    /// Zero.
    pub spare_hot: [Word; 4],
}

record!(TypeInfo, 256);

/// `flags`: objects of the type have a user key.
pub(crate) const FLAG_KEYED: u32 = 1;

impl TypeInfo {
    /// All its words, each read once: for a reader beside whom others may be storing.
    pub(crate) fn copy(&self) -> TypeInfo {
        let half = |of: &Half| Half::new(of.load());
        let word = |of: &Word| Word::new(of.load());
        let words = |of: &[Word; 6]| std::array::from_fn(|at| Word::new(of[at].load()));
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
            spare_fixed: words(&self.spare_fixed),
            check: word(&self.check),
            tally: word(&self.tally),
            high_water: word(&self.high_water),
            retired: word(&self.retired),
            groups: word(&self.groups),
            spare_hot: std::array::from_fn(|at| Word::new(self.spare_hot[at].load())),
        }
    }

    /// Whether objects of the type have a user key.
    pub fn keyed(&self) -> bool {
        self.flags.load() & FLAG_KEYED != 0
    }

    /// The slot that was the last to change, if one is named: only its header says whether an object lives in it.
    pub fn named(&self) -> Option<u32> {
        Tally::parse(self.tally.load()).named
    }

    /// Live objects, if one lives in the named slot or not.
    pub fn len(&self, lives: bool) -> u64 {
        Tally::parse(self.tally.load()).len(lives)
    }

    /// Name, as far as it is text.
    pub fn name(&self) -> String {
        super::text(&self.name)
    }

    /// What `check` has to be.
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
                .chain(self.spare_fixed.iter().map(Word::load)),
        )
        .into()
    }
}
