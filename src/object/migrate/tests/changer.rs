//! Random changes of the types of the model, which change their values alike.

use super::super::scalar::{SCALARS, Scalar, Widening};
use super::model::{Choices, Record, Ty, Value, intern};
use crate::object::{Change, How};

/// Changes types and values.
pub(super) struct Changer<'a> {
    pub(super) choices: &'a mut Choices,
    /// Whether some value does not fit any more.
    pub(super) is_misfit: bool,
    /// Defaults in use.
    pub(super) defaults: usize,
    /// Whether what changes is a field, or inside one. An object is not optional.
    is_field: bool,
}

/// A stored field that may go on: its name there, its type, and its value in each object.
struct Stored {
    was: String,
    ty: Ty,
    values: Vec<Value>,
}

/// A field of the new type.
struct Next {
    name: &'static str,
    ty: Ty,
    values: Vec<Value>,
}

impl<'a> Changer<'a> {
    pub(super) fn new(choices: &'a mut Choices) -> Self {
        Changer { choices, is_misfit: false, defaults: 0, is_field: false }
    }

    /// Changes a type, and its value in each object.
    pub(super) fn change(&mut self, ty: Ty, mut values: Vec<Value>) -> (Ty, Vec<Value>) {
        if self.choices.once_in(16) && !is_empty(&ty) {
            let (ty, values) = self.change(ty, values);
            let wrapped = Record { fields: vec![("0", ty)], ..Record::default() };
            return (Ty::Struct(wrapped), values.into_iter().map(|value| Value::Many(vec![value])).collect());
        }
        let is_field = std::mem::replace(&mut self.is_field, true);
        if is_field && self.choices.once_in(16) && !is_empty(&ty) && !ty.is_maybe() {
            // An enum that changes as well is what it has become, and no value.
            let is_enum = matches!(ty, Ty::Enum { .. });
            let (ty, values) = if is_enum { (ty, values) } else { self.change(ty, values) };
            let some = |value| Value::Variant(1, vec![value]);
            return match ty.is_maybe() {
                true => (ty, values),
                false => (Ty::maybe(ty), values.into_iter().map(some).collect()),
            };
        }
        if is_field
            && self.choices.once_in(8)
            && let Some(of) = ty.in_maybe().filter(|of| !is_empty(of) && !of.is_maybe())
        {
            let mut is_none = false;
            let values = values.into_iter().map(|value| match value {
                Value::Variant(1, mut inner) => inner.pop().unwrap(),
                _ => {
                    is_none = true;
                    of.value(&mut Choices::new(Vec::new()))
                }
            });
            let values: Vec<_> = values.collect();
            self.is_misfit |= is_none;
            let is_enum = matches!(of, Ty::Enum { .. });
            return if is_enum || is_none { (of, values) } else { self.change(of, values) };
        }
        match ty {
            Ty::Scalar(scalar) => self.scalar(scalar, values),
            Ty::Ref(_) => (ty, values),
            Ty::Text(max) => {
                let room = self.capacity(max);
                let is_long = |value: &Value| matches!(value, Value::Text(text) if text.len() > room);
                self.is_misfit |= values.iter().any(is_long);
                (Ty::Text(room), values)
            }
            Ty::List(of, max) => {
                let room = self.capacity(max);
                self.is_misfit |= values.iter().any(|value| value.many().len() > room);
                let of = self.elements(*of, &mut values);
                (Ty::List(Box::new(of), room), values)
            }
            Ty::Array(of, len) => {
                let of = self.elements(*of, &mut values);
                (Ty::Array(Box::new(of), len), values)
            }
            Ty::Struct(record) if record.is_own => self.own(record, values),
            Ty::Struct(record) => {
                let rows = values.into_iter().map(Value::into_many).collect();
                let (record, rows) = self.record(record, rows, 1);
                (Ty::Struct(record), rows.into_iter().map(Value::Many).collect())
            }
            Ty::Enum { .. } => self.enumeration(ty, values),
        }
    }

