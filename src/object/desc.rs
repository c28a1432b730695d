//! Descriptions of types: fields, and the rule that says which bytes are a value.

use crate::object::change::Change;

/// One field of a struct, or one variant of an enum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Name in the source; the field's number in a tuple struct.
    pub name: &'static str,
    /// Type of the field.
    pub desc: TypeDesc,
    /// Bytes from the beginning of the struct; 0 for a variant.
    pub offset: usize,
}

/// A type as a field has it: its source text, its size, and the fingerprint of its layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeDesc {
    /// Name as written in the source: `u64`, `[f32; 3]`, `Vec3`; for a variant, `variant 3`.
    pub name: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Fingerprint, equal for types whose fields have the same names, types and offsets.
    pub fingerprint: u64,
    /// Fields of the type, as in [`Schema::FIELDS`](crate::object::Schema::FIELDS).
    pub fields: &'static [Field],
    /// Number of array dimensions, as in [`Schema::RANK`](crate::object::Schema::RANK).
    pub rank: usize,
    /// Which bytes are a value, as in [`Stored::RULE`](crate::object::Stored::RULE).
    pub rule: &'static Rule,
    /// Declared changes, as in [`Schema::CHANGES`](crate::object::Schema::CHANGES).
    pub changes: &'static [Change<'static>],
}

/// Which bytes are a value of a type, and which of them count.
///
/// All of it is known at compile time, so a program pays nothing for a type of which any bytes are
/// a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    pub(crate) size: usize,
    /// Any bytes are a value.
    pub(crate) any_bits: bool,
    /// All zeros are a value.
    pub(crate) zero: bool,
    /// Every byte of every value counts: there is no padding.
    pub(crate) dense: bool,
    pub(crate) kind: Kind,
}

