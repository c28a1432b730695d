//! Checks the bytes of objects: whether they are a value of their type, as its schema text tells.

use crate::inspect::finding::{Place, Severity};
use crate::inspect::walk::{Standing, Type, Walk};
use crate::object::StoredRule;
use crate::pool::store::schema_texts;
use crate::region::Region;
use crate::word::Word;

/// The rule of a type, for the objects of a pool that no owner uses.
///
/// An owner has checked them all with its own types, and would be writing to them meanwhile.
pub(crate) struct Values {
    rule: StoredRule,
    head: u64,
    size: u64,
}

impl Values {
    /// Reads the rule of a type.
    pub(crate) fn of(walk: &Walk<'_>, ty: &Type) -> Self {
        let (head, size) = (u64::from(ty.info.head.load()), ty.info.size.load());
        let fields = schema_texts::read(walk.base, &ty.info).filter(|_| walk.pool.standing == Standing::Left);
        let rule = fields.map(|fields| StoredRule::of_object(&fields, size, ty.info.fingerprint.load()));
        Values { rule: rule.filter(|rule| !rule.is_any()).unwrap_or(StoredRule::Any), head, size }
    }

    /// Reports an object that is no value: damage if it lives, a note if it is in quarantine.
    pub(crate) fn check(&self, walk: &mut Walk<'_>, block: &Region, slot: u64, place: Place, lives: bool) {
        if self.rule == StoredRule::Any {
            return;
        }
        let Some(bytes) = self.bytes(block, slot) else { return };
        if let Err(bad) = self.rule.check(&bytes) {
            let (severity, state) = match lives {
                true => (Severity::Damage, "its object is no value of its type"),
                false => (Severity::Note, "its object is in quarantine and no value of its type"),
            };
            walk.find(severity, place, format!("{state}: {bad}"));
        }
    }

    /// Returns the bytes of the object in the slot at an offset of the block.
    fn bytes(&self, block: &Region, slot: u64) -> Option<Vec<u8>> {
        let start = slot.checked_add(self.head)?;
        let words = block.table::<Word>(start, self.size.div_ceil(8)).ok()?;
        let words = (0..words.len()).filter_map(|number| words.get(number));
        let mut bytes: Vec<u8> = words.flat_map(|word| word.load().to_le_bytes()).collect();
        bytes.truncate(self.size as usize);
        Some(bytes)
    }
}
