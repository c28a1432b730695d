//! The text form of a schema, which a build stores in the segment for later builds.

use crate::limits;
use crate::object::{Field, Schema};
use std::collections::HashSet;
use std::fmt;

/// The text form of a schema: one line for each field, ending with a newline.
///
/// ```text
/// 0 8 2b03fdd28e27f29b u64 uid
/// 8 12 d3c19f2472c7d505 Vec3 pos
/// 8 4 866570d230e6ffe1 f32 pos.x
/// ```
///
/// A line holds the offset in the object, the size in bytes, the fingerprint, the type as the
/// source writes it, and the name. The fields inside a struct follow it, such as `pos.x`. An array
/// of structs is followed by the fields of its first element, such as `slots[].count`.
///
/// ```
/// use hotpool::object::{Schema, SchemaText};
///
/// #[repr(C)]
/// #[derive(Schema)]
/// struct Position {
///     x: f32,
///     y: f32,
/// }
///
/// let text = SchemaText::of::<Position>();
/// let fields = SchemaText::parse(&text)?;
/// assert_eq!(fields[1].name, "y");
/// assert_eq!(fields[1].offset, 4);
/// # Ok::<(), hotpool::object::SchemaError>(())
/// ```
#[derive(Debug)]
pub enum SchemaText {}

/// One line of a [`SchemaText`]: a field of the object, or a field of a nested struct.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredField {
    /// Bytes from the beginning of the object.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Fingerprint of the field's type.
    pub fingerprint: u64,
    /// Type as written in the source of the build that stored the text.
    pub type_name: String,
    /// Name, preceded by the names of the enclosing fields: `uid`, `pos.x`, `slots[].count`.
    pub name: String,
}

/// Reasons why a text is not a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is longer than the room for it in a segment.
    #[error(
        "a stored schema of {bytes} bytes is longer than the limit of {} bytes",
        limits::MAX_SCHEMA_BYTES
    )]
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
    },
    /// A line does not have the form `offset size fingerprint type name`.
    #[error("line {line} of a stored schema is damaged: expected `{expected}`", expected = SchemaError::FORM)]
    Line {
        /// Line number, counted from 1.
        line: usize,
    },
    /// Two lines name the same field.
    #[error("line {line} of a stored schema is damaged: it repeats the name of a field")]
    Repeated {
        /// Line number, counted from 1.
        line: usize,
    },
}

impl SchemaError {
    const FORM: &str = "offset size fingerprint type name";
}

impl SchemaText {
    /// Returns the text for `T`.
    ///
    /// A `T` whose text would exceed [`limits::MAX_SCHEMA_BYTES`] does not compile.
    pub fn of<T: Schema>() -> String {
        const { assert!(Self::len_of::<T>() <= limits::MAX_SCHEMA_BYTES as usize) };
        flatten(T::FIELDS).iter().map(|field| format!("{field}\n")).collect()
    }

    /// Returns the length of the text for `T` in bytes.
    pub const fn len_of<T: Schema>() -> usize {
        len_of_lines(T::FIELDS, 0, 0)
    }

    /// Returns the fields that a text lists.
    ///
    /// # Errors
    ///
    /// Returns an error for any text that [`SchemaText::of`] could not have written.
    pub fn parse(text: &str) -> Result<Vec<StoredField>, SchemaError> {
        if text.len() as u64 > limits::MAX_SCHEMA_BYTES {
            return Err(SchemaError::TooLong { bytes: text.len() });
        }
        let mut fields = Vec::new();
        let mut names = HashSet::new();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let line_number = at + 1;
            let field = line.strip_suffix('\n').and_then(StoredField::parse);
            let field = field.ok_or(SchemaError::Line { line: line_number })?;
            if !names.insert(field.name.clone()) {
                return Err(SchemaError::Repeated { line: line_number });
            }
            fields.push(field);
        }
        Ok(fields)
    }
}

