//! The shape of a type: what its fields are, as far as a schema tells.
//!
//! A schema names types as the source does, which says nothing for certain. What counts is the
//! fingerprint: a field is taken for what it seems to be only if that has the fingerprint that the
//! schema has.

use super::scalar::{Int, SCALARS, Scalar};
use super::tree::{DamagedSchema, Tree};
use crate::limits;
use crate::object::{Change, Fingerprint};

/// A type, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Shape<'a> {
    pub(super) size: usize,
    pub(super) fingerprint: u64,
    pub(super) kind: Kind<'a>,
    /// Declared changes of the type; none for a stored type.
    pub(super) changes: &'a [Change<'a>],
}

#[derive(Clone, Debug)]
pub(super) enum Kind<'a> {
    Scalar(Scalar),
    /// A reference to objects of the type with this number.
    Ref(u16),
    Struct(Vec<Member<'a>>),
    Array {
        len: usize,
        of: Box<Shape<'a>>,
    },
    Enum {
        tag: usize,
        variants: Vec<Variant<'a>>,
    },
    List {
        max: usize,
        items: usize,
        of: Box<Shape<'a>>,
    },
    Text {
        max: usize,
        items: usize,
    },
    /// A type that has another fingerprint than all those.
    Unknown,
}

/// A field of a struct or variant.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) offset: usize,
    pub(super) shape: Shape<'a>,
}

/// A variant of an enum.
#[derive(Clone, Debug)]
pub(super) struct Variant<'a> {
    pub(super) name: String,
    pub(super) value: u64,
    pub(super) members: Vec<Member<'a>>,
    pub(super) changes: &'a [Change<'a>],
}

/// Largest number of fingerprints that are tried for a type, so that no text takes long.
const MOST_TRIES: u32 = 1 << 17;

/// Largest padding at the end of an element: an alignment is at most 4096 bytes.
const MOST_PADDING: u64 = 4096;

/// Most dimensions of an array of scalars that are tried if the schema does not tell them.
const MOST_DIMENSIONS: usize = 4;

/// Fingerprints of references, by the number of the type.
static REFS: [u64; limits::MAX_TYPE_ID as usize + 1] = {
    let mut prints = [0; limits::MAX_TYPE_ID as usize + 1];
    let (mut id, mut rest) = (0, prints.as_mut_slice());
    while let [print, more @ ..] = rest {
        *print = Fingerprint::of_ref(id);
        (id, rest) = (id + 1, more);
    }
    prints
};

impl<'a> Shape<'a> {
    /// Recognises the object that has the fields of `tree`.
    pub(super) fn of_object(tree: &'a Tree<'a>) -> Result<Self, DamagedSchema> {
        let mut search = Search { tries: MOST_TRIES };
        let compound = search.compound(tree)?;
        let found = if compound.is_enum { Class::Enum } else { Class::Struct };
        Ok(Shape {
            size: usize::try_from(tree.size)
                .map_err(|_| DamagedSchema::new("", "the object is too large"))?,
            fingerprint: compound.fingerprint(&found, tree.size),
            kind: compound.as_kind(&found),
            changes: &tree.changes,
        })
    }

    /// Returns the field with the value if this looks like a `Maybe`.
    pub(super) fn maybe(&self) -> Option<&Member<'a>> {
        let Kind::Enum { tag: 1, variants } = &self.kind else { return None };
        let [none, some] = &variants[..] else { return None };
        let heads = [(none.name.as_str(), none.value), (some.name.as_str(), some.value)];
        match (&none.members[..], &some.members[..]) {
            ([], [only]) if heads == [("None", 0), ("Some", 1)] && only.name == "0" => Some(only),
            _ => None,
        }
    }

    /// Returns the only field of a tuple struct, which is stored as that field is.
    pub(super) fn newtype(&self) -> Option<&Member<'a>> {
        let Kind::Struct(members) = &self.kind else { return None };
        let mut members = members.iter().filter(|member| member.shape.size != 0);
        let first = members.next().filter(|first| first.name == "0" && first.shape.size == self.size);
        first.filter(|_| members.next().is_none())
    }
}

/// The search for the types of the fields of one object.
struct Search {
    tries: u32,
}

/// The fields inside a field that is no scalar, before it is known how many elements it has.
struct Compound<'a> {
    members: Vec<Member<'a>>,
    variants: Vec<Variant<'a>>,
    /// Names, fingerprints and offsets of the fields, as fingerprints have them.
    lines: Vec<(String, u64, u64)>,
    is_enum: bool,
    tag: u64,
    /// Where the last field ends.
    end: u64,
    changes: &'a [Change<'a>],
}

/// What a type with fields can be.
enum Class {
    Struct,
    Enum,
    Text,
    List,
}

