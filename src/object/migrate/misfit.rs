//! Why one object cannot be converted.

use crate::object::BadValue;
use std::fmt;

/// One stored object cannot become an object of the new type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Misfit {
    /// The field, with those that it is in: `bag[].name`; empty for the object itself.
    pub(crate) field: String,
    /// What was found, and what there is room for.
    pub(crate) what: String,
}

impl Misfit {
    #[cold]
    pub(super) fn new(field: &str, what: impl fmt::Display) -> Self {
        Misfit { field: field.to_owned(), what: what.to_string() }
    }

    /// The object has fewer bytes than its type.
    #[cold]
    pub(super) fn short() -> Self {
        Misfit::new("", "it has not the size of its type")
    }
}

impl From<BadValue> for Misfit {
    fn from(bad: BadValue) -> Self {
        Misfit { field: bad.field, what: bad.what }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.what),
            field => write!(f, "{field}: {}", self.what),
        }
    }
}

impl std::error::Error for Misfit {}