    fn scalar(&mut self, from: Scalar, values: Vec<Value>) -> (Ty, Vec<Value>) {
        let wider = || SCALARS.iter().filter(|(_, _, to)| *to != from && from.widening(*to).is_some());
        if !self.choices.once_in(3) || wider().count() == 0 {
            return (Ty::Scalar(from), values);
        }
        let (_, bytes, to) = *wider().nth(self.choices.below(wider().count())).unwrap();
        let float = |value: Value| {
            let Value::Bits(bits) = value else { unreachable!() };
            let exact = match from {
                Scalar::Float(_) => f64::from(f32::from_bits(bits as u32)),
                // The bits of a negative number fill all 128, and so do those of no other.
                _ => bits as i128 as f64,
            };
            Value::Bits(if bytes == 4 { (exact as f32).to_bits().into() } else { exact.to_bits().into() })
        };
        match from.widening(to) {
            Some(Widening::Float) => (Ty::Scalar(to), values.into_iter().map(float).collect()),
            _ => (Ty::Scalar(to), values),
        }
    }

    fn capacity(&mut self, max: usize) -> usize {
        match self.choices.below(6) {
            4 => max + self.choices.below(4),
            5 => (max - self.choices.below(max)).max(1),
            _ => max,
        }
    }

    /// Changes the elements of lists or arrays.
    fn elements(&mut self, of: Ty, values: &mut [Value]) -> Ty {
        let all = values.iter().flat_map(Value::many).cloned().collect();
        let (of, all) = self.change(of, all);
        let mut all = all.into_iter();
        for value in values {
            *value = Value::Many(all.by_ref().take(value.many().len()).collect());
        }
        of
    }

    /// Changes a set, a map, a set of bits, or the entry of a map.
    fn own(&mut self, mut record: Record, mut values: Vec<Value>) -> (Ty, Vec<Value>) {
        let (_, ty) = record.fields.pop().unwrap();
        let mut inner: Vec<Value> = values.iter_mut().map(|value| value.many_mut().pop().unwrap()).collect();
        let changed = match (ty, record.changes[0]) {
            (Ty::Array(word, len), Change { field, .. }) => {
                let room = self.capacity(len);
                for words in &mut inner {
                    let words = words.many_mut();
                    self.is_misfit |= words.iter().skip(room).any(|word| *word != Value::Bits(0));
                    words.resize(room, Value::Bits(0));
                }
                (field, Ty::Array(word, room))
            }
            (Ty::List(of, max), Change { field, .. }) => {
                let room = self.capacity(max);
                self.is_misfit |= inner.iter().any(|value| value.many().len() > room);
                let of = match *of {
                    Ty::Struct(entry) => self.entry(entry, &mut inner),
                    key => {
                        let all = inner.iter().flat_map(Value::many).cloned().collect();
                        self.key(key, all)
                    }
                };
                (field, Ty::List(Box::new(of), room))
            }
            _ => unreachable!(),
        };
        record.fields.push(changed);
        for (value, inner) in values.iter_mut().zip(inner) {
            value.many_mut().push(inner);
        }
        (Ty::Struct(record), values)
    }

    /// Changes the type of a key, which changes no bits of a value.
    fn key(&mut self, key: Ty, values: Vec<Value>) -> Ty {
        let Ty::Scalar(from) = key else { unreachable!() };
        let (to, changed) = self.scalar(from, values.clone());
        if changed == values { to } else { Ty::Scalar(from) }
    }

    fn entry(&mut self, entry: Record, maps: &mut [Value]) -> Ty {
        let [(key_name, key), (value_name, of)] = <[_; 2]>::try_from(entry.fields).unwrap();
        let pairs = || maps.iter().flat_map(Value::many);
        let keys = pairs().map(|pair| pair.many()[0].clone()).collect();
        let values = pairs().map(|pair| pair.many()[1].clone()).collect();
        let key = if self.choices.once_in(2) && !maps.is_empty() { key } else { self.key(key, keys) };
        let (of, values) = self.change(of, values);
        let mut values = values.into_iter();
        for pair in maps.iter_mut().flat_map(Value::many_mut) {
            pair.many_mut()[1] = values.next().unwrap();
        }
        Ty::Struct(Record { fields: vec![(key_name, key), (value_name, of)], ..entry })
    }

