//! Whether converted items keep their order, which sets and maps rely on.

use super::shape::{Kind, Member, Shape, Variant};

/// Returns whether two converted items compare as the two stored ones did.
///
/// A derived `Ord` compares the fields in their order, and enums by the numbers of their variants.
pub(super) fn keeps_order(old: &Shape<'_>, new: &Shape<'_>) -> bool {
    if old.fingerprint == new.fingerprint {
        return true;
    }
    match (&old.kind, &new.kind) {
        (Kind::Scalar(from), Kind::Scalar(to)) => from.keeps_order(*to),
        (Kind::Text { .. }, Kind::Text { .. }) => true,
        (Kind::List { of: from, .. }, Kind::List { of: to, .. }) => keeps_order(from, to),
        (Kind::Array { len: a, of: from }, Kind::Array { len: b, of: to }) => a == b && keeps_order(from, to),
        (Kind::Struct(from), Kind::Struct(to)) if old.newtype().is_some() == new.newtype().is_some() => {
            members(from, to)
        }
        (Kind::Enum { tag: a, variants: from }, Kind::Enum { tag: b, variants: to }) => {
            let same = |from: &Variant<'_>, to: &Variant<'_>| {
                (&from.name, from.value) == (&to.name, to.value) && members(&from.members, &to.members)
            };
            a == b && from.iter().all(|from| to.iter().any(|to| same(from, to)))
        }
        _ => match (old.newtype(), new.newtype()) {
            (Some(inner), None) => keeps_order(&inner.shape, new),
            (None, Some(inner)) => keeps_order(old, &inner.shape),
            _ => false,
        },
    }
}

fn members(old: &[Member<'_>], new: &[Member<'_>]) -> bool {
    let same =
        |(from, to): (&Member<'_>, &Member<'_>)| from.name == to.name && keeps_order(&from.shape, &to.shape);
    old.len() == new.len() && old.iter().zip(new).all(same)
}
