//! A model of types and values, with random changes that know what they do to a value.
//!
//! All choices come from a list of numbers. A shorter list, and smaller numbers, make a simpler case,
//! so that `proptest` finds the simplest one that fails.

use super::super::plan::NewType;
use super::super::scalar::{SCALARS, Scalar};
use crate::object::desc::{Field, Kind, Rule, TypeDesc};
use crate::object::{Change, Fingerprint, How, Schema};
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

/// A type.
#[derive(Clone, Debug)]
pub(super) enum Ty {
    Scalar(Scalar),
    Ref(u16),
    Text(usize),
    List(Box<Ty>, usize),
    Array(Box<Ty>, usize),
    Struct(Record),
    Enum { tag: usize, is_c: bool, variants: Vec<(&'static str, u64, Record)>, changes: Vec<Change<'static>> },
}

/// The fields of a struct or variant, and what its source declares.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) fields: Vec<(&'static str, Ty)>,
    pub(super) changes: Vec<Change<'static>>,
    /// One of hotpool's own structs, whose fields no program changes.
    pub(super) is_own: bool,
    /// Defaults of fields, which become bytes when the types are known.
    pub(super) defaults: Vec<(&'static str, Value)>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// The bits of a scalar; those of a signed number fill all 128.
    Bits(u128),
    Text(String),
    /// The elements of a list or array, or the fields of a struct.
    Many(Vec<Value>),
    Variant(usize, Vec<Value>),
}

/// The numbers that all choices come from.
pub(super) struct Choices {
    numbers: std::vec::IntoIter<u32>,
    names: usize,
}

impl Choices {
    pub(super) fn new(numbers: Vec<u32>) -> Self {
        Choices { numbers: numbers.into_iter(), names: 0 }
    }

    /// Returns a number below `end`, 0 if all numbers are used up.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.numbers.next().unwrap_or(0) as usize % end.max(1)
    }

    /// Returns true about once in `times` times, and never if all numbers are used up.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// Returns a name that no other field has.
    pub(super) fn name(&mut self) -> &'static str {
        self.names += 1;
        intern(format!("f{}", self.names))
    }

    fn bits(&mut self) -> u128 {
        match self.below(4) {
            0 => self.below(3) as u128,
            1 => (0..4).fold(0, |bits, _| bits << 32 | self.below(1 << 32) as u128),
            2 => u128::MAX,
            _ => self.below(1 << 16) as u128,
        }
    }
}

/// Returns a text that lives as long as the process, once for each text.
pub(super) fn intern(text: String) -> &'static str {
    static ALL: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut all = ALL.lock().unwrap();
    match all.get(text.as_str()) {
        Some(found) => found,
        None => {
            let text: &'static str = text.leak();
            all.insert(text);
            text
        }
    }
}

impl Ty {
    pub(super) fn random(choices: &mut Choices, depth: usize) -> Self {
        let nested = |choices: &mut Choices| Box::new(Ty::random(choices, depth.saturating_sub(1)));
        match choices.below(if depth == 0 { 5 } else { 13 }) {
            0..3 => Ty::Scalar(scalar(choices)),
            3 => Ty::Ref(1 + choices.below(1023) as u16),
            4 => Ty::Text(1 + choices.below(9)),
            5 => Ty::List(nested(choices), 1 + choices.below(3)),
            6 => Ty::Array(nested(choices), 1 + choices.below(3)),
            7 | 8 => Ty::Struct(Record::random(choices, depth - 1, 1)),
            9 => Ty::random_enum(choices, depth - 1),
            10 => Ty::maybe(*nested(choices)),
            11 => Ty::bit_set(1 + choices.below(3)),
            _ => {
                let key = Ty::Scalar(SCALARS[5 + 3 * choices.below(10)].2);
                let room = 1 + choices.below(3);
                if choices.once_in(2) { Ty::set(key, room) } else { Ty::map(key, *nested(choices), room) }
            }
        }
    }

    fn random_enum(choices: &mut Choices, depth: usize) -> Self {
        let variants = (0..1 + choices.below(3)).map(|number| {
            let record =
                if choices.once_in(2) { Record::random(choices, depth, 0) } else { Record::default() };
            (choices.name(), number as u64, record)
        });
        let variants = variants.collect();
        let (tag, is_c) = ([1, 2, 4, 8][choices.below(4)], choices.once_in(2));
        Ty::Enum { tag, is_c, variants, changes: Vec::new() }
    }

    /// Returns the type of the value if this is a `Maybe`.
    pub(super) fn in_maybe(&self) -> Option<Ty> {
        match self {
            Ty::Enum { variants, .. } if variants[0].2.is_own => Some(variants[1].2.fields[0].1.clone()),
            _ => None,
        }
    }

    pub(super) fn is_maybe(&self) -> bool {
        self.in_maybe().is_some()
    }

