//! The schemas of all types of a build, or of a pool, as JSON.

use crate::object::migrate::Migration;
use crate::object::schema_text::flatten;
use crate::object::{Change, Field, How, PoolObject, StoredField};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The version of the form that this build writes and reads.
const FORMAT: u32 = 1;

/// The schemas of the types of a build, with the changes that its source declares.
///
/// A program prints them, and `hotpool compat` compares them with a pool before the build is
/// deployed. `hotpool schema --json` writes those of a pool in the same form.
///
/// ```
/// use hotpool::PoolObject;
/// use hotpool::object::Schemas;
///
/// #[repr(C)]
/// #[derive(Clone, Copy, PoolObject)]
/// #[pool(id = 1)]
/// struct Player {
///     uid: u64,
///     #[pool(was = "hp")]
///     health: u32,
/// }
///
/// #[repr(C)]
/// #[derive(Clone, Copy, PoolObject)]
/// #[pool(id = 2)]
/// struct Corpse {
///     at: [f32; 2],
/// }
///
/// let json = Schemas::new().with::<Player>().with::<Corpse>().to_json();
/// assert!(json.contains("\"health\""));
/// assert_eq!(Schemas::from_json(&json)?.types.len(), 2);
/// # Ok::<(), hotpool::object::SchemasError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Schemas {
    /// Version of the form.
    #[serde(rename = "hotpool_schemas")]
    format: u32,
    /// The types.
    pub types: Vec<TypeSchema>,
}

/// One type of a build or of a pool.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TypeSchema {
    /// Type number.
    pub id: u16,
    /// Name of the type in the pool.
    pub name: String,
    /// Whether objects have a user key.
    pub keyed: bool,
    /// Size of an object in bytes.
    pub bytes: u64,
    /// Alignment of an object in bytes.
    pub align: u32,
    /// Fingerprint of the fields.
    #[serde(with = "hexadecimal")]
    pub fingerprint: u64,
    /// Names of fields that the source declares as removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// The fields, each before those inside it.
    pub fields: Vec<FieldSchema>,
    /// The old layouts from which a `migration!` converts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<OldLayout>,
}

/// One field, with what the source declares of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FieldSchema {
    /// Name, preceded by those of the enclosing fields, as in [`StoredField::name`].
    pub name: String,
    /// Type as the source writes it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Bytes from the beginning of the object.
    pub offset: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Fingerprint of the field's type.
    #[serde(with = "hexadecimal")]
    pub fingerprint: u64,
    /// Whether objects without the field get a default.
    #[serde(default, skip_serializing_if = "is_false")]
    pub default: bool,
    /// Whether each start resets it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub transient: bool,
    /// Former names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<String>,
    /// Former names of fields inside it, which were outside, by `field.inner`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub was_outside: BTreeMap<String, Vec<String>>,
    /// Names of fields that the source declares as removed from its type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Whether it holds one bit for each number.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bits: bool,
    /// Whether it is a list in the order of its items.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sorted: bool,
}

/// An old layout of a type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OldLayout {
    /// Size of an object in bytes.
    pub bytes: u64,
    /// The fields.
    pub fields: Vec<FieldSchema>,
}

/// A text is not the schemas of a build.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SchemasError {
    /// Line, from 1; 0 if the text as a whole is meant.
    pub line: usize,
    /// Column, from 1; 0 if the text as a whole is meant.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for SchemasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}, column {}: {}", self.column, self.what),
        }
    }
}

impl std::error::Error for SchemasError {}

impl Default for Schemas {
    fn default() -> Self {
        Schemas { format: FORMAT, types: Vec::new() }
    }
}

impl Schemas {
    /// Creates a list without types.
    pub fn new() -> Self {
        Schemas::default()
    }

    /// Adds a type of this build.
    #[must_use]
    pub fn with<T: PoolObject>(mut self) -> Self {
        self.types.push(TypeSchema::of::<T>());
        self
    }

    /// Returns the JSON text.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them are always valid.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Parses a JSON text.
    ///
    /// # Errors
    ///
    /// The text is no JSON, or not of the form that this version of hotpool writes, or two types have
    /// the same number or name.
    pub fn from_json(text: &str) -> Result<Self, SchemasError> {
        let schemas: Schemas = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = error.to_string();
            let what = what.split_once(" at line ").map_or(what.as_str(), |(what, _)| what);
            SchemasError { line, column, what: what.escape_debug().to_string() }
        })?;
        let whole = |what: String| Err(SchemasError { line: 0, column: 0, what });
        if schemas.format != FORMAT {
            return whole(format!(
                "its form is version {}, and this hotpool reads version {FORMAT}",
                schemas.format
            ));
        }
        for (at, one) in schemas.types.iter().enumerate() {
            let before = schemas.types.get(..at).unwrap_or_default();
            if before.iter().any(|other| other.id == one.id) {
                return whole(format!("two types have the number {}", one.id));
            }
            if before.iter().any(|other| other.name == one.name) {
                return whole(format!("two types have the name {:?}", one.name));
            }
        }
        Ok(schemas)
    }
}