impl StoredField {
    /// Parses one line. Only the type, which is what remains between the other columns, may contain
    /// spaces.
    fn parse(line: &str) -> Option<Self> {
        let (offset, rest) = line.split_once(' ')?;
        let (size, rest) = rest.split_once(' ')?;
        let (fingerprint, rest) = rest.split_once(' ')?;
        let (type_name, name) = rest.rsplit_once(' ')?;
        let field = StoredField {
            offset: offset.parse().ok()?,
            size: size.parse().ok()?,
            fingerprint: u64::from_str_radix(fingerprint, 16).ok()?,
            type_name: type_name.to_owned(),
            name: name.to_owned(),
        };
        field.offset.checked_add(field.size)?;
        // A control character could move the cursor of the terminal that shows the text.
        let printable = !line.contains(char::is_control) && !type_name.is_empty() && !name.is_empty();
        // Numbers have other spellings, such as `+8` and `08`; only the one that prints the same
        // line is valid.
        (printable && field.to_string() == line).then_some(field)
    }
}

impl fmt::Display for StoredField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoredField { offset, size, fingerprint, type_name, name } = self;
        write!(f, "{offset} {size} {fingerprint:016x} {type_name} {name}")
    }
}

/// Returns the fields and the fields inside them, each after its enclosing field.
pub(super) fn flatten(fields: &[Field]) -> Vec<StoredField> {
    let mut lines = Vec::new();
    push_lines(&mut lines, fields, 0, "");
    lines
}

/// Returns the names of the fields, and of those inside them.
pub(crate) fn field_names(fields: &[Field]) -> Vec<String> {
    flatten(fields).into_iter().map(|line| line.name).collect()
}

fn push_lines(lines: &mut Vec<StoredField>, fields: &[Field], start: u64, prefix: &str) {
    for Field { name, desc, offset } in fields {
        let name = format!("{prefix}{name}");
        let offset = start + *offset as u64;
        let inside = format!("{name}{}.", "[]".repeat(desc.rank));
        lines.push(StoredField {
            offset,
            size: desc.size as u64,
            fingerprint: desc.fingerprint,
            type_name: desc.name.to_owned(),
            name,
        });
        push_lines(lines, desc.fields, offset, &inside);
    }
}

/// Computes at compile time the bytes that [`push_lines`] produces.
const fn len_of_lines(mut fields: &[Field], start: usize, prefix: usize) -> usize {
    const SPACES_AND_NEWLINE: usize = 5;
    const FINGERPRINT: usize = 16;
    let mut len = 0;
    while let [Field { name, desc, offset }, rest @ ..] = fields {
        let name = prefix + name.len();
        let offset = start + *offset;
        len += digits(offset) + digits(desc.size) + FINGERPRINT + desc.name.len() + name + SPACES_AND_NEWLINE;
        len += len_of_lines(desc.fields, offset, name + "[]".len() * desc.rank + ".".len());
        fields = rest;
    }
    len
}

