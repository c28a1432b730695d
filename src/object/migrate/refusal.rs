//! Why stored objects cannot become objects of this build, and what to write in the source.

use super::tree::DamagedSchema;
use crate::object::Difference;
use std::fmt;

/// There is no way to convert stored objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The stored schema describes no type.
    Damaged(DamagedSchema),
    /// Fields have changed in a way that needs an attribute, or a function.
    Changed {
        /// Name of the type in the pool.
        name: String,
        /// Why, field by field.
        reasons: Vec<Reason>,
        /// All that differs.
        differences: Vec<Difference>,
        /// A function to write, if attributes are not enough.
        function: Option<String>,
    },
}

/// Why a field stands in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reason {
    /// The field, with those that it is in.
    pub(crate) field: String,
    /// What is wrong with it, as the rest of a sentence.
    pub(crate) why: String,
    /// What to write in the source, one way a line; empty if no attribute is enough.
    pub(crate) write: Vec<String>,
    pub(super) side: Side,
}

/// Which of the two schemas has the field of a reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// This build; the field has a type of this fingerprint.
    New(u64),
    /// The stored one.
    Old(u64),
    Both,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, reasons, differences, function) = match self {
            Refusal::Damaged(damage) => return damage.fmt(f),
            Refusal::Changed { name, reasons, differences, function } => {
                (name, reasons, differences, function)
            }
        };
        write!(f, "cannot convert the stored objects of type {name}:")?;
        for Reason { field, why, .. } in reasons {
            match field.as_str() {
                "" => write!(f, "\n  {why}")?,
                field => write!(f, "\n  `{field}` {why}")?,
            }
        }
        f.write_str("\nwhat differs:")?;
        differences.iter().try_for_each(|difference| write!(f, "\n  {difference}"))?;
        if let Some(function) = function {
            f.write_str("\nto keep the values, write a function:")?;
            return function.lines().try_for_each(|line| match line {
                "" => f.write_str("\n"),
                line => write!(f, "\n  {line}"),
            });
        }
        f.write_str("\nwrite in the source:")?;
        let mut lines = reasons.iter().flat_map(|reason| &reason.write);
        lines.try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Refusal {}