impl Search {
    fn shape<'a>(&mut self, tree: &'a Tree<'a>) -> Result<Shape<'a>, DamagedSchema> {
        let damage = |what| DamagedSchema::new(&tree.name, what);
        let size = usize::try_from(tree.size).map_err(|_| damage("it is too large"))?;
        let found = if tree.inside.is_empty() { self.leaf(tree) } else { self.with_fields(tree)? };
        let unknown = Shape { size, fingerprint: tree.fingerprint, kind: Kind::Unknown, changes: &[] };
        Ok(found.unwrap_or(unknown))
    }

    /// Recognises a type that has no fields.
    fn leaf<'a>(&mut self, tree: &Tree<'_>) -> Option<Shape<'a>> {
        let scalars = SCALARS.iter().map(|(print, bytes, scalar)| (*print, *bytes, Kind::Scalar(*scalar)));
        let refs = (0u16..).zip(&REFS).skip(1);
        let refs = refs.map(|(id, print)| (*print, size_of::<u64>(), Kind::Ref(id)));
        let ranks = tree.rank.map_or(0..=MOST_DIMENSIONS, |rank| rank..=rank);
        let all = scalars.chain(refs);
        for rank in ranks {
            for (print, bytes, kind) in all.clone() {
                let (bytes, size) = (bytes as u64, tree.size);
                let count = if rank == 0 { u64::from(bytes == size) } else { count(size, bytes) };
                let of = || Shape { size: bytes as usize, fingerprint: print, kind, changes: &[] };
                if let Some(found) = self.array(tree, print, count, rank, of) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Recognises a type that has fields, or an array of it.
    fn with_fields<'a>(&mut self, tree: &'a Tree<'a>) -> Result<Option<Shape<'a>>, DamagedSchema> {
        let rank = tree.rank.unwrap_or(0);
        if rank > 0 && tree.size == 0 {
            return Ok(None);
        }
        let compound = self.compound(tree)?;
        let sizes = match rank {
            0 => tree.size..=tree.size,
            _ => compound.end.max(1)..=compound.end.saturating_add(MOST_PADDING).min(tree.size),
        };
        for size in sizes.filter(|size| tree.size == *size || (rank > 0 && count(tree.size, *size) > 0)) {
            let elements = if rank == 0 { 1 } else { count(tree.size, size) };
            for class in compound.classes() {
                let print = compound.fingerprint(&class, size);
                let of = || Shape {
                    size: size as usize,
                    fingerprint: print,
                    kind: compound.as_kind(&class),
                    changes: compound.changes,
                };
                if let Some(found) = self.array(tree, print, elements, rank, of) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Returns the shape of `tree` if it is an array of `rank` dimensions of `count` elements with
    /// this fingerprint.
    fn array<'a>(
        &mut self,
        tree: &Tree<'_>,
        print: u64,
        count: u64,
        rank: usize,
        of: impl FnOnce() -> Shape<'a>,
    ) -> Option<Shape<'a>> {
        let mut dims = Vec::new();
        if count == 0 || !self.dims(&mut dims, print, count, rank, tree.fingerprint) {
            return None;
        }
        let element = of();
        let changes = element.changes;
        Some(dims.into_iter().fold(element, |of, len| {
            let fingerprint = array_of(of.fingerprint, len);
            let size = of.size * len as usize;
            Shape { size, fingerprint, kind: Kind::Array { len: len as usize, of: Box::new(of) }, changes }
        }))
    }

    /// Finds the lengths of an array's dimensions, the innermost first.
    fn dims(&mut self, dims: &mut Vec<u64>, print: u64, count: u64, rank: usize, wanted: u64) -> bool {
        let Some(tries) = self.tries.checked_sub(1) else { return false };
        self.tries = tries;
        match rank {
            0 => return count == 1 && print == wanted,
            1 if array_of(print, count) == wanted => dims.push(count),
            1 => return false,
            _ => return self.outer_dims(dims, print, count, rank, wanted),
        }
        true
    }

    fn outer_dims(&mut self, dims: &mut Vec<u64>, print: u64, count: u64, rank: usize, wanted: u64) -> bool {
        let small =
            (1..=1 << 12).take_while(|len| len * len <= count).filter(|len| count.is_multiple_of(*len));
        for len in small.flat_map(|len| [len, count / len]) {
            dims.push(len);
            if self.dims(dims, array_of(print, len), count / len, rank - 1, wanted) {
                return true;
            }
            dims.pop();
        }
        false
    }

    /// Reads the fields inside a field.
    fn compound<'a>(&mut self, tree: &'a Tree<'a>) -> Result<Compound<'a>, DamagedSchema> {
        let is_enum = !tree.inside.is_empty() && tree.inside.iter().all(|inner| inner.variant().is_some());
        let tag = tree.inside.first().filter(|_| is_enum).map_or(0, |first| first.size);
        let (mut members, mut variants, mut end) = (Vec::new(), Vec::new(), tag);
        if is_enum {
            for inner in &tree.inside {
                if inner.offset != 0 || inner.size != tag || !matches!(tag, 1 | 2 | 4 | 8) {
                    return Err(DamagedSchema::new(&inner.name, "its number is not where it should be"));
                }
                let (fields, last) = self.members(&inner.inside, tag, tree.size)?;
                end = end.max(last);
                let (name, value) = (inner.name.clone(), inner.variant().unwrap_or_default());
                variants.push(Variant { name, value, members: fields, changes: &inner.changes });
            }
        } else {
            (members, end) = self.members(&tree.inside, 0, tree.size)?;
        }
        let lines = tree.inside.iter().map(|inner| (inner.name.clone(), inner.fingerprint, inner.offset));
        Ok(Compound { members, variants, lines: lines.collect(), is_enum, tag, end, changes: &tree.changes })
    }

    /// Reads fields, of which the first begins at `start` or later, and returns where the last ends.
    fn members<'a>(
        &mut self,
        trees: &'a [Tree<'a>],
        start: u64,
        size: u64,
    ) -> Result<(Vec<Member<'a>>, u64), DamagedSchema> {
        let (mut found, mut reached) = (Vec::new(), start);
        for tree in trees {
            let end = tree.offset.checked_add(tree.size).filter(|end| *end <= size);
            let Some(end) = end else {
                return Err(DamagedSchema::new(&tree.name, "it ends after the struct that has it"));
            };
            if tree.size != 0 {
                if tree.offset < reached {
                    return Err(DamagedSchema::new(&tree.name, "it overlaps the field before it"));
                }
                reached = end;
            }
            let (name, type_name) = (tree.name.clone(), tree.type_name.clone());
            found.push(Member { name, type_name, offset: tree.offset as usize, shape: self.shape(tree)? });
        }
        Ok((found, reached))
    }
}

