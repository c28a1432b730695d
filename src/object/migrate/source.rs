//! A stored schema as Rust: types that have its layout.

use super::scalar::Scalar;
use super::shape::{Kind, Member, Shape, Variant};
use super::tree::{DamagedSchema, Tree};
use crate::object::StoredField;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Returns Rust types with the layout of a stored object; the object itself is called `name`.
///
/// The types of fields come first, and have the names that the schema gives, as far as it does. Each
/// has the fingerprint of the stored one.
///
/// ```
/// use hotpool::object::{Schema, SchemaText, rust_source};
///
/// #[repr(C)]
/// #[derive(Schema)]
/// struct Monster {
///     hp: u16,
///     at: [f32; 2],
/// }
///
/// let fields = SchemaText::parse(&SchemaText::of::<Monster>())?;
/// let source = rust_source(&fields, 12, "Monster")?;
/// assert!(source.contains("    hp: u16,\n    at: [f32; 2],\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The fields are those of no type, because the schema is damaged.
pub fn rust_source(fields: &[StoredField], size: u64, name: &str) -> Result<String, DamagedSchema> {
    write_types(fields, size, name, "")
}

/// Returns types like [`rust_source`], with `prefix` before the names of those of fields.
pub(super) fn write_types(
    fields: &[StoredField],
    size: u64,
    name: &str,
    prefix: &str,
) -> Result<String, DamagedSchema> {
    let tree = Tree::of_lines(fields, size)?;
    let shape = Shape::of_object(&tree)?;
    let mut writer = Writer { prefix, ..Writer::default() };
    writer.named.insert((shape.fingerprint, name.to_owned()), name.to_owned());
    writer.define(&shape, name);
    Ok(writer.types.join("\n"))
}

/// Returns a `migration!` from a stored layout to that of the program, to be pasted.
///
/// A field that has not changed is copied. What the program has to decide is a `todo!`, so that the rest
/// compiles at once.
pub(super) fn function_to_write(
    (fields, size): (&[StoredField], u64),
    stored: &Shape<'_>,
    wanted: &Shape<'_>,
    name: &str,
) -> Result<String, DamagedSchema> {
    let new = camel_case(name);
    let types = write_types(fields, size, &format!("Old{new}"), "Old")?;
    let old = members(stored);
    let line = |member: &Member<'_>| {
        let name = ident(&member.name);
        let value = match old.iter().find(|old| old.name == member.name) {
            Some(old) if is_copied(old, member) => format!("old.{name}"),
            Some(_) => format!("todo!(\"make it of old.{name}\")"),
            None => "todo!(\"it is new\")".to_owned(),
        };
        format!("        {name}: {value},\n")
    };
    let body: String = members(wanted).iter().map(line).collect();
    Ok(format!(
        "{types}\nhotpool::migration! {{\n    {new}: from Old{new} => |old| {new} {{\n{body}    }}\n}}"
    ))
}

fn members<'a, 'b>(shape: &'b Shape<'a>) -> &'b [Member<'a>] {
    match &shape.kind {
        Kind::Struct(members) => members,
        _ => &[],
    }
}

/// Returns whether a field has the type that `write_types` writes for the stored one.
fn is_copied(old: &Member<'_>, new: &Member<'_>) -> bool {
    let mut writer = Writer::default();
    let written = writer.written(&old.shape, &old.type_name, &old.name);
    // A struct or enum would be written as a type of its own.
    let is_same = written == new.type_name && writer.types.is_empty();
    is_same && old.shape.fingerprint == new.shape.fingerprint
}

/// The types that have been written.
#[derive(Default)]
struct Writer<'a> {
    prefix: &'a str,
    types: Vec<String>,
    /// Fingerprints and names of the types of fields.
    named: BTreeMap<(u64, String), String>,
}