    pub(super) fn maybe(of: Ty) -> Self {
        let some = Record { fields: vec![("0", of)], is_own: true, ..Record::default() };
        let none = Record { is_own: true, ..Record::default() };
        let variants = vec![("None", 0, none), ("Some", 1, some)];
        Ty::Enum { tag: 1, is_c: true, variants, changes: Vec::new() }
    }

    fn own(name: &'static str, ty: Ty, how: How<'static>) -> Self {
        let changes = vec![Change { field: name, how }];
        Ty::Struct(Record { fields: vec![(name, ty)], changes, is_own: true, defaults: Vec::new() })
    }

    fn bit_set(words: usize) -> Self {
        let word = SCALARS.iter().find(|(print, ..)| *print == u64::FINGERPRINT).unwrap().2;
        Ty::own("words", Ty::Array(Box::new(Ty::Scalar(word)), words), How::Bits)
    }

    fn set(of: Ty, room: usize) -> Self {
        Ty::own("items", Ty::List(Box::new(of), room), How::Sorted)
    }

    fn map(key: Ty, value: Ty, room: usize) -> Self {
        let fields = vec![("key", key), ("value", value)];
        let entry = Ty::Struct(Record { fields, is_own: true, ..Record::default() });
        Ty::own("entries", Ty::List(Box::new(entry), room), How::Sorted)
    }

    pub(super) fn value(&self, choices: &mut Choices) -> Value {
        match self {
            Ty::Scalar(scalar) => Value::Bits(scalar_value(*scalar, choices)),
            Ty::Ref(_) => Value::Bits(choices.bits() & u128::from(u64::MAX)),
            Ty::Text(max) => {
                let mut text = String::new();
                let len = choices.below(max + 1);
                while text.len() < len {
                    text.push(if choices.once_in(3) && text.len() + 2 <= *max { 'ë' } else { 'a' });
                }
                Value::Text(text)
            }
            Ty::List(of, max) => {
                Value::Many((0..choices.below(max + 1)).map(|_| of.value(choices)).collect())
            }
            Ty::Array(of, len) => Value::Many((0..*len).map(|_| of.value(choices)).collect()),
            Ty::Struct(record) => Value::Many(record.value(choices)),
            Ty::Enum { variants, .. } => {
                let number = choices.below(variants.len());
                Value::Variant(number, variants[number].2.value(choices))
            }
        }
    }
}

impl Record {
    /// Returns fields of which at least `least` have bytes.
    pub(super) fn random(choices: &mut Choices, depth: usize, least: usize) -> Self {
        let mut fields: Vec<_> =
            (0..choices.below(4)).map(|_| (choices.name(), Ty::random(choices, depth))).collect();
        if choices.once_in(9) {
            fields.push((choices.name(), Ty::Scalar(Scalar::Phantom)));
        }
        while fields.iter().filter(|(_, ty)| !matches!(ty, Ty::Scalar(Scalar::Phantom))).count() < least {
            fields.push((choices.name(), Ty::Scalar(scalar(choices))));
        }
        Record { fields, ..Record::default() }
    }

    fn value(&self, choices: &mut Choices) -> Vec<Value> {
        self.fields.iter().map(|(_, ty)| ty.value(choices)).collect()
    }
}

fn scalar(choices: &mut Choices) -> Scalar {
    let sized = || SCALARS.iter().filter(|(_, bytes, _)| *bytes > 0);
    sized().nth(choices.below(sized().count())).unwrap().2
}

fn scalar_value(scalar: Scalar, choices: &mut Choices) -> u128 {
    let bits = choices.bits();
    let cut = |bytes: usize| bits << (128 - 8 * bytes) >> (128 - 8 * bytes);
    match scalar {
        Scalar::Int(int) | Scalar::OptionNonZero(int) if int.signed => {
            let shift = 128 - 8 * int.bytes;
            ((bits << shift) as i128 >> shift) as u128
        }
        Scalar::Int(int) | Scalar::OptionNonZero(int) => cut(int.bytes),
        Scalar::NonZero(int) => scalar_value(Scalar::Int(int), choices).max(1),
        Scalar::Float(bytes) => cut(bytes),
        Scalar::Bool => bits & 1,
        Scalar::Char => char::from_u32(bits as u32 & 0x1f_ffff).unwrap_or('x').into(),
        Scalar::Phantom => 0,
    }
}

/// A type as the library sees it.
#[derive(Clone, Copy)]
pub(super) struct Built {
    pub(super) desc: TypeDesc,
    align: usize,
}