const fn digits(number: usize) -> usize {
    match number.checked_ilog10() {
        Some(log) => log as usize + 1,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[repr(C)]
    #[derive(Schema)]
    struct Stack {
        item: u32,
        count: u32,
    }

    #[repr(C)]
    #[derive(Schema)]
    struct Position {
        at: [f32; 2],
        map: u64,
    }

    #[repr(C)]
    #[derive(Schema)]
    struct Player {
        uid: u64,
        position: Position,
        bags: [[Stack; 4]; 2],
        r#type: u64,
    }

    #[test]
    fn a_text_lists_the_fields_and_those_inside_them() {
        insta::assert_snapshot!(SchemaText::of::<Player>(), @r"
        0 8 2b03fdd28e27f29b u64 uid
        8 16 3f27562a02834aa8 Position position
        8 8 1c7f759487c30990 [f32; 2] position.at
        16 8 2b03fdd28e27f29b u64 position.map
        24 64 9467cdd482504f3c [[Stack; 4]; 2] bags
        24 4 2af301d28e198634 u32 bags[][].item
        28 4 2af301d28e198634 u32 bags[][].count
        88 8 2b03fdd28e27f29b u64 type
        ");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = SchemaText::of::<Player>();
        assert_eq!(SchemaText::parse(&text), Ok(flatten(Player::FIELDS)));
        assert_eq!(SchemaText::len_of::<Player>(), text.len());
        assert_eq!(SchemaText::parse(""), Ok(vec![]));
    }

    #[test]
    fn damage_is_an_error_that_names_the_line() {
        let good = "0 4 00000000000000ff u32 hp\n";
        assert!(SchemaText::parse(good).is_ok());
        let bad_lines = [
            "\n",
            "0 4 00000000000000ff u32 hp",
            "0 4 00000000000000ff u32\n",
            "0 4 00000000000000ff  hp\n",
            "0 4 00000000000000ff u32 \n",
            "0 4 ff u32 hp\n",
            "0 4 00000000000000FF u32 hp\n",
            "0 4 000000000000000ff u32 hp\n",
            "+0 4 00000000000000ff u32 hp\n",
            "00 4 00000000000000ff u32 hp\n",
            "-1 4 00000000000000ff u32 hp\n",
            "18446744073709551615 1 00000000000000ff u32 hp\n",
            "18446744073709551616 1 00000000000000ff u32 hp\n",
            "0 4 00000000000000ff u32 h\x1b[2Jp\n",
            "0 4 00000000000000ff u32 hp\r\n",
        ];
        for bad in bad_lines {
            let text = format!("{}{bad}", good.replace("hp", "mp"));
            assert_eq!(SchemaText::parse(&text), Err(SchemaError::Line { line: 2 }), "{bad:?}");
        }
        assert_eq!(SchemaText::parse(&good.repeat(2)), Err(SchemaError::Repeated { line: 2 }));
    }

    #[test]
    fn a_text_longer_than_its_room_is_refused_before_it_is_read() {
        let bytes = limits::MAX_SCHEMA_BYTES as usize + 1;
        let error = SchemaText::parse(&"x".repeat(bytes)).unwrap_err();
        assert_eq!(error, SchemaError::TooLong { bytes });
        insta::assert_snapshot!(error, @"a stored schema of 16385 bytes is longer than the limit of 16384 bytes");
        insta::assert_snapshot!(SchemaError::Line { line: 3 }, @"line 3 of a stored schema is damaged: expected `offset size fingerprint type name`");
    }

    /// Generates nearly valid lines, so that the parser gets past its first checks.
    fn nearly_a_line() -> impl Strategy<Value = String> {
        let number = || prop_oneof![any::<u64>().prop_map(|n| n.to_string()), "[0-9+-]{0,3}"];
        let fingerprint = prop_oneof![any::<u64>().prop_map(|n| format!("{n:016x}")), "[0-9a-fA-F]{15,17}"];
        (number(), number(), fingerprint, "[a-z<>;\\[\\] ]{0,6}", "[a-z.]{0,2}", "\n|\n|\n| |").prop_map(
            |(offset, size, print, ty, name, end)| format!("{offset} {size} {print} {ty} {name}{end}"),
        )
    }

    fn field() -> impl Strategy<Value = StoredField> {
        let type_name = prop_oneof!["[a-zA-Z0-9_]{1,8}", "\\[[a-z0-9]{1,4}; [0-9]{1,2}\\]"];
        (any::<u32>(), any::<u32>(), any::<u64>(), type_name, "[a-zäß_]{1,4}(\\[\\])?(\\.[a-z]{1,4})?")
            .prop_map(|(offset, size, fingerprint, type_name, name)| StoredField {
                offset: offset.into(),
                size: size.into(),
                fingerprint,
                type_name,
                name,
            })
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = SchemaText::parse(&text);
        }

        #[test]
        fn a_text_that_parses_is_one_that_we_write(lines in prop::collection::vec(nearly_a_line(), 0..4)) {
            let text = lines.concat();
            if let Ok(fields) = SchemaText::parse(&text) {
                let written: String = fields.iter().map(|field| format!("{field}\n")).collect();
                prop_assert_eq!(written, text);
            }
        }

        #[test]
        fn every_list_of_fields_is_read_back(mut fields in prop::collection::vec(field(), 0..12)) {
            let mut seen = HashSet::new();
            fields.retain(|field| seen.insert(field.name.clone()));
            let text: String = fields.iter().map(|field| format!("{field}\n")).collect();
            prop_assert_eq!(SchemaText::parse(&text), Ok(fields));
        }
    }
}