/// The kinds of rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Any bytes, all of which count.
    Plain,
    /// One byte, 0 or 1.
    Bool,
    /// Four bytes, a `char`.
    Char,
    /// At least one bit is set.
    NonZero,
    /// Each field is a value of its type. The fields are in the order of their offsets.
    Struct(&'static [Field]),
    /// Each element is a value.
    Array { len: usize, of: &'static Rule },
    /// The first `tag` bytes are one of `values`; the fields are those of the variant with its
    /// number.
    Enum { tag: usize, values: &'static [u64], variants: &'static [Field] },
    /// A `u32` with the number of elements, then from `items` on up to `max` elements.
    List { max: usize, items: usize, of: &'static Rule },
    /// A `u32` with the number of bytes, then up to `max` bytes of UTF-8.
    Text { max: usize },
}

impl Rule {
    /// Creates the rule of a type of which any bytes are a value, and all count.
    pub const fn plain(size: usize) -> Self {
        Rule { size, any_bits: true, zero: true, dense: true, kind: Kind::Plain }
    }

    pub(crate) const fn scalar(size: usize, zero: bool, kind: Kind) -> Self {
        Rule { size, any_bits: false, zero, dense: true, kind }
    }

    pub(crate) const fn array(len: usize, of: &'static Rule) -> Self {
        let Rule { any_bits, zero, dense, .. } = *of;
        Rule { size: len * of.size, any_bits, zero, dense, kind: Kind::Array { len, of } }
    }

    pub(crate) const fn list(size: usize, max: usize, items: usize, of: &'static Rule) -> Self {
        Rule { size, any_bits: false, zero: true, dense: false, kind: Kind::List { max, items, of } }
    }

    pub(crate) const fn text(size: usize, max: usize) -> Self {
        Rule { size, any_bits: false, zero: true, dense: false, kind: Kind::Text { max } }
    }

    /// Creates the rule of a struct, whose fields are in the order of their offsets.
    pub const fn of_struct(size: usize, fields: &'static [Field]) -> Self {
        let (any_bits, zero, dense) = all_of(fields, 0, size);
        Rule { size, any_bits, zero, dense, kind: Kind::Struct(fields) }
    }

    /// Creates the rule of an enum that begins with `tag` bytes, which have one of `values`.
    ///
    /// # Panics
    ///
    /// There are more values than variants, or fewer.
    pub const fn of_enum(
        size: usize,
        tag: usize,
        values: &'static [u64],
        variants: &'static [Field],
    ) -> Self {
        assert!(values.len() == variants.len());
        let (mut zero, mut left) = (false, (values, variants));
        while let ([value, values @ ..], [variant, variants @ ..]) = left {
            let (_, payload, _) = all_of(variant.desc.fields, tag, size);
            zero |= *value == 0 && payload;
            left = (values, variants);
        }
        Rule { size, any_bits: false, zero, dense: size == tag, kind: Kind::Enum { tag, values, variants } }
    }

    /// Adds the parts of a value that begins at `start` of which not any bytes are a value: where each
    /// begins, and its rule.
    pub(crate) fn add_parts(&'static self, start: usize, parts: &mut Vec<(usize, &'static Rule)>) {
        match self.kind {
            _ if self.any_bits => {}
            Kind::Struct(fields) => {
                fields.iter().for_each(|field| field.desc.rule.add_parts(start + field.offset, parts));
            }
            _ => parts.push((start, self)),
        }
    }

    /// Returns whether any bytes are a value.
    pub const fn any_bits(&self) -> bool {
        self.any_bits
    }

    /// Returns whether all zeros are a value.
    pub const fn zero_is_a_value(&self) -> bool {
        self.zero
    }

    /// Returns whether every byte of a value counts, so that a copy needs no care.
    pub const fn is_dense(&self) -> bool {
        self.dense
    }
}

/// Returns whether for all of `fields` any bits are values, zeros are values, and no byte from
/// `start` to `end` is padding.
const fn all_of(mut fields: &[Field], start: usize, end: usize) -> (bool, bool, bool) {
    let (mut any_bits, mut zero, mut dense) = (true, true, true);
    let mut reached = start;
    while let [Field { desc, offset, .. }, rest @ ..] = fields {
        fields = rest;
        // It may be anywhere, and has no byte.
        if desc.size == 0 {
            continue;
        }
        assert!(*offset >= reached && *offset + desc.size <= end, "a field is not where it should be");
        any_bits &= desc.rule.any_bits;
        zero &= desc.rule.zero;
        dense &= desc.rule.dense && *offset == reached;
        reached = *offset + desc.size;
    }
    (any_bits, zero, dense && reached == end)
}

/// Returns the offset of field `number` of a `#[repr(C)]` struct, whose fields have these sizes and
/// alignments.
#[expect(clippy::indexing_slicing, reason = "only the derive calls it, and a wrong number does not compile")]
pub const fn offset_in_c(fields: &[(usize, usize)], number: usize) -> usize {
    let (mut end, mut at) = (0, 0);
    loop {
        let (size, align) = fields[at];
        let start = usize::next_multiple_of(end, align);
        if at == number {
            return start;
        }
        end = start + size;
        at += 1;
    }
}

/// Returns the offset of the payload of a `#[repr(C, u8)]` enum with a tag of `tag` bytes, whose
/// variants have fields with these alignments.
pub const fn payload_offset(tag: usize, mut aligns: &[usize]) -> usize {
    let mut largest = 1;
    while let [align, rest @ ..] = aligns {
        if *align > largest {
            largest = *align;
        }
        aligns = rest;
    }
    usize::next_multiple_of(tag, largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_c_structs_are_where_the_compiler_puts_them() {
        #[repr(C)]
        struct Mixed {
            a: u8,
            b: u32,
            c: u16,
            d: u64,
        }
        let fields = [(1, 1), (4, 4), (2, 2), (8, 8)];
        let expected = [
            std::mem::offset_of!(Mixed, a),
            std::mem::offset_of!(Mixed, b),
            std::mem::offset_of!(Mixed, c),
            std::mem::offset_of!(Mixed, d),
        ];
        assert_eq!([0, 1, 2, 3].map(|number| offset_in_c(&fields, number)), expected);
        assert_eq!(payload_offset(1, &[1, 4, 2]), 4);
        assert_eq!(payload_offset(2, &[]), 2);
    }
}
