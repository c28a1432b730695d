//! The matcher: finds for every field of a new type where its value comes from.

use super::declared::{Declared, Former, is_removed, removed};
use super::op::{Each, Op, Room};
use super::order::keeps_order;
use super::refusal::{Reason, Side};
use super::scalar::{Scalar, Widening};
use super::shape::{Kind, Member, Shape};
use super::step::Step;
use super::stub;
use crate::object::Change;
use std::collections::HashSet;

/// What was found so far.
#[derive(Default)]
pub(super) struct Matcher<'a> {
    steps: Vec<Step>,
    reasons: Vec<Reason>,
    /// Inside a field that is not changed, of which the steps have one line.
    quiet: usize,
    /// Paths of stored fields that some field of the new type comes from.
    used: HashSet<String>,
    /// Paths of stored fields that are declared as gone.
    removed: HashSet<String>,
    /// Stored fields that must all be used or removed in the end, and the path that they are in.
    pending: Vec<(&'a [Member<'a>], String)>,
}

/// Where a type lies: in the stored schema and in that of this build.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) old: String,
    pub(super) new: String,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A stored field that a field of the new type comes from.
#[derive(Clone)]
pub(super) struct Source<'a> {
    member: &'a Member<'a>,
    path: String,
    from: usize,
    /// Position of the ini line that names it, if one does.
    by_ini: Option<&'a str>,
}

/// A source for a field inside another, which the outer type declares.
pub(super) type Given<'a> = (&'a str, Source<'a>);

/// What the field that has a type declares of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Manner {
    /// The default of the whole field has been written.
    is_filled: bool,
    is_bits: bool,
    is_sorted: bool,
}

impl Manner {
    /// Takes the default of the whole field back, if it has been written.
    pub(super) fn clear(self, ops: &mut Vec<Op>, new: &Shape<'_>, site: &Site) {
        if self.is_filled {
            ops.push(Op::Zero { to: site.to, len: new.size });
        }
    }
}

impl<'a> Matcher<'a> {
    /// Returns how to convert an object, what happens to its fields, and what stands in the way.
    pub(super) fn object(
        mut self,
        old: &'a Shape<'a>,
        new: &'a Shape<'a>,
    ) -> (Vec<Op>, Vec<Step>, Vec<Reason>) {
        let site = Site { old: String::new(), new: String::new(), from: 0, to: 0 };
        let mut ops = Vec::new();
        self.shape(&mut ops, old, new, &site, Manner::default(), &[]);
        for (members, path) in std::mem::take(&mut self.pending) {
            self.account_for(members, &path, &path);
        }
        self.suggest_renames(new);
        (ops, self.steps, self.reasons)
    }

