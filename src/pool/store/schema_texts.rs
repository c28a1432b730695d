//! The schema texts of the forms of all types, in the area that the base has for them.

use crate::layout::TypeInfo;
use crate::limits;
use crate::object::{SchemaText, StoredField};
use crate::pool::store::base::Base;
use crate::pool::store::wanted::Wanted;
use crate::word::{Word, padded};
use std::ops::Range;

/// Returns the stored fields of a type, if the segment has them and they are valid.
pub(crate) fn read(base: &Base, info: &TypeInfo) -> Option<Vec<StoredField>> {
    SchemaText::parse(&text(base, info)?).ok()
}

/// Returns the stored schema text of a type, if the segment has one.
pub(crate) fn text(base: &Base, info: &TypeInfo) -> Option<String> {
    let len = u64::from(info.schema_len.load());
    let start = base.header.geometry.schema_off.load();
    let end = start.checked_add(base.header.geometry.schema_bytes.load())?;
    let at = info.schema_off.load();
    if len == 0 || len > limits::MAX_SCHEMA_BYTES || at < start || at.checked_add(len)? > end {
        return None;
    }
    let words = base.region.table::<Word>(at, len.div_ceil(8)).ok()?;
    let mut bytes: Vec<u8> =
        (0..words.len()).filter_map(|n| words.get(n)).flat_map(|w| w.load().to_le_bytes()).collect();
    bytes.truncate(len as usize);
    String::from_utf8(bytes).ok()
}

/// Stores the schema text, so that a later build can name what has changed. It lies where no form in
/// use has its text.
///
/// Without room for it, the fingerprint still shows that something has changed.
pub(crate) fn write(base: &Base, wanted: &Wanted, info: &TypeInfo) {
    let text = wanted.schema();
    let len = text.len() as u64;
    info.schema_len.fill(0);
    info.schema_off.fill(0);
    let place = (len <= limits::MAX_SCHEMA_BYTES).then(|| free_place(base, len.next_multiple_of(8)));
    let Some(place) = place.flatten() else {
        log::warn!(
            "no room for the schema text of `{}`: a later change of the type will be refused without details",
            wanted.name
        );
        return;
    };
    let at = base.header.geometry.schema_off.load().saturating_add(place);
    let Ok(words) = base.region.table::<Word>(at, len.div_ceil(8)) else { return };
    for (number, bytes) in text.as_bytes().chunks(8).enumerate() {
        if let Some(word) = words.get(number) {
            word.fill(padded(bytes));
        }
    }
    info.schema_off.fill(at);
    info.schema_len.fill(len as u32);
    let end = used(base).last().map_or(0, |last| last.end);
    base.header.schema_used.store(end.max(place + len.next_multiple_of(8)));
}

/// Stores where the texts of the forms in use end, after some forms have gone.
pub(crate) fn settle(base: &Base) {
    base.header.schema_used.store(used(base).last().map_or(0, |last| last.end));
}

/// Returns the bytes of the area that the texts of forms in use have, in the order of their ends.
///
/// The text of an interrupted `add_type` is not among them.
fn used(base: &Base) -> Vec<Range<u64>> {
    let start = base.header.geometry.schema_off.load();
    let forms = base
        .listed_types()
        .flat_map(|old| [base.next_of(&old), base.draft_of(&old), Some(old)].into_iter().flatten());
    let texts = forms.filter(|info| info.schema_len.load() != 0).map(|info| {
        let at = info.schema_off.load().saturating_sub(start);
        let end = at.saturating_add(info.schema_len.load().into());
        at..end.checked_next_multiple_of(8).unwrap_or(u64::MAX)
    });
    let mut found: Vec<_> = texts.collect();
    found.sort_by_key(|text| (text.end, text.start));
    found
}

/// Returns where the first free `bytes` of the area begin.
fn free_place(base: &Base, bytes: u64) -> Option<u64> {
    let mut used = used(base);
    used.sort_by_key(|text| text.start);
    let mut place = 0_u64;
    for text in used {
        if place.checked_add(bytes)? <= text.start {
            break;
        }
        place = place.max(text.end);
    }
    place.checked_add(bytes).filter(|end| *end <= base.header.geometry.schema_bytes.load()).map(|_| place)
}