thread_local! {
    /// The bytes of the defaults of the types that this thread has built.
    static DEFAULTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Largest number of defaults in one case.
pub(super) const MOST_DEFAULTS: usize = 32;

fn write_default<const AT: usize>(bytes: &mut [u8]) {
    DEFAULTS.with_borrow(|defaults| bytes.copy_from_slice(&defaults[AT]));
}

macro_rules! writers {
    ($($at:literal)*) => { [$(write_default::<$at>),*] };
}

const WRITERS: [fn(&mut [u8]); MOST_DEFAULTS] = writers!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
);

/// Forgets the defaults of the last case.
pub(super) fn forget_defaults() {
    DEFAULTS.with_borrow_mut(Vec::clear);
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn leak_all<T>(values: Vec<T>) -> &'static [T] {
    if values.is_empty() { &[] } else { values.leak() }
}

impl Built {
    fn new(size: usize, align: usize, fingerprint: u64, rule: Rule) -> Self {
        let rule = leak(rule);
        let desc = TypeDesc { name: "T", size, fingerprint, fields: &[], rank: 0, rule, changes: &[] };
        Built { desc, align }
    }

    fn array(self, len: usize) -> Self {
        let Built { desc, align } = self;
        let print = Fingerprint::new("array").number(desc.fingerprint).number(len as u64).finish();
        let rule = leak(Rule::array(len, desc.rule));
        let (size, rank) = (desc.size * len, desc.rank + 1);
        Built { desc: TypeDesc { fingerprint: print, size, rank, rule, ..desc }, align }
    }

    /// Returns the type of an object.
    pub(super) fn new_type(&self) -> NewType {
        let TypeDesc { size, fields, rule, changes, .. } = self.desc;
        NewType { name: "hero", size, fields, rule, changes, migrations: &[] }
    }
}

impl Ty {
    /// Builds what the derives generate.
    pub(super) fn build(&self) -> Built {
        match self {
            Ty::Scalar(scalar) => build_scalar(*scalar),
            Ty::Ref(id) => {
                let print = Fingerprint::new("link").number((*id).into()).finish();
                Built::new(8, 8, print, Rule::plain(8))
            }
            Ty::Text(max) => {
                let bytes = Ty::List(Box::new(Ty::Scalar(SCALARS[5].2)), *max).build();
                let print = Fingerprint::new("text").number(*max as u64).finish();
                let rule = leak(Rule::text(bytes.desc.size, *max));
                Built { desc: TypeDesc { fingerprint: print, rule, ..bytes.desc }, ..bytes }
            }
            Ty::List(of, max) => build_list(of, *max),
            Ty::Array(of, len) => of.build().array(*len),
            Ty::Struct(record) => {
                let (fields, changes, end, align) = record.build(0);
                let size = end.next_multiple_of(align);
                let built = Built::new(
                    size,
                    align,
                    Fingerprint::of_struct(fields, size),
                    Rule::of_struct(size, fields),
                );
                Built { desc: TypeDesc { fields, changes, ..built.desc }, align }
            }
            Ty::Enum { tag, is_c, variants, changes } => build_enum(*tag, *is_c, variants, changes),
        }
    }
}

fn build_scalar(scalar: Scalar) -> Built {
    static ALL: LazyLock<Vec<(Scalar, Built)>> = LazyLock::new(|| {
        let built = |(print, size, scalar): &(u64, usize, Scalar)| {
            let rule = match scalar {
                Scalar::NonZero(_) => Rule::scalar(*size, false, Kind::NonZero),
                Scalar::Bool => Rule::scalar(1, true, Kind::Bool),
                Scalar::Char => Rule::scalar(4, true, Kind::Char),
                _ => Rule::plain(*size),
            };
            (*scalar, Built::new(*size, (*size).max(1), *print, rule))
        };
        SCALARS.iter().map(built).collect()
    });
    ALL.iter().find(|(other, _)| *other == scalar).unwrap().1
}

fn build_list(of: &Ty, max: usize) -> Built {
    let element = of.build();
    let (items, element) = (element.array(max), element.desc);
    let len = Ty::Scalar(SCALARS[11].2).build();
    assert_eq!(len.desc.fingerprint, u32::FINGERPRINT);
    let offset = 4usize.next_multiple_of(items.align);
    let align = items.align.max(4);
    let size = (offset + items.desc.size).next_multiple_of(align);
    let print = Fingerprint::new("list").number(element.fingerprint).number(max as u64).finish();
    let field = |name, desc, offset| Field { name, desc, offset };
    let fields = leak_all(vec![field("len", len.desc, 0), field("items", items.desc, offset)]);
    let built = Built::new(size, align, print, Rule::list(size, max, offset, element.rule));
    Built { desc: TypeDesc { fields, ..built.desc }, align }
}

