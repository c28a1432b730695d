//! What a plan does with one field, as a line for people.

use std::fmt;

/// What happens to a field; prints as a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// The field in this build, with those that it is in; for a removed field the stored name.
    pub(crate) field: String,
    /// What happens to it: `widened from u32 to u64`.
    pub(crate) what: String,
    /// A line of the ini says so, which the log repeats.
    pub(crate) by_ini: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.what)
    }
}
