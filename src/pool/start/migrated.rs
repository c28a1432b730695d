//! What a migration has done, as a value and as a line of the report.

use crate::units::{Bytes, Span, plural};
use std::fmt;
use std::time::Duration;

/// A type whose objects were copied to the form that this build has.
///
/// Its old form is kept until `ready()`: an older build that starts before that finds its objects as
/// they were.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migrated {
    /// Name of the type.
    pub name: String,
    /// Number of live objects.
    pub objects: u64,
    /// Bytes that the new form takes.
    pub bytes: Bytes,
    /// What happened to each field, a line each.
    pub fields: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, objects) = (&self.name, plural(self.objects, "object"));
        write!(f, "migrated {objects} of `{name}` ({} in {})", plural(self.bytes.0, "byte"), Span(self.took))
    }
}
