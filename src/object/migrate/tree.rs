//! The tree of fields, of which a schema text is the list.

use crate::limits;
#[cfg(feature = "schemas")]
use crate::object::How;
#[cfg(feature = "schemas")]
use crate::object::schemas::{FieldSchema, TypeSchema};
use crate::object::{Change, Field, StoredField};
use std::fmt;

/// A field with those inside it.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    /// Name without those of the enclosing fields.
    pub(super) name: String,
    pub(super) type_name: String,
    /// Bytes from the beginning of the enclosing field.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) fingerprint: u64,
    /// Number of array dimensions. A text tells it only if there are fields inside.
    pub(super) rank: Option<usize>,
    pub(super) inside: Vec<Tree<'a>>,
    pub(super) changes: Vec<Change<'a>>,
}

/// The fields of a stored schema are those of no type.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DamagedSchema {
    /// The field; empty for the whole.
    pub field: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for DamagedSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored schema is damaged: ")?;
        if !self.field.is_empty() {
            write!(f, "field `{}`: ", self.field)?;
        }
        f.write_str(self.what)
    }
}

impl std::error::Error for DamagedSchema {}

impl DamagedSchema {
    pub(super) fn new(field: &str, what: &'static str) -> Self {
        DamagedSchema { field: field.to_owned(), what }
    }
}

/// Largest depth of a tree. The longest text has room for about 110 names that contain each other.
const MOST_DEEP: usize = 128;

/// Largest size of an object, so that no sum of offsets and sizes overflows.
const MOST_BYTES: u64 = 1 << 40;

/// Largest number of dimensions of an array that has fields inside.
const MOST_DIMENSIONS: usize = 8;

impl<'a> Tree<'a> {
    /// Returns the tree of a stored object.
    pub(super) fn of_lines(lines: &[StoredField], size: u64) -> Result<Self, DamagedSchema> {
        // The shortest line is longer than that.
        if lines.len() as u64 > limits::MAX_SCHEMA_BYTES / 16 {
            return Err(DamagedSchema::new("", "it has more fields than a stored schema has room for"));
        }
        if size > MOST_BYTES {
            return Err(DamagedSchema::new("", "it is of an object that no memory holds"));
        }
        let inside = inside(lines, "", 0, 0)?;
        Ok(Tree::object(size, inside, Vec::new()))
    }

    /// Returns the tree of a type of this build.
    pub(super) fn of_fields(fields: &'static [Field], size: u64, changes: &[Change<'a>]) -> Self {
        Tree::object(size, fields.iter().map(Tree::of_field).collect(), changes.to_vec())
    }

    /// Returns the tree of a type of a build that has written its schemas.
    #[cfg(feature = "schemas")]
    pub(super) fn of_schema(schema: &'a TypeSchema) -> Result<Self, DamagedSchema> {
        let mut tree = Tree::of_lines(&schema.lines(), schema.bytes)?;
        tree.declare(&schema.removed, &mut schema.fields.iter());
        Ok(tree)
    }

    /// Adds the changes that a schema declares. The fields come in the order of its lines.
    #[cfg(feature = "schemas")]
    fn declare(&mut self, removed: &'a [String], fields: &mut std::slice::Iter<'a, FieldSchema>) {
        self.changes.extend(removed.iter().map(|name| Change { field: name, how: How::Removed }));
        for inner in &mut self.inside {
            let Some(field) = fields.next() else { return };
            self.changes.extend(field.changes());
            inner.declare(&field.removed, fields);
        }
    }

    fn object(size: u64, inside: Vec<Self>, changes: Vec<Change<'a>>) -> Self {
        let (name, type_name) = (String::new(), String::new());
        Tree { name, type_name, offset: 0, size, fingerprint: 0, rank: Some(0), inside, changes }
    }

    fn of_field(field: &Field) -> Self {
        let Field { name, desc, offset } = field;
        Tree {
            name: (*name).to_owned(),
            type_name: desc.name.to_owned(),
            offset: *offset as u64,
            size: desc.size as u64,
            fingerprint: desc.fingerprint,
            rank: Some(desc.rank),
            inside: desc.fields.iter().map(Tree::of_field).collect(),
            changes: desc.changes.to_vec(),
        }
    }

    /// Returns the number of the variant that this is, and not a field.
    pub(super) fn variant(&self) -> Option<u64> {
        self.type_name.strip_prefix("variant ")?.parse().ok()
    }
}

/// Returns the fields of `lines`, whose names begin with `prefix` and which begin at `start`.
fn inside<'a>(
    mut lines: &[StoredField],
    prefix: &str,
    start: u64,
    depth: usize,
) -> Result<Vec<Tree<'a>>, DamagedSchema> {
    let mut found = Vec::new();
    while let Some((line, rest)) = lines.split_first() {
        let damage = |what| Err(DamagedSchema::new(&line.name, what));
        let is_inside = |other: &&StoredField| {
            other.name.strip_prefix(&line.name).is_some_and(|tail| tail.starts_with(['.', '[']))
        };
        let (within, rest) = rest.split_at(rest.iter().take_while(is_inside).count());
        lines = rest;
        let Some(name) = line.name.strip_prefix(prefix) else { return damage("it is in another struct") };
        let printable = !line.name.chars().chain(line.type_name.chars()).any(char::is_control);
        if name.is_empty() || name.contains(['.', '[', ']']) || !printable {
            return damage("it has no name");
        }
        let Some(offset) = line.offset.checked_sub(start) else {
            return damage("it begins before its struct");
        };
        if depth >= MOST_DEEP {
            return damage("too many fields contain each other");
        }
        let brackets = within.first().and_then(|first| first.name.strip_prefix(&line.name));
        let rank = brackets.map(|tail| (tail.len() - tail.trim_start_matches("[]").len()) / "[]".len());
        if rank > Some(MOST_DIMENSIONS) {
            return damage("it has too many dimensions");
        }
        let inner = format!("{}{}.", line.name, "[]".repeat(rank.unwrap_or(0)));
        found.push(Tree {
            name: name.to_owned(),
            type_name: line.type_name.clone(),
            offset,
            size: line.size,
            fingerprint: line.fingerprint,
            rank,
            inside: inside(within, &inner, line.offset, depth + 1)?,
            changes: Vec::new(),
        });
    }
    Ok(found)
}