    /// Changes the fields of a struct or variant, of which at least `least` have bytes then.
    fn record(&mut self, old: Record, rows: Vec<Vec<Value>>, least: usize) -> (Record, Vec<Vec<Value>>) {
        let (count, mut new) = (rows.len(), Record::default());
        let columns = old.fields.into_iter().enumerate().map(|(at, (name, ty))| Stored {
            was: name.to_owned(),
            ty,
            values: rows.iter().map(|row| row[at].clone()).collect(),
        });
        let mut columns: Vec<_> = columns.collect();
        if self.choices.once_in(4) {
            columns = unnest(columns);
        }
        let (mut next, mut nested) = (Vec::new(), Vec::new());
        for column in columns {
            match self.choices.below(8) {
                7 => new.changes.push(Change { field: intern(column.was), how: How::Removed }),
                6 => nested.push(column),
                choice => next.push(self.keep(column, choice == 5, &mut new)),
            }
        }
        if !nested.is_empty() {
            next.push(self.nest(nested, count, &mut new));
        }
        while self.choices.once_in(4) {
            next.push(self.add(count, &mut new));
        }
        while next.iter().filter(|next| !is_empty(&next.ty)).count() < least {
            next.push(self.add(count, &mut new));
        }
        for at in 1..next.len() {
            let other = at - self.choices.below(at + 1);
            next.swap(at, other);
        }
        let rows = (0..count).map(|row| next.iter().map(|next| next.values[row].clone()).collect()).collect();
        new.fields = next.into_iter().map(|next| (next.name, next.ty)).collect();
        (new, rows)
    }

    fn keep(&mut self, column: Stored, rename: bool, new: &mut Record) -> Next {
        let (ty, values) = self.change(column.ty, column.values);
        let mut next = Next { name: intern(column.was.clone()), ty, values };
        if rename || column.was.contains('.') {
            next.name = self.choices.name();
            new.changes.push(Change { field: next.name, how: How::Was(intern(column.was)) });
        }
        if let Ty::Array(_, len) = &mut next.ty
            && self.choices.once_in(3)
        {
            let old = *len;
            *len += 1 + self.choices.below(2);
            let default = next.ty.value(self.choices);
            for value in &mut next.values {
                value.many_mut().extend_from_slice(&default.many()[old..]);
            }
            new.defaults.push((next.name, default));
            self.defaults += 1;
        }
        next
    }

    /// Puts stored fields into a new struct.
    fn nest(&mut self, columns: Vec<Stored>, count: usize, new: &mut Record) -> Next {
        let (name, mut inner) = (self.choices.name(), Record::default());
        let mut rows = vec![Vec::new(); count];
        for column in columns {
            let (ty, values) = self.change(column.ty, column.values);
            let field = self.choices.name();
            inner.fields.push((field, ty));
            let how = How::Was(intern(column.was));
            new.changes.push(Change { field: intern(format!("{name}.{field}")), how });
            rows.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
        }
        if self.choices.once_in(3) {
            let added = self.add(count, &mut inner);
            inner.fields.push((added.name, added.ty));
            rows.iter_mut().zip(added.values).for_each(|(row, value)| row.push(value));
        }
        Next { name, ty: Ty::Struct(inner), values: rows.into_iter().map(Value::Many).collect() }
    }

    fn add(&mut self, count: usize, new: &mut Record) -> Next {
        let (name, ty) = (self.choices.name(), Ty::random(self.choices, 1));
        let default = ty.value(self.choices);
        new.defaults.push((name, default.clone()));
        self.defaults += 1;
        Next { name, ty, values: vec![default; count] }
    }