#[cfg(test)]
impl Schemas {
    /// Adds a type that no Rust type stands for.
    pub(crate) fn with_fields(
        mut self,
        fields: &'static [Field],
        changes: &'static [Change<'static>],
        size: usize,
    ) -> Self {
        let mut found = Vec::new();
        push_fields(&mut found, fields, changes, 0, "");
        self.types.push(TypeSchema {
            id: 1,
            name: "hero".to_owned(),
            keyed: false,
            bytes: size as u64,
            align: 1,
            fingerprint: 0,
            removed: removed(changes),
            fields: found,
            functions: Vec::new(),
        });
        self
    }
}

impl TypeSchema {
    /// Returns the schema of a type of this build.
    pub fn of<T: PoolObject>() -> Self {
        let old = |migration: &Migration| {
            let fields = flatten(migration.fields()).into_iter().map(FieldSchema::from);
            OldLayout { bytes: migration.size() as u64, fields: fields.collect() }
        };
        let mut fields = Vec::new();
        push_fields(&mut fields, T::FIELDS, T::CHANGES, 0, "");
        TypeSchema {
            id: T::TYPE_ID,
            name: T::NAME.to_owned(),
            keyed: T::KEYED,
            bytes: size_of::<T>() as u64,
            align: align_of::<T>() as u32,
            fingerprint: T::FINGERPRINT,
            removed: removed(T::CHANGES),
            fields,
            functions: T::MIGRATIONS.iter().map(old).collect(),
        }
    }

    /// Returns the fields as a schema text lists them.
    pub(crate) fn lines(&self) -> Vec<StoredField> {
        self.fields.iter().map(FieldSchema::stored).collect()
    }
}

impl OldLayout {
    /// Returns the fields as a schema text lists them.
    pub(crate) fn lines(&self) -> Vec<StoredField> {
        self.fields.iter().map(FieldSchema::stored).collect()
    }
}

/// A field of a pool declares nothing.
impl From<StoredField> for FieldSchema {
    fn from(field: StoredField) -> Self {
        let StoredField { offset, size, fingerprint, type_name, name } = field;
        FieldSchema { name, type_name, offset, bytes: size, fingerprint, ..FieldSchema::default() }
    }
}

impl FieldSchema {
    /// Returns the field as a schema text lists it.
    pub fn stored(&self) -> StoredField {
        StoredField {
            offset: self.offset,
            size: self.bytes,
            fingerprint: self.fingerprint,
            type_name: self.type_name.clone(),
            name: self.name.clone(),
        }
    }

    /// Returns what the source declares of the field.
    pub(crate) fn changes(&self) -> Vec<Change<'_>> {
        let field = self.name.rsplit('.').next().unwrap_or_default();
        let flags = [
            (self.default, How::Default(|_| ())),
            (self.transient, How::Transient(|_| ())),
            (self.bits, How::Bits),
            (self.sorted, How::Sorted),
        ];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, how)| how);
        let was = self.was.iter().map(|was| How::Was(was));
        let outside = self.was_outside.iter().flat_map(|(field, was)| {
            was.iter().map(|was| Change { field: field.as_str(), how: How::Was(was) })
        });
        flags.chain(was).map(|how| Change { field, how }).chain(outside).collect()
    }

    /// Adds what the type that has the field declares of it.
    fn declare(&mut self, own: &str, changes: &[Change<'_>]) {
        for Change { field, how } in changes {
            let inner = field.strip_prefix(own).and_then(|tail| tail.strip_prefix('.'));
            match (how, inner) {
                (How::Was(was), Some(_)) => {
                    self.was_outside.entry((*field).to_owned()).or_default().push((*was).to_owned());
                }
                _ if *field != own => {}
                (How::Default(_), _) => self.default = true,
                (How::Transient(_), _) => self.transient = true,
                (How::Was(was), None) => self.was.push((*was).to_owned()),
                (How::Bits, _) => self.bits = true,
                (How::Sorted, _) => self.sorted = true,
                (How::Removed | How::WasByIni(..), _) => {}
            }
        }
    }
}

fn push_fields(
    found: &mut Vec<FieldSchema>,
    fields: &[Field],
    changes: &[Change<'_>],
    start: u64,
    prefix: &str,
) {
    for Field { name: own, desc, offset } in fields {
        let (name, offset) = (format!("{prefix}{own}"), start + *offset as u64);
        let inside = format!("{name}{}.", "[]".repeat(desc.rank));
        let mut field = FieldSchema {
            name,
            type_name: desc.name.to_owned(),
            offset,
            bytes: desc.size as u64,
            fingerprint: desc.fingerprint,
            removed: removed(desc.changes),
            ..FieldSchema::default()
        };
        field.declare(own, changes);
        found.push(field);
        push_fields(found, desc.fields, desc.changes, offset, &inside);
    }
}

fn removed(changes: &[Change<'_>]) -> Vec<String> {
    let gone = changes.iter().filter(|change| change.how == How::Removed);
    gone.map(|change| change.field.to_owned()).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Fingerprints in hexadecimal, because many readers of JSON have only 53 bits for a number.
mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(print: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{print:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        let print = u64::from_str_radix(&text, 16).ok().filter(|_| text.len() == 16);
        print.ok_or_else(|| D::Error::custom("expected a fingerprint of 16 hexadecimal digits"))
    }
}