impl Writer<'_> {
    /// Returns a type as a field has it, and writes what it needs. `type_name` is what the schema
    /// calls it, and `field` the name of the field.
    fn written(&mut self, shape: &Shape<'_>, type_name: &str, field: &str) -> String {
        match &shape.kind {
            Kind::Scalar(scalar) => scalar.to_string(),
            Kind::Ref(id) => reference(type_name).unwrap_or_else(|| format!("Ref<Type{id}>")),
            Kind::Array { len, of } => format!("[{}; {len}]", self.written(of, element(type_name), field)),
            Kind::Text { max, .. } => format!("FixedStr<{max}>"),
            Kind::List { max, of, .. } => {
                format!("FixedVec<{}, {max}>", self.written(of, argument(type_name), field))
            }
            Kind::Struct(members) => match self.collection(members, type_name, field) {
                Some(written) => written,
                None => self.named(shape, type_name, field),
            },
            Kind::Enum { .. } => match shape.maybe() {
                Some(of) => format!("Maybe<{}>", self.written(&of.shape, argument(type_name), field)),
                None => self.named(shape, type_name, field),
            },
            Kind::Unknown => type_name.to_owned(),
        }
    }

    /// Returns one of hotpool's own structs, if the schema calls it so.
    fn collection(&mut self, members: &[Member<'_>], type_name: &str, field: &str) -> Option<String> {
        let word = word(type_name);
        match (members, members.first().map(|first| &first.shape.kind)?) {
            ([_], Kind::List { max, of, .. }) if word == "FixedSet" => {
                Some(format!("FixedSet<{}, {max}>", self.written(of, argument(type_name), field)))
            }
            ([_], Kind::List { max, of, .. }) if word == "FixedMap" => {
                let Kind::Struct(entry) = &of.kind else { return None };
                let [key, value] = &entry[..] else { return None };
                let key = self.written(&key.shape, "", &format!("{field}_key"));
                let value = self.written(&value.shape, "", &format!("{field}_value"));
                Some(format!("FixedMap<{key}, {value}, {max}>"))
            }
            ([_], Kind::Array { len, .. }) if word == "BitSet" => Some(format!("BitSet<{len}>")),
            ([only], _) if word == "FixedDuration" && only.name == "nanos" => Some(word.to_owned()),
            _ => None,
        }
    }

    /// Returns the name of a struct or enum, and writes it if it is new.
    fn named(&mut self, shape: &Shape<'_>, type_name: &str, field: &str) -> String {
        let word = word(type_name);
        let is_name = word.len() > 1 && word.starts_with(char::is_uppercase);
        let base = format!("{}{}", self.prefix, if is_name { word.to_owned() } else { camel_case(field) });
        let key = (shape.fingerprint, base.clone());
        let known = self.named.get(&key);
        // A field that names no type can have any that is equal.
        let equal = || self.named.iter().find(|((print, _), _)| *print == shape.fingerprint && !is_name);
        if let Some(name) = known.or_else(|| equal().map(|(_, name)| name)) {
            return name.clone();
        }
        let others = self.named.keys().filter(|(_, name)| *name == base).count();
        let name = if others == 0 { base } else { format!("{base}{}", others + 1) };
        self.named.insert(key, name.clone());
        self.define(shape, &name);
        name
    }

    /// Writes a struct or enum.
    fn define(&mut self, shape: &Shape<'_>, name: &str) {
        let mut text = String::new();
        let derive = "#[derive(Clone, Copy, Schema)]";
        let done = match &shape.kind {
            Kind::Struct(members) => {
                let body = self.body(members, "    ");
                let repr =
                    extra_align(shape, members).map_or("C".to_owned(), |align| format!("C, align({align})"));
                let end = if is_tuple(members) { ";" } else { "" };
                let space = if is_tuple(members) { "" } else { " " };
                write!(text, "#[repr({repr})]\n{derive}\nstruct {name}{space}{body}{end}\n")
            }
            Kind::Enum { tag, variants } => {
                let c = if is_c(*tag, variants) { "C, " } else { "" };
                let head = format!("#[repr({c}u{})]\n{derive}\nenum {name} {{\n", tag * 8);
                let lines: Vec<_> = variants.iter().map(|variant| self.variant(variant)).collect();
                writeln!(text, "{head}{}}}", lines.concat())
            }
            _ => Ok(()),
        };
        if done.is_ok() {
            self.types.push(text);
        }
    }

    fn variant(&mut self, variant: &Variant<'_>) -> String {
        let Variant { name, value, members, .. } = variant;
        let body = match members.is_empty() {
            true => String::new(),
            false if is_tuple(members) => self.body(members, "    "),
            false => format!(" {}", self.body(members, "        ")),
        };
        format!("    {}{body} = {value},\n", ident(name))
    }

    /// Returns the fields of a struct or variant in their brackets.
    fn body(&mut self, members: &[Member<'_>], indent: &str) -> String {
        let mut written = |member: &Member<'_>| self.written(&member.shape, &member.type_name, &member.name);
        if is_tuple(members) {
            return format!("({})", members.iter().map(written).collect::<Vec<_>>().join(", "));
        }
        let line = |member: &Member<'_>| format!("{indent}{}: {},\n", ident(&member.name), written(member));
        format!("{{\n{}{}}}", members.iter().map(line).collect::<String>(), &indent[4..])
    }
}

/// Returns whether fields have the names of those of a tuple struct.
fn is_tuple(members: &[Member<'_>]) -> bool {
    !members.is_empty() && members.iter().enumerate().all(|(at, member)| member.name == at.to_string())
}

/// Returns the alignment that the compiler gives a type.
fn align(shape: &Shape<'_>) -> usize {
    match &shape.kind {
        Kind::Scalar(Scalar::Phantom) | Kind::Unknown => 1,
        Kind::Scalar(_) => shape.size,
        Kind::Ref(_) => 8,
        Kind::Text { .. } => 4,
        Kind::List { of, .. } => align(of).max(4),
        Kind::Array { of, .. } => align(of),
        Kind::Struct(members) => extra_align(shape, members).unwrap_or_else(|| align_of_all(members)),
        Kind::Enum { tag, variants } => {
            variants.iter().map(|variant| align_of_all(&variant.members)).max().unwrap_or(1).max(*tag)
        }
    }
}

fn align_of_all(members: &[Member<'_>]) -> usize {
    members.iter().map(|member| align(&member.shape)).max().unwrap_or(1)
}

/// Returns the alignment of a struct that has a larger one than its fields, as far as its size tells.
fn extra_align(shape: &Shape<'_>, members: &[Member<'_>]) -> Option<usize> {
    let natural = align_of_all(members).max(1);
    let end = members.iter().map(|member| member.offset + member.shape.size).max().unwrap_or(0);
    if end.next_multiple_of(natural) == shape.size
        || members.iter().any(|m| matches!(m.shape.kind, Kind::Unknown))
    {
        return None;
    }
    (0..=12)
        .map(|bits| 1 << bits)
        .find(|align| *align > natural && end.next_multiple_of(*align) == shape.size)
}

/// Returns whether the fields of all variants begin after the tag where the largest of them could.
fn is_c(tag: usize, variants: &[Variant<'_>]) -> bool {
    let fields = || variants.iter().flat_map(|variant| &variant.members);
    let start = tag.next_multiple_of(fields().map(|member| align(&member.shape)).max().unwrap_or(1).max(1));
    let firsts = variants.iter().filter_map(|variant| {
        variant.members.iter().filter(|member| member.shape.size > 0).map(|member| member.offset).min()
    });
    start != tag && firsts.clone().next().is_some() && firsts.into_iter().all(|first| first == start)
}

/// Returns the last word of a path, without arguments: `Stack` of `items::Stack<u32>`.
fn word(type_name: &str) -> &str {
    let path = type_name.split('<').next().unwrap_or_default();
    let word = path.rsplit("::").next().unwrap_or_default();
    if word.chars().all(|char| char.is_alphanumeric() || char == '_') { word } else { "" }
}

/// Returns the type of the elements, as the source writes the array.
fn element(type_name: &str) -> &str {
    let inside = type_name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.and_then(|inside| inside.rsplit_once("; ")).map_or("", |(of, _)| of)
}

/// Returns a reference as the source writes it today: builds before the first release wrote `Link<T>`.
fn reference(type_name: &str) -> Option<String> {
    let (name, rest) = type_name.split_once('<')?;
    let path = name.strip_suffix("Ref").or_else(|| name.strip_suffix("Link"))?;
    (path.is_empty() || path.ends_with("::")).then(|| format!("{path}Ref<{rest}"))
}

/// Returns the first argument of a generic type, as the source writes it.
fn argument(type_name: &str) -> &str {
    let inside = type_name.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
    inside.map_or("", |inside| inside.rsplit_once(", ").map_or(inside, |(of, _)| of))
}

/// Returns a name of a field or of a type in the pool as Rust would write that of a type.
pub(super) fn camel_case(field: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    };
    let name: String = field.split('_').map(word).collect();
    if name.starts_with(char::is_alphabetic) { name } else { format!("Part{name}") }
}

/// Returns a name as the source has to write it.
fn ident(name: &str) -> String {
    const KEYWORDS: &str = " as async await break const continue dyn else enum extern false fn for if impl in let \
        loop match mod move mut pub ref return static struct trait true type unsafe use where while abstract \
        become box do final gen macro override priv try typeof unsized virtual yield ";
    if KEYWORDS.contains(&format!(" {name} ")) { format!("r#{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Schema, SchemaText};

    /// What [`rust_source`] has written, compiled.
    #[allow(dead_code, reason = "only the schemas are read")]
    mod compiled {
        use crate::object::{
            BitSet, FixedDuration, FixedMap, FixedSet, FixedStr, FixedVec, Maybe, PoolObject, Ref, Schema,
        };
        use std::marker::PhantomData;
        use std::num::NonZero;

        #[repr(C)]
        #[derive(Clone, Copy, PoolObject)]
        #[pool(id = 5)]
        struct Guild {
            gold: u64,
        }

        include!("tests/stored_types.rs");

        pub(super) fn schema() -> (u64, Vec<crate::object::StoredField>) {
            (Everything::FINGERPRINT, super::fields::<Everything>())
        }
    }

    mod stored {
        use crate::object::{
            BitSet, FixedDuration, FixedMap, FixedSet, FixedStr, FixedVec, Maybe, PoolObject, Ref, Schema,
        };
        use std::marker::PhantomData;
        use std::num::NonZero;

        #[repr(C)]
        #[derive(Clone, Copy, PoolObject)]
        #[pool(id = 5)]
        pub(super) struct Guild {
            gold: u64,
        }

        mod other {
            #[repr(C, align(16))]
            #[derive(Clone, Copy, super::Schema)]
            pub(super) struct Stack {
                pub(super) item: u32,
            }
        }

        #[repr(C)]
        #[derive(Clone, Copy, Schema)]
        struct Stack {
            item: u16,
            count: u8,
        }

        #[repr(transparent)]
        #[derive(Clone, Copy, Schema)]
        struct Uid(u64);

        #[repr(u16)]
        #[derive(Clone, Copy, Schema)]
        #[allow(dead_code, reason = "only the schemas are read")]
        enum Class {
            Mage = 3,
            Knight,
        }

        #[repr(u8)]
        #[derive(Clone, Copy, Schema)]
        #[allow(dead_code, reason = "only the schemas are read")]
        enum Order {
            Rest,
            Walk { fast: bool, to: [f32; 2] },
            Attack(u16, Uid),
        }

        #[repr(C, u8)]
        #[derive(Clone, Copy, Schema)]
        #[allow(dead_code, reason = "only the schemas are read")]
        enum Spell {
            None,
            Fire { at: bool, strength: u32 },
            Ice(Maybe<Class>),
        }

        #[repr(C)]
        #[derive(Clone, Copy, Schema)]
        struct Grid<T: Schema, const N: usize> {
            cells: [[T; N]; 2],
        }

        #[repr(C)]
        #[derive(Clone, Copy, Schema)]
        pub(super) struct Everything {
            r#type: u8,
            uid: Uid,
            stacks: [[Stack; 2]; 3],
            other: other::Stack,
            class: Class,
            orders: [Order; 2],
            spell: Spell,
            grid: Grid<Stack, 2>,
            numbers: Grid<i64, 3>,
            name: FixedStr<13>,
            bag: FixedVec<Stack, 4>,
            deep: FixedVec<FixedVec<[u8; 3], 2>, 3>,
            friends: FixedSet<Uid, 3>,
            skills: FixedMap<FixedStr<4>, Maybe<Stack>, 2>,
            quests: BitSet<3>,
            cooldown: FixedDuration,
            target: Maybe<NonZero<u32>>,
            parent: Option<NonZero<u128>>,
            letter: char,
            guild: Ref<Guild>,
            kind: PhantomData<u32>,
        }
    }

    #[test]
    fn a_reference_is_written_by_its_name_of_today() {
        for (stored, written) in [
            ("Link<Guild>", Some("Ref<Guild>")),
            ("hotpool::Link<Guild>", Some("hotpool::Ref<Guild>")),
            ("Ref<Guild>", Some("Ref<Guild>")),
            ("Uplink<Guild>", None),
            ("Pref<Guild>", None),
            ("Alias", None),
        ] {
            assert_eq!(reference(stored).as_deref(), written, "{stored}");
        }
    }

    fn fields<T: Schema>() -> Vec<StoredField> {
        SchemaText::parse(&SchemaText::of::<T>()).unwrap()
    }

    #[test]
    fn rust_that_is_written_has_the_stored_layout() {
        let stored = fields::<stored::Everything>();
        let source = rust_source(&stored, size_of::<stored::Everything>() as u64, "Everything").unwrap();
        if std::env::var_os("HOTPOOL_WRITE_STORED_TYPES").is_some() {
            std::fs::write(
                concat!(env!("CARGO_MANIFEST_DIR"), "/src/object/migrate/tests/stored_types.rs"),
                &source,
            )
            .unwrap();
        }
        assert_eq!(source, include_str!("tests/stored_types.rs"));
        let (fingerprint, compiled) = compiled::schema();
        assert_eq!(stored::Everything::FINGERPRINT, fingerprint);
        let layout = |fields: Vec<StoredField>| -> Vec<_> {
            fields
                .into_iter()
                .map(|field| (field.name, field.offset, field.size, field.fingerprint))
                .collect()
        };
        assert_eq!(layout(stored), layout(compiled));
    }
}