    /// Matches the fields of a struct or variant. `old` is `None` if there is no such struct.
    pub(super) fn members(
        &mut self,
        ops: &mut Vec<Op>,
        old: Option<&'a [Member<'a>]>,
        new: &'a [Member<'a>],
        changes: &'a [Change<'a>],
        site: &Site,
        given: &[Given<'a>],
    ) {
        if let Some(old) = old {
            self.pending.push((old, site.old.clone()));
            self.removed.extend(removed(changes).map(|name| join(&site.old, name)));
        }
        let old = old.unwrap_or_default();
        for member in new {
            let declared = Declared::of(changes, &member.name);
            let here = join(&site.new, &member.name);
            let to = site.to + member.offset;
            let former =
                |(name, by_ini): &Former<'a>| Some(Source { by_ini: *by_ini, ..find(old, name, site)? });
            let mut given_here =
                given.iter().filter(|(name, _)| *name == member.name).map(|(_, source)| source);
            let source = find(old, &member.name, site)
                .or_else(|| given_here.next().cloned())
                .or_else(|| declared.was.iter().find_map(former));
            let further = given.iter().filter_map(|(name, source)| {
                let inner = name.strip_prefix(member.name.as_str())?.strip_prefix('.')?;
                Some((inner, source.clone()))
            });
            let inner = declared.inner.iter().filter_map(|(name, was)| Some((*name, former(was)?)));
            let inner: Vec<Given<'a>> = inner.chain(further).collect();
            if let Some(write) = declared.transient {
                self.used.extend(source.map(|source| source.path));
                self.fill(ops, member, to, write);
                self.step(&here, "transient, its default");
                continue;
            }
            match source {
                Some(source) => self.member(ops, source, member, &declared, (&here, to), &inner),
                None => self.without_source(ops, member, &declared, (&here, to), &inner),
            }
        }
    }

    /// Converts a stored field to one of the new type.
    fn member(
        &mut self,
        ops: &mut Vec<Op>,
        source: Source<'a>,
        new: &'a Member<'a>,
        declared: &Declared<'a>,
        (here, to): (&str, usize),
        inner: &[Given<'a>],
    ) {
        let old = source.member;
        let before = (ops.len(), self.steps.len(), self.reasons.len(), self.pending.len());
        let is_same = old.shape.fingerprint == new.shape.fingerprint;
        if old.name != new.name || source.by_ini.is_some() {
            self.renamed(here, &source);
        } else if is_same && source.from == to {
            self.step(here, "unchanged");
        } else if is_same {
            self.step(here, format_args!("moved from byte {} to byte {to}", source.from));
        }
        let mut manner =
            Manner { is_filled: false, is_bits: declared.is_bits, is_sorted: declared.is_sorted };
        if let Some(write) = declared.default.filter(|_| grows(&old.shape, &new.shape)) {
            self.fill(ops, new, to, write);
            manner.is_filled = true;
        }
        let site = Site { old: source.path.clone(), new: here.to_owned(), from: source.from, to };
        self.quiet += usize::from(is_same);
        self.shape(ops, &old.shape, &new.shape, &site, manner, inner);
        self.quiet -= usize::from(is_same);
        self.used.insert(source.path);
        let is_gone = self.reasons.len() > before.2 && is_removed(declared.changes, &old.name);
        if let Some(write) = declared.default.filter(|_| is_gone) {
            ops.truncate(before.0);
            self.steps.truncate(before.1);
            self.reasons.truncate(before.2);
            self.pending.truncate(before.3);
            self.fill(ops, new, to, write);
            self.step(here, "its default; the stored field of this name has been removed");
        }
    }

    /// Gives a value to a field that no stored field has the value of.
    fn without_source(
        &mut self,
        ops: &mut Vec<Op>,
        new: &'a Member<'a>,
        declared: &Declared<'a>,
        (here, to): (&str, usize),
        inner: &[Given<'a>],
    ) {
        if let Some(write) = declared.default.filter(|_| inner.is_empty()) {
            self.fill(ops, new, to, write);
            self.step(here, "new, its default");
        } else if new.shape.size == 0 {
            self.step(here, "new, without bytes");
        } else if let (Kind::Struct(members), false) = (&new.shape.kind, inner.is_empty()) {
            let site = Site { old: String::new(), new: here.to_owned(), from: 0, to };
            self.step(here, "new, from fields that were outside");
            self.members(ops, None, members, new.shape.changes, &site, inner);
        } else {
            let write = vec![stub::with_default(new)];
            let why = "is new, and nothing says which value it has in stored objects";
            self.refuse(here, why, write, Side::New(new.shape.fingerprint));
        }
    }

    /// Converts one type to another.
    pub(super) fn shape(
        &mut self,
        ops: &mut Vec<Op>,
        old: &'a Shape<'a>,
        new: &'a Shape<'a>,
        site: &Site,
        manner: Manner,
        given: &[Given<'a>],
    ) {
        if let (Kind::Array { .. }, Kind::Array { .. }) = (&old.kind, &new.kind) {
            return self.array(ops, old, new, site, manner);
        }
        if self.optional(ops, old, new, site, manner) {
            return;
        }
        manner.clear(ops, new, site);
        match (&old.kind, &new.kind) {
            (Kind::Scalar(from), Kind::Scalar(to)) => match from.widening(*to) {
                Some(how) => self.scalar(ops, (*from, old.size), (*to, new.size), how, site),
                None => self.retyped(old, new, site),
            },
            (Kind::Ref(from), Kind::Ref(to)) if from == to => copy(ops, site.from, site.to, new.size),
            (Kind::Unknown, _) | (_, Kind::Unknown)
                if (old.fingerprint, old.size) == (new.fingerprint, new.size) =>
            {
                copy(ops, site.from, site.to, new.size);
            }
            (Kind::Struct(_), Kind::Struct(_)) if old.newtype().is_some() != new.newtype().is_some() => {
                self.unwrapped(ops, old, new, site, given);
            }
            (Kind::Struct(from), Kind::Struct(to)) => {
                self.members(ops, Some(from), to, new.changes, site, given);
            }
            (Kind::Enum { tag, variants: from }, Kind::Enum { tag: wide, variants: to }) => {
                self.enumeration(ops, (*tag, from), (*wide, to), new.changes, site);
            }
            (Kind::List { max, items, of }, Kind::List { max: room, items: start, of: to }) => {
                self.list(ops, (*max, *items, of), (*room, *start, to), site, manner);
            }
            (Kind::Text { max, items }, Kind::Text { max: room, items: start }) => {
                self.capacity(*max, *room, &site.new);
                let byte = Each::new(1, 1, vec![Op::Copy { from: 0, to: 0, len: 1 }]);
                push_list(ops, (*max, *items), (*room, *start), byte, site);
            }
            _ => self.unwrapped(ops, old, new, site, given),
        }
    }

    /// Converts a newtype to what it wraps, or the other way round.
    fn unwrapped(
        &mut self,
        ops: &mut Vec<Op>,
        old: &'a Shape<'a>,
        new: &'a Shape<'a>,
        site: &Site,
        given: &[Given<'a>],
    ) {
        match (old.newtype(), new.newtype()) {
            (Some(inner), None) => self.shape(ops, &inner.shape, new, site, Manner::default(), given),
            (None, Some(inner)) => self.shape(ops, old, &inner.shape, site, Manner::default(), given),
            _ => self.retyped(old, new, site),
        }
    }

    fn scalar(
        &mut self,
        ops: &mut Vec<Op>,
        (from, bytes): (Scalar, usize),
        (to, wide): (Scalar, usize),
        how: Widening,
        site: &Site,
    ) {
        if from != to {
            self.step(&site.new, format_args!("widened from {from} to {to}"));
        }
        match how {
            // The bytes that are not copied are zero already.
            Widening::Copy | Widening::Zeros => copy(ops, site.from, site.to, bytes),
            Widening::Sign => ops.push(Op::Sign { from: site.from, bytes, to: site.to, wide }),
            Widening::Float => ops.push(Op::Float { from: site.from, scalar: from, to: site.to, wide }),
        }
    }

    fn array(
        &mut self,
        ops: &mut Vec<Op>,
        old: &'a Shape<'a>,
        new: &'a Shape<'a>,
        site: &Site,
        manner: Manner,
    ) {
        let (Kind::Array { len, of: from }, Kind::Array { len: room, of: to }) = (&old.kind, &new.kind)
        else {
            return;
        };
        let kept = (*len).min(*room);
        if manner.is_bits {
            copy(ops, site.from, site.to, kept * to.size);
            if len > room {
                let (from, len) = (site.from + kept * to.size, (len - kept) * from.size);
                let (field, kept) = (outer(&site.new).to_owned(), kept * to.size);
                ops.push(Op::NoBits { from, len, kept, field });
            }
            return self.capacity(len * 64, room * 64, outer(&site.new));
        }
        if len > room {
            let why = format!("had {len} elements and has {room}: the others would be lost");
            return self.refuse(&site.new, &why, Vec::new(), Side::Both);
        }
        if len < room && !manner.is_filled {
            let why =
                format!("had {len} elements and has {room}, and nothing says which value the new ones have");
            let write =
                vec![format!("#[pool(default = ..)] at `{}`, with the value of all elements", site.new)];
            return self.refuse(&site.new, &why, write, Side::Both);
        }
        if len < room {
            self.step(
                &site.new,
                format_args!("{len} elements become {room}, the new ones with their default"),
            );
        }
        let inner = site.element();
        let mut steps = Vec::new();
        self.shape(&mut steps, from, to, &inner, manner, &[]);
        let each = Each::new(from.size, to.size, steps);
        if each.is_copy() {
            copy(ops, site.from, site.to, kept * to.size);
        } else if !each.is_empty() {
            ops.push(Op::Repeat { from: site.from, to: site.to, count: kept, each });
        }
    }

    fn list(
        &mut self,
        ops: &mut Vec<Op>,
        (max, items, of): (usize, usize, &'a Shape<'a>),
        (room, start, to): (usize, usize, &'a Shape<'a>),
        site: &Site,
        manner: Manner,
    ) {
        let key = |shape: &'a Shape| match &shape.kind {
            Kind::Struct(members) => match &members[..] {
                [key, value] if (key.name.as_str(), value.name.as_str()) == ("key", "value") => &key.shape,
                _ => shape,
            },
            _ => shape,
        };
        if manner.is_sorted && !keeps_order(key(of), key(to)) {
            let why = "is a set or map in the order of its keys, and the type of the keys has changed";
            return self.refuse(outer(&site.new), why, Vec::new(), Side::Both);
        }
        // The field of a set or map has a name that no program writes.
        let new = if manner.is_sorted { outer(&site.new) } else { &site.new };
        let site = &Site { new: new.to_owned(), ..site.clone() };
        self.capacity(max, room, &site.new);
        let mut steps = Vec::new();
        self.shape(&mut steps, of, to, &site.element(), Manner::default(), &[]);
        let each = Each::new(of.size, to.size, steps);
        push_list(ops, (max, items), (room, start), each, site);
    }

    fn capacity(&mut self, was: usize, is: usize, field: &str) {
        match was.cmp(&is) {
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Less => {
                self.step(field, format_args!("capacity raised from {was} to {is}"));
            }
            std::cmp::Ordering::Greater => {
                let what = format_args!("capacity lowered from {was} to {is}, if all objects fit");
                self.step(field, what);
            }
        }
    }

    fn retyped(&mut self, old: &Shape<'_>, new: &Shape<'_>, site: &Site) {
        let why = match (&old.kind, &new.kind) {
            (Kind::Scalar(was), Kind::Scalar(is)) => {
                format!("was {was} and is {is}, which is no wider number")
            }
            (Kind::Ref(was), Kind::Ref(is)) => {
                format!("was a reference to type {was}, and is one to type {is}")
            }
            _ => "has another type, to which its stored value cannot be converted".to_owned(),
        };
        self.refuse(&site.new, &why, Vec::new(), Side::Both);
    }

    /// Refuses stored fields that nothing comes from, unless they are declared as gone. `base` is the
    /// path of the innermost type that is in this build, too.
    fn account_for(&mut self, members: &'a [Member<'a>], path: &str, base: &str) {
        for member in members {
            let here = join(path, &member.name);
            if self.used.contains(&here) || member.shape.size == 0 {
                continue;
            }
            let inside = format!("{here}.");
            let any_inside = |paths: &HashSet<String>| paths.iter().any(|path| path.starts_with(&inside));
            match &member.shape.kind {
                _ if self.removed.contains(&here) => self.step(&here, "removed"),
                Kind::Struct(members) if any_inside(&self.used) || any_inside(&self.removed) => {
                    self.account_for(members, &here, base);
                }
                _ => {
                    let why = "is gone, and nothing says that its values may be dropped";
                    let name = here.strip_prefix(base).unwrap_or(&here).trim_start_matches('.');
                    let above = match base {
                        "" => "the struct".to_owned(),
                        base => format!("the type of `{base}`"),
                    };
                    let write = vec![format!(
                        "#[pool(removed = \"{name}\")] // at {above}, if `{name}` is gone with its values"
                    )];
                    self.refuse(&here, why, write, Side::Old(member.shape.fingerprint));
                }
            }
        }
    }

    /// Adds a `was` to what is written for a new field, if a gone one has the same type.
    fn suggest_renames(&mut self, new: &Shape<'_>) {
        let Kind::Struct(members) = &new.kind else { return };
        let gone: Vec<(String, u64)> = self
            .reasons
            .iter()
            .filter_map(|reason| match reason.side {
                Side::Old(print) => Some((reason.field.clone(), print)),
                _ => None,
            })
            .collect();
        for reason in &mut self.reasons {
            let member = members.iter().find(|member| member.name == reason.field);
            let same = gone.iter().find(|(_, print)| reason.side == Side::New(*print));
            if let (Some(member), Some((was, _))) = (member, same) {
                // The way that keeps the values comes first.
                reason.write.iter_mut().for_each(|line| line.push_str(" // or this, if it is new"));
                let line = stub::with_was(member, was);
                reason.write.insert(0, format!("{line} // if `{was}` has got this name"));
            }
        }
    }

    fn fill(&mut self, ops: &mut Vec<Op>, member: &Member<'_>, to: usize, write: fn(&mut [u8])) {
        let mut bytes = vec![0; member.shape.size].into_boxed_slice();
        write(&mut bytes);
        if bytes.iter().any(|byte| *byte != 0) {
            ops.push(Op::Fill { to, bytes });
        }
    }

    pub(super) fn step(&mut self, field: &str, what: impl std::fmt::Display) {
        if self.quiet == 0 {
            self.steps.push(Step { field: field.to_owned(), what: what.to_string(), by_ini: false });
        }
    }

    /// Adds the step of a renamed field, which says so if the ini renames it.
    fn renamed(&mut self, field: &str, source: &Source<'_>) {
        let (path, field) = (&source.path, field.to_owned());
        let (what, by_ini) = match source.by_ini {
            Some(place) => (format!("renamed from `{path}`, by {place}"), true),
            None => (format!("renamed from `{path}`"), false),
        };
        self.steps.extend((self.quiet == 0).then_some(Step { field, what, by_ini }));
    }

    pub(super) fn refuse(&mut self, field: &str, why: &str, write: Vec<String>, side: Side) {
        self.reasons.push(Reason { field: field.to_owned(), why: why.to_owned(), write, side });
    }
}

impl Site {
    /// Returns the site of the elements, which begin where each of them does.
    fn element(&self) -> Self {
        Site { old: format!("{}[]", self.old), new: format!("{}[]", self.new), from: 0, to: 0 }
    }
}

/// Finds a stored field by its name, which those that it is in may precede.
fn find<'a>(members: &'a [Member<'a>], name: &str, site: &Site) -> Option<Source<'a>> {
    let (mut members, mut from) = (members, site.from);
    let mut words = name.split('.').peekable();
    loop {
        let word = words.next()?;
        let member = members.iter().find(|member| member.name == word)?;
        from += member.offset;
        if words.peek().is_none() {
            return Some(Source { member, path: join(&site.old, name), from, by_ini: None });
        }
        let Kind::Struct(inner) = &member.shape.kind else { return None };
        members = inner;
    }
}

/// Returns whether an array becomes longer, perhaps one that was optional.
fn grows(old: &Shape<'_>, new: &Shape<'_>) -> bool {
    match (&old.kind, &new.kind) {
        (Kind::Array { len, of }, Kind::Array { len: room, of: to }) => len < room || grows(of, to),
        (_, Kind::Array { .. }) => old.maybe().is_some_and(|some| grows(&some.shape, new)),
        _ => false,
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Returns the path of what has a field.
fn outer(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(outer, _)| outer)
}

/// Copies bytes, together with those that the last step copies if they adjoin.
pub(super) fn copy(ops: &mut Vec<Op>, from: usize, to: usize, len: usize) {
    match ops.last_mut() {
        _ if len == 0 => {}
        Some(Op::Copy { from: start, to: place, len: before })
            if (*start + *before, *place + *before) == (from, to) =>
        {
            *before += len;
        }
        _ => ops.push(Op::Copy { from, to, len }),
    }
}

fn push_list(
    ops: &mut Vec<Op>,
    (max, items): (usize, usize),
    (room, start): (usize, usize),
    each: Each,
    site: &Site,
) {
    let from = Room { at: site.from, items: site.from + items, max };
    let to = Room { at: site.to, items: site.to + start, max: room };
    ops.push(Op::List { from, to, each, field: site.new.clone() });
}