impl<'a> Compound<'a> {
    fn classes(&self) -> impl Iterator<Item = Class> + use<> {
        let list = self.items().is_some();
        let is_struct = !self.is_enum;
        [
            self.is_enum.then_some(Class::Enum),
            is_struct.then_some(Class::Struct),
            list.then_some(Class::Text),
            list.then_some(Class::List),
        ]
        .into_iter()
        .flatten()
    }

    /// Returns the field with the items, their number and their type, if this looks like a list.
    fn items(&self) -> Option<(&Member<'a>, usize, &Shape<'a>)> {
        let [len, items] = &self.members[..] else { return None };
        let counts = matches!(len.shape.kind, Kind::Scalar(Scalar::Int(Int { signed: false, bytes: 4 })));
        match &items.shape.kind {
            Kind::Array { len: max, of }
                if counts
                    && len.offset == 0
                    && (len.name.as_str(), items.name.as_str()) == ("len", "items") =>
            {
                Some((items, *max, of))
            }
            _ => None,
        }
    }

    fn fingerprint(&self, class: &Class, size: u64) -> u64 {
        let (print, lines) = match (class, self.items()) {
            (Class::Text, Some((_, max, _))) => (Fingerprint::new("text").number(max as u64), &[][..]),
            (Class::List, Some((_, max, of))) => {
                (Fingerprint::new("list").number(of.fingerprint).number(max as u64), &[][..])
            }
            (Class::Enum, _) => (Fingerprint::new("enum").number(size).number(self.tag), &self.lines[..]),
            _ => (Fingerprint::new("struct").number(size), &self.lines[..]),
        };
        let add = |print: Fingerprint, (name, inner, offset): &(String, u64, u64)| {
            print.text(name).number(*inner).number(*offset)
        };
        lines.iter().fold(print, add).finish()
    }

    fn as_kind(&self, class: &Class) -> Kind<'a> {
        match (class, self.items()) {
            (Class::Text, Some((items, max, _))) => Kind::Text { max, items: items.offset },
            (Class::List, Some((items, max, of))) => {
                Kind::List { max, items: items.offset, of: Box::new(of.clone()) }
            }
            (Class::Enum, _) => Kind::Enum { tag: self.tag as usize, variants: self.variants.clone() },
            _ => Kind::Struct(self.members.clone()),
        }
    }
}

/// Returns how many elements of `bytes` bytes fill `size` bytes, or 0.
fn count(size: u64, bytes: u64) -> u64 {
    if bytes != 0 && size.is_multiple_of(bytes) { size / bytes } else { 0 }
}

fn array_of(print: u64, len: u64) -> u64 {
    Fingerprint::new("array").number(print).number(len).finish()
}