    fn enumeration(&mut self, old: Ty, mut values: Vec<Value>) -> (Ty, Vec<Value>) {
        let Ty::Enum { mut tag, mut is_c, variants, mut changes } = old else { unreachable!() };
        let is_own = variants[0].2.is_own;
        let count = variants.len();
        let mut next = Vec::new();
        for (at, (mut name, mut number, record)) in variants.into_iter().enumerate() {
            let mut of_it: Vec<_> = values.iter_mut().filter_map(|value| value.of_variant(at)).collect();
            let rows = of_it.iter_mut().map(|(_, fields)| std::mem::take(*fields)).collect();
            if !is_own && self.choices.once_in(8) && count > 1 && (at < count - 1 || !next.is_empty()) {
                self.is_misfit |= !of_it.is_empty();
                changes.push(Change { field: name, how: How::Removed });
                continue;
            }
            let (record, rows) =
                if is_own { self.payload(record, rows) } else { self.record(record, rows, 0) };
            for ((number, fields), row) in of_it.into_iter().zip(rows) {
                (*number, *fields) = (next.len() + NEW, row);
            }
            if !is_own && self.choices.once_in(6) {
                let was = std::mem::replace(&mut name, self.choices.name());
                changes.push(Change { field: name, how: How::Was(was) });
            }
            if !is_own && self.choices.once_in(4) {
                number = 100 + at as u64;
            }
            next.push((name, number, record));
        }
        if !is_own {
            if self.choices.once_in(3) {
                next.push((self.choices.name(), 50, Record::random(self.choices, 1, 0)));
            }
            if self.choices.once_in(4) {
                (tag, is_c) = ([1, 2, 4, 8][self.choices.below(4)], self.choices.once_in(2));
            }
        }
        values.iter_mut().for_each(Value::settle);
        (Ty::Enum { tag, is_c, variants: next, changes }, values)
    }

    /// Changes the type in a `Maybe`.
    fn payload(&mut self, mut record: Record, rows: Vec<Vec<Value>>) -> (Record, Vec<Vec<Value>>) {
        let Some((name, ty)) = record.fields.pop() else { return (record, rows) };
        let (ty, values) = self.change(ty, rows.into_iter().flatten().collect());
        record.fields.push((name, ty));
        (record, values.into_iter().map(|value| vec![value]).collect())
    }
}

/// What is added to the number of a variant in the new type, so that it is not taken for an old one.
const NEW: usize = 1000;

/// Replaces a struct by its fields.
fn unnest(columns: Vec<Stored>) -> Vec<Stored> {
    let mut found = Vec::new();
    for column in columns {
        match column.ty {
            Ty::Struct(record) if !record.is_own => {
                for (at, (name, ty)) in record.fields.into_iter().enumerate() {
                    let values = column.values.iter().map(|value| value.many()[at].clone()).collect();
                    found.push(Stored { was: format!("{}.{name}", column.was), ty, values });
                }
            }
            ty => found.push(Stored { ty, ..column }),
        }
    }
    found
}

fn is_empty(ty: &Ty) -> bool {
    match ty {
        Ty::Scalar(scalar) => *scalar == Scalar::Phantom,
        Ty::Struct(record) => record.fields.iter().all(|(_, ty)| is_empty(ty)),
        Ty::Array(of, _) => is_empty(of),
        _ => false,
    }
}

impl Value {
    fn many(&self) -> &[Value] {
        match self {
            Value::Many(values) => values,
            _ => unreachable!(),
        }
    }

    fn many_mut(&mut self) -> &mut Vec<Value> {
        match self {
            Value::Many(values) => values,
            _ => unreachable!(),
        }
    }

    fn into_many(self) -> Vec<Value> {
        match self {
            Value::Many(values) => values,
            _ => unreachable!(),
        }
    }

    /// Returns number and fields if it is the stored variant `at`.
    fn of_variant(&mut self, at: usize) -> Option<(&mut usize, &mut Vec<Value>)> {
        match self {
            Value::Variant(number, fields) if *number == at => Some((number, fields)),
            _ => None,
        }
    }

    /// Takes a variant for one of the new type from now on.
    fn settle(&mut self) {
        if let Value::Variant(number, _) = self {
            *number = number.checked_sub(NEW).unwrap_or(0);
        }
    }
}
