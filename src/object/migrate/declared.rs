//! What the source declares of one field.

use crate::object::{Change, How};

/// The declared changes of one field.
#[derive(Clone, Default)]
pub(super) struct Declared<'a> {
    pub(super) default: Option<fn(&mut [u8])>,
    pub(super) transient: Option<fn(&mut [u8])>,
    /// Former names, each with the position of the ini line that says so, if one does.
    pub(super) was: Vec<Former<'a>>,
    /// Former names of fields inside, each after the name of that field.
    pub(super) inner: Vec<(&'a str, Former<'a>)>,
    pub(super) is_bits: bool,
    pub(super) is_sorted: bool,
    /// Changes of the whole type.
    pub(super) changes: &'a [Change<'a>],
}

/// A former name, and the position of the ini line that says so, if one does.
pub(super) type Former<'a> = (&'a str, Option<&'a str>);

impl<'a> Declared<'a> {
    /// Returns the changes of the field with this name.
    pub(super) fn of(changes: &'a [Change<'a>], name: &str) -> Self {
        let mut found = Declared { changes, ..Declared::default() };
        for Change { field, how } in changes {
            let inner = field.strip_prefix(name).and_then(|tail| tail.strip_prefix('.'));
            match (*how, inner) {
                (How::Was(was), Some(inner)) => found.inner.push((inner, (was, None))),
                (How::WasByIni(was, place), Some(inner)) => found.inner.push((inner, (was, Some(place)))),
                _ if *field != name => {}
                (How::Default(write), _) => found.default = Some(write),
                (How::Transient(write), _) => found.transient = Some(write),
                (How::Was(was), None) => found.was.push((was, None)),
                (How::WasByIni(was, place), None) => found.was.push((was, Some(place))),
                (How::Bits, _) => found.is_bits = true,
                (How::Sorted, _) => found.is_sorted = true,
                (How::Removed, _) => {}
            }
        }
        found
    }
}

/// Returns whether a field of this name is declared as gone.
pub(super) fn is_removed(changes: &[Change<'_>], name: &str) -> bool {
    changes.iter().any(|change| change.field == name && change.how == How::Removed)
}

/// Returns the names of fields that are declared as gone.
pub(super) fn removed<'a>(changes: &'a [Change<'a>]) -> impl Iterator<Item = &'a str> {
    changes.iter().filter(|change| change.how == How::Removed).map(|change| change.field)
}
