//! What the source declares of one field.

use crate::object::{Change, How};

/// The declared changes of one field.
#[derive(Clone, Default)]
pub(super) struct Declared {
    pub(super) default: Option<fn(&mut [u8])>,
    pub(super) transient: Option<fn(&mut [u8])>,
    /// Former names.
    pub(super) was: Vec<&'static str>,
    /// Former names of fields inside, each after the name of that field.
    pub(super) inner: Vec<(&'static str, &'static str)>,
    pub(super) is_bits: bool,
    pub(super) is_sorted: bool,
    /// Changes of the whole type.
    pub(super) changes: &'static [Change],
}

impl Declared {
    /// Returns the changes of the field with this name.
    pub(super) fn of(changes: &'static [Change], name: &str) -> Self {
        let mut found = Declared { changes, ..Declared::default() };
        for Change { field, how } in changes {
            let inner = field.strip_prefix(name).and_then(|tail| tail.strip_prefix('.'));
            match (*how, inner) {
                (How::Was(was), Some(inner)) => found.inner.push((inner, was)),
                _ if *field != name => {}
                (How::Default(write), _) => found.default = Some(write),
                (How::Transient(write), _) => found.transient = Some(write),
                (How::Was(was), None) => found.was.push(was),
                (How::Bits, _) => found.is_bits = true,
                (How::Sorted, _) => found.is_sorted = true,
                (How::Removed, _) => {}
            }
        }
        found
    }
}

/// Returns whether a field of this name is declared as gone.
pub(super) fn is_removed(changes: &[Change], name: &str) -> bool {
    changes.iter().any(|change| change.field == name && change.how == How::Removed)
}

/// Returns the names of fields that are declared as gone.
pub(super) fn removed(changes: &'static [Change]) -> impl Iterator<Item = &'static str> {
    changes.iter().filter(|change| change.how == How::Removed).map(|change| change.field)
}
