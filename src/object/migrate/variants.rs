//! Enums: how the variants of one become those of another, and values become optional.

use super::declared::{Declared, is_removed};
use super::matcher::{Manner, Matcher, Site, copy, join};
use super::op::{Becomes, Case, Op};
use super::refusal::Side;
use super::scalar::Scalar;
use super::shape::{Kind, Member, Shape, Variant};
use crate::object::Change;
use std::collections::HashSet;

impl<'a> Matcher<'a> {
    /// Converts a type to an optional one, or the other way round; returns false if neither happens.
    pub(super) fn optional(
        &mut self,
        ops: &mut Vec<Op>,
        old: &'a Shape<'a>,
        new: &'a Shape<'a>,
        site: &Site,
        manner: Manner,
    ) -> bool {
        if let (Kind::Scalar(Scalar::OptionNonZero(from)), Kind::Scalar(Scalar::NonZero(to))) =
            (&old.kind, &new.kind)
            && from == to
        {
            // The rule of the new type refuses a 0.
            self.step(&site.new, NO_LONGER);
            manner.clear(ops, new, site);
            copy(ops, site.from, site.to, new.size);
            return true;
        }
        // What newtypes wrap is compared first, so that a `Maybe` is never taken for the one inside it.
        if old.newtype().is_some() || new.newtype().is_some() {
            return false;
        }
        match (old.maybe(), new.maybe()) {
            (None, Some(some)) if may_hold(some, old) => {
                manner.clear(ops, new, site);
                self.wrapped(ops, old, some, site);
            }
            (Some(some), None) if may_hold(some, new) => self.without_maybe(ops, some, new, site, manner),
            _ => return false,
        }
        true
    }

    fn wrapped(&mut self, ops: &mut Vec<Op>, old: &'a Shape<'a>, some: &'a Member<'a>, site: &Site) {
        self.step(&site.new, "optional now, with the value that it had");
        ops.push(Op::Fill { to: site.to, bytes: Box::new([1]) });
        let inner = Site { to: site.to + some.offset, ..site.clone() };
        self.shape(ops, old, &some.shape, &inner, Manner::default(), &[]);
    }

    /// `manner` is that of the field, whose default may be that of an array with more elements.
    fn without_maybe(
        &mut self,
        ops: &mut Vec<Op>,
        some: &'a Member<'a>,
        new: &'a Shape<'a>,
        site: &Site,
        manner: Manner,
    ) {
        self.step(&site.new, NO_LONGER);
        let inner = Site { from: site.from + some.offset, ..site.clone() };
        let mut steps = Vec::new();
        self.shape(&mut steps, &some.shape, new, &inner, manner, &[]);
        let none = Case { old: 0, to: Becomes::Gone("it has no value".to_owned()) };
        let cases = vec![Case { old: 1, to: Becomes::Variant(1, steps) }, none];
        let (from, to, field) = (site.from, site.to, site.new.clone());
        ops.push(Op::Enum { from, tag: 1, to, wide: 0, cases, field });
    }

    /// Converts one enum to another.
    pub(super) fn enumeration(
        &mut self,
        ops: &mut Vec<Op>,
        (tag, old): (usize, &'a [Variant<'a>]),
        (wide, new): (usize, &'a [Variant<'a>]),
        changes: &'a [Change<'a>],
        site: &Site,
    ) {
        let was = |is: &Variant<'a>| Declared::of(changes, &is.name).was;
        let mut taken = HashSet::new();
        let mut cases = Vec::new();
        for variant in old {
            let same = new.iter().find(|is| is.name == variant.name);
            let found =
                same.or_else(|| new.iter().find(|is| was(is).iter().any(|(was, _)| *was == variant.name)));
            let Some(found) = found else {
                cases.extend(self.gone_variant(variant, changes, site));
                continue;
            };
            taken.insert(&found.name);
            if found.name != variant.name {
                self.step(&site.new, format_args!("variant `{}` was `{}`", found.name, variant.name));
            }
            if found.value != variant.value {
                let (is, was) = (found.value, variant.value);
                self.step(&site.new, format_args!("variant `{}` was number {was}, is {is}", found.name));
            }
            let (old, new) = (join(&site.old, &variant.name), join(&site.new, &found.name));
            let inner = Site { old, new, ..*site };
            let mut steps = Vec::new();
            self.members(&mut steps, Some(&variant.members), &found.members, found.changes, &inner, &[]);
            cases.push(Case { old: variant.value, to: Becomes::Variant(found.value, steps) });
        }
        let more = new.iter().filter(|variant| !taken.contains(&variant.name));
        let more: Vec<_> = more.map(|variant| format!("`{}`", variant.name)).collect();
        if !more.is_empty() {
            self.step(&site.new, format_args!("new variants {}", more.join(", ")));
        }
        let plain =
            |case: &Case| matches!(&case.to, Becomes::Variant(is, ops) if *is == case.old && ops.is_empty());
        if tag == wide && more.is_empty() && cases.iter().all(plain) {
            return copy(ops, site.from, site.to, tag);
        }
        let (from, to, field) = (site.from, site.to, site.new.clone());
        ops.push(Op::Enum { from, tag, to, wide, cases, field });
    }

    fn gone_variant(&mut self, gone: &Variant<'_>, changes: &[Change<'_>], site: &Site) -> Option<Case> {
        let name = &gone.name;
        if is_removed(changes, name) {
            self.step(&site.new, format_args!("variant `{name}` has been removed, if no object has it"));
            let why = format!("it is `{name}`, which has been removed");
            return Some(Case { old: gone.value, to: Becomes::Gone(why) });
        }
        let why = format!("may be `{name}` in stored objects, and that variant is gone");
        let write = vec![
            format!("#[pool(was = \"{name}\")] // at the variant that `{name}` has become"),
            format!(
                "#[pool(removed = \"{name}\")] // or this at the enum of `{}`, if no object has it",
                site.new
            ),
        ];
        self.refuse(&site.new, &why, write, Side::Both);
        None
    }
}

const NO_LONGER: &str = "no longer optional, if every object has a value";

/// Returns whether a `Maybe` with the value `some` may have become `other`, or the other way round. An
/// enum with other variants is what the whole `Maybe` has become.
fn may_hold(some: &Member<'_>, other: &Shape<'_>) -> bool {
    !matches!(other.kind, Kind::Enum { .. }) || bare(&some.shape).fingerprint == other.fingerprint
}

/// Returns what newtypes wrap.
fn bare<'s>(shape: &'s Shape<'_>) -> &'s Shape<'s> {
    shape.newtype().map_or(shape, |inner| bare(&inner.shape))
}
