//! Changes of a type that its source declares, for objects that an earlier build left.

use std::fmt;

/// One declared change: a `default`, `was`, `removed` or `transient` of `#[pool(..)]`.
///
/// The changes of a type say what becomes of objects that an earlier build stored with other fields.
/// They are no part of its fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Field or variant that has the attribute; for [`How::Removed`] the name that is gone.
    pub field: &'a str,
    /// The attribute.
    pub how: How<'a>,
}

/// The declared changes of a field.
#[derive(Clone, Copy)]
pub enum How<'a> {
    /// Objects without the field get this value: the function writes it.
    Default(fn(&mut [u8])),
    /// The stored value means nothing: the function writes the default.
    Transient(fn(&mut [u8])),
    /// The field had this name, which may be that of a field inside another: `pos.x`.
    Was(&'a str),
    /// The field had this name, as the line of an ini at this position says.
    WasByIni(&'a str, &'a str),
    /// A field of this name has been removed.
    Removed,
    /// The field holds one bit for each number: new words are zero, and words that are zero may go.
    Bits,
    /// The field is a list that lies in the order of its items.
    Sorted,
}

impl<'a> How<'a> {
    /// Returns the change without its function.
    fn plain(self) -> (u8, &'a str) {
        match self {
            How::Default(_) => (0, ""),
            How::Transient(_) => (1, ""),
            How::Was(name) => (2, name),
            How::Removed => (3, ""),
            How::Bits => (4, ""),
            How::Sorted => (5, ""),
            How::WasByIni(name, _) => (6, name),
        }
    }
}

/// Compares the kinds and names alone, because addresses of functions mean nothing.
impl PartialEq for How<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.plain() == other.plain()
    }
}

impl Eq for How<'_> {}

impl fmt::Debug for How<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            How::Default(_) => f.write_str("Default"),
            How::Transient(_) => f.write_str("Transient"),
            How::Was(name) => write!(f, "Was({name:?})"),
            How::WasByIni(name, place) => write!(f, "WasByIni({name:?}, {place:?})"),
            How::Removed => f.write_str("Removed"),
            How::Bits => f.write_str("Bits"),
            How::Sorted => f.write_str("Sorted"),
        }
    }
}