fn build_enum(
    tag: usize,
    is_c: bool,
    variants: &[(&'static str, u64, Record)],
    changes: &[Change<'static>],
) -> Built {
    let payload = variants.iter().map(|(_, _, record)| record.align()).max().unwrap_or(1);
    let align = payload.max(tag);
    let start = if is_c { tag.next_multiple_of(payload) } else { tag };
    let (mut fields, mut values, mut end) = (Vec::new(), Vec::new(), tag);
    for (name, value, record) in variants {
        let (inner, changes, last, _) = record.build(start);
        let numbered = intern(format!("variant {value}"));
        let desc = TypeDesc::variant(numbered, tag, *value, inner, changes);
        fields.push(Field { name, desc, offset: 0 });
        values.push(*value);
        end = end.max(last);
    }
    let (fields, size) = (leak_all(fields), end.next_multiple_of(align));
    let print = Fingerprint::of_enum(fields, size, tag);
    let built = Built::new(size, align, print, Rule::of_enum(size, tag, leak_all(values), fields));
    Built { desc: TypeDesc { fields, changes: leak_all(changes.to_vec()), ..built.desc }, align }
}

impl Record {
    /// Returns fields and changes, where the last field ends, and the largest alignment. The first
    /// field is not before `start`.
    fn build(&self, start: usize) -> (&'static [Field], &'static [Change<'static>], usize, usize) {
        let (mut fields, mut changes, mut end, mut align) = (Vec::new(), self.changes.clone(), start, 1);
        for (name, ty) in &self.fields {
            let built = ty.build();
            let offset = end.next_multiple_of(built.align);
            end = offset + built.desc.size;
            align = align.max(built.align);
            fields.push(Field { name, desc: built.desc, offset });
            if let Some((_, value)) = self.defaults.iter().find(|(field, _)| field == name) {
                let bytes = ty.bytes(value, &built, 0);
                let at = DEFAULTS.with_borrow_mut(|defaults| {
                    defaults.push(bytes);
                    defaults.len() - 1
                });
                changes.push(Change { field: name, how: How::Default(WRITERS[at]) });
            }
        }
        (leak_all(fields), leak_all(changes), end, align)
    }
}

impl Ty {
    /// Returns the bytes of a value, with `padding` between its fields.
    pub(super) fn bytes(&self, value: &Value, built: &Built, padding: u8) -> Vec<u8> {
        let mut bytes = vec![padding; built.desc.size];
        self.write(value, built.desc.fields, &mut bytes);
        bytes
    }

    fn write(&self, value: &Value, fields: &[Field], bytes: &mut [u8]) {
        match (self, value) {
            (Ty::Scalar(_) | Ty::Ref(_), Value::Bits(bits)) => {
                let len = bytes.len();
                bytes.copy_from_slice(&bits.to_le_bytes()[..len]);
            }
            (Ty::Text(_), Value::Text(text)) => {
                bytes[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
                bytes[4..4 + text.len()].copy_from_slice(text.as_bytes());
            }
            (Ty::List(of, max), Value::Many(values)) => {
                bytes[..4].copy_from_slice(&(values.len() as u32).to_le_bytes());
                let Field { desc, offset, .. } = fields[1];
                let size = desc.size / max;
                for (at, value) in values.iter().enumerate() {
                    of.write(value, desc.fields, &mut bytes[offset + at * size..][..size]);
                }
            }
            (Ty::Array(of, len), Value::Many(values)) => {
                let size = bytes.len() / len;
                for (at, value) in values.iter().enumerate() {
                    of.write(value, fields, &mut bytes[at * size..][..size]);
                }
            }
            (Ty::Struct(record), Value::Many(values)) => record.write(values, fields, bytes),
            (Ty::Enum { tag, variants, .. }, Value::Variant(number, values)) => {
                let (_, value, record) = &variants[*number];
                bytes[..*tag].copy_from_slice(&value.to_le_bytes()[..*tag]);
                record.write(values, fields[*number].desc.fields, bytes);
            }
            _ => panic!("{value:?} is no value of {self:?}"),
        }
    }

    fn align(&self) -> usize {
        match self {
            Ty::Scalar(scalar) => build_scalar(*scalar).align,
            Ty::Ref(_) => 8,
            Ty::Text(_) => 4,
            Ty::List(of, _) => of.align().max(4),
            Ty::Array(of, _) => of.align(),
            Ty::Struct(record) => record.align(),
            Ty::Enum { tag, variants, .. } => {
                variants.iter().map(|(_, _, record)| record.align()).max().unwrap_or(1).max(*tag)
            }
        }
    }
}

impl Record {
    fn align(&self) -> usize {
        self.fields.iter().map(|(_, ty)| ty.align()).max().unwrap_or(1)
    }

    fn write(&self, values: &[Value], fields: &[Field], bytes: &mut [u8]) {
        assert_eq!(values.len(), self.fields.len());
        for (((_, ty), value), field) in self.fields.iter().zip(values).zip(fields) {
            ty.write(value, field.desc.fields, &mut bytes[field.offset..][..field.desc.size]);
        }
    }
}
