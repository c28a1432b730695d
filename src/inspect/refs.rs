//! Checks the references in objects: which of them lead to no object.
//!
//! A reference may dangle: that is a note, and the pool is sound. The schema text of a type says
//! where its references are. Those in lists, arrays and the variants of enums are left out, because
//! they are not always there.

use crate::inspect::finding::{Place, Severity};
use crate::inspect::walk::{Standing, Type, Walk};
use crate::object::{Fingerprint, Handle, StoredField};
use crate::pool::store::schema_texts;
use crate::pool::store::shape::slot_offset;
use crate::pool::store::slot::Slot;
use crate::units::plural;
use crate::word::Word;
use std::collections::{BTreeMap, HashMap};

/// A reference in the objects of a type.
struct Reference {
    name: String,
    offset: u64,
    /// The type to which it leads.
    to: u16,
    /// It is the owner of the object.
    is_owner: bool,
}

/// The objects of which a reference leads nowhere.
#[derive(Default)]
struct Dangling {
    count: u64,
    first: Option<(Place, u64)>,
}

/// Reports the references that lead to no object, for a pool in which nothing is in motion.
pub(crate) fn check(walk: &mut Walk<'_>, types: &BTreeMap<u16, Type>) {
    if walk.pool.standing == Standing::Live {
        return;
    }
    let prints: HashMap<u64, u16> =
        (1..=crate::limits::MAX_TYPE_ID).map(|id| (Fingerprint::of_ref(id), id)).collect();
    for ty in types.values() {
        let Some(fields) = schema_texts::read(walk.base, &ty.info) else { continue };
        let owner = ty.info.followed.load() & u64::from(u32::MAX);
        for reference in references(&fields, owner, &prints) {
            let found = dangling(ty, &reference, types);
            let Some((place, bits)) = found.first else { continue };
            walk.find(Severity::Note, place, sentence(&reference, found.count, bits));
        }
    }
}

/// Returns the references that are in every object of a type, whose owner is at offset `owner - 1`.
fn references(fields: &[StoredField], owner: u64, prints: &HashMap<u64, u16>) -> Vec<Reference> {
    // What is inside an enum or a list follows it, and its name begins with that of the enum or list.
    let mut inside: Option<&str> = None;
    let mut found = Vec::new();
    for field in fields {
        let is_in = |outer: &str| {
            field.name.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[', '(']))
        };
        if inside.is_some_and(is_in) {
            continue;
        }
        inside = None;
        if let Some(to) = prints.get(&field.fingerprint).filter(|_| field.size == 8) {
            let is_owner = field.offset + 1 == owner;
            found.push(Reference { name: field.name.clone(), offset: field.offset, to: *to, is_owner });
        } else if is_optional(field, fields) {
            inside = Some(&field.name);
        }
    }
    found
}

/// Returns whether the parts of a field are not in every object: those of an enum, a list, or an
/// array.
fn is_optional(field: &StoredField, fields: &[StoredField]) -> bool {
    fields.iter().any(|part| {
        part.name.strip_prefix(&field.name).is_some_and(|rest| {
            rest.starts_with(['[', '('])
                || rest.strip_prefix('.').is_some_and(|rest| !rest.contains(['.', '[']))
                    && part.type_name.starts_with("variant ")
        })
    })
}

fn dangling(ty: &Type, reference: &Reference, types: &BTreeMap<u16, Type>) -> Dangling {
    let mut found = Dangling::default();
    let (shift, head) = (ty.info.shift.load(), u64::from(ty.info.head.load()));
    let with_memory = ty.slots.iter().enumerate().filter_map(|(at, extent)| Some((at, extent.as_ref()?)));
    for (ordinal, extent) in with_memory {
        for in_extent in 0..1u32 << shift {
            let Some(offset) = slot_offset(&ty.info, extent.offset, in_extent) else { break };
            let Ok(header) = extent.block.at::<Word>(offset) else { break };
            let field = offset.checked_add(head).and_then(|start| start.checked_add(reference.offset));
            let field = field.and_then(|field| extent.block.at::<Word>(field).ok());
            let Some(bits) = field.map(|field| field.load()) else { break };
            if !Slot::is_live(header.load()) || bits == 0 || resolves(bits, reference.to, types) {
                continue;
            }
            found.count += 1;
            found.first.get_or_insert_with(|| {
                let slot = u32::try_from(((ordinal as u64) << shift) + u64::from(in_extent)).ok();
                (Place { type_id: Some(ty.id), slot, segment: Some(extent.key), offset: Some(offset) }, bits)
            });
        }
    }
    found
}

/// Returns whether the bits are the handle of a live object of a type.
fn resolves(bits: u64, to: u16, types: &BTreeMap<u16, Type>) -> bool {
    let lives = || {
        let handle = Handle::from_bits(bits).filter(|handle| handle.type_id() == to)?;
        let ty = types.get(&to)?;
        let extent = ty.slots.get((handle.index() >> ty.info.shift.load()) as usize)?.as_ref()?;
        let offset = slot_offset(&ty.info, extent.offset, handle.index())?;
        Some(extent.block.at::<Word>(offset).ok()?.load() == bits)
    };
    lives() == Some(true)
}

fn sentence(reference: &Reference, count: u64, bits: u64) -> String {
    let Reference { name, is_owner, .. } = reference;
    let to = Handle::from_bits(bits).map_or(format!("{bits:#x}, no handle"), |handle| handle.to_string());
    let objects = plural(count, "object");
    match (is_owner, count) {
        (true, 1) => format!("it is an orphan: its owner (`{name}`) is {to}, which does not live"),
        (true, _) => {
            format!(
                "{objects} are orphans: the owner (`{name}`) of the first one is {to}, which does not live"
            )
        }
        (false, 1) => format!("its field `{name}` refers to {to}, which does not live"),
        (false, _) => format!(
            "the field `{name}` of {objects} refers to an object that does not live, in the first one to {to}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{FixedVec, Maybe, PoolObject, Ref, Schema, SchemaText};

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 3)]
    struct Guild {
        gold: u64,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema)]
    struct Inner {
        number: u64,
        guild: Ref<Guild>,
    }

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 4)]
    struct Player {
        #[pool(owner)]
        guild: Ref<Guild>,
        inner: Inner,
        maybe: Maybe<Inner>,
        list: FixedVec<Inner, 2>,
        array: [Inner; 2],
        next: Ref<Player>,
    }

    #[test]
    fn the_references_in_every_object_are_found_and_no_others() {
        let fields = SchemaText::parse(&SchemaText::of::<Player>()).unwrap();
        let prints = HashMap::from([(Fingerprint::of_ref(3), 3), (Fingerprint::of_ref(4), 4)]);
        let found = references(&fields, 1, &prints);
        let found: Vec<_> = found.into_iter().map(|one| (one.name, one.to, one.is_owner)).collect();
        let expected = [("guild", 3, true), ("inner.guild", 3, false), ("next", 4, false)];
        assert_eq!(found, expected.map(|(name, to, is_owner)| (name.to_owned(), to, is_owner)));
    }
}
