//! Changes inside a field: variants, elements, capacities and newtypes.

use super::*;
use crate::object::{BitSet, FixedMap, FixedSet, FixedStr, FixedVec, Maybe};
use std::num::NonZero;

type Bag<T, const N: usize> = FixedVec<T, N>;

#[test]
fn variants_come_are_renamed_and_renumbered() {
    version! { b {
        #[repr(u8)] pub(super) enum Class { Mage, Knight, Archer }
        #[repr(C)] pub(super) struct T { pub class: Class, pub other: Class }
    } }
    version! { c {
        #[repr(u16)] pub(super) enum Class { Bard = 9, #[pool(was = "Mage")] Wizard = 300, Archer = 0, Knight = 1 }
        #[repr(C)] pub(super) struct T { pub class: Class, pub other: Class }
    } }
    let new = c::T { class: c::Class::Wizard, other: c::Class::Archer };
    becomes(b::T { class: b::Class::Mage, other: b::Class::Archer }, new);
    becomes(
        b::T { class: b::Class::Knight, other: b::Class::Knight },
        c::T { class: c::Class::Knight, other: c::Class::Knight },
    );
    insta::assert_snapshot!(steps::<b::T, c::T>(), @r"
    `class`: variant `Wizard` was `Mage`
    `class`: variant `Wizard` was number 0, is 300
    `class`: variant `Archer` was number 2, is 0
    `class`: new variants `Bard`
    `other`: variant `Wizard` was `Mage`
    `other`: variant `Wizard` was number 0, is 300
    `other`: variant `Archer` was number 2, is 0
    `other`: new variants `Bard`
    ");
    // A number that only the new enum knows is no value of the old one.
    let mut new = vec![0; size_of::<c::T>()];
    let misfit = plan::<b::T, c::T>().unwrap().convert(&[0, 9], &mut new).unwrap_err();
    insta::assert_snapshot!(misfit, @"other: 9 is no variant");
}

#[test]
fn a_number_that_only_the_new_enum_has_is_no_old_value() {
    version! { a {
        #[repr(u8)] pub(super) enum Class { Mage, Knight }
        #[repr(C)] pub(super) struct T { pub class: Class }
    } }
    version! { b {
        #[repr(u8)] pub(super) enum Class { Mage, Knight, Archer }
        #[repr(C)] pub(super) struct T { pub class: Class }
    } }
    let convert = |byte| plan::<a::T, b::T>().unwrap().convert(&[byte], &mut [0]);
    assert_eq!(convert(1), Ok(()));
    assert_eq!(convert(2).unwrap_err().to_string(), "class: 2 is no variant");
}

#[test]
fn a_variant_that_is_gone_is_refused_unless_no_object_has_it() {
    version! { a { #[repr(C)] pub(super) struct T { pub order: v1::Order } } }
    version! { b {
        #[repr(C)] pub(super) struct T { pub order: Order }
        #[repr(u8)] pub(super) enum Order { Rest, Walk { to: v1::Pos, fast: bool } }
    } }
    insta::assert_snapshot!(refusal::<a::T, b::T>(), @r#"
    cannot convert the stored objects of type hero:
      `order` may be `Attack` in stored objects, and that variant is gone
    what differs:
      field `order` was v1::Order at byte 0, is Order at byte 0
      field `order.Attack` is gone: it was variant 2 at byte 0
    write in the source:
      #[pool(was = "Attack")] // at the variant that `Attack` has become
      #[pool(removed = "Attack")] // or this at the enum of `order`, if no object has it
    "#);
    version! { c {
        #[repr(C)] pub(super) struct T { pub order: Order }
        #[repr(u8)] #[pool(removed = "Attack")] pub(super) enum Order {
            Rest,
            #[pool(removed = "to")]
            Walk { #[pool(default = -1)] how: i16, #[pool(was = "fast")] quick: bool },
        }
    } }
    becomes(a::T { order: v1::Order::Rest }, c::T { order: c::Order::Rest });
    let walk = v1::Order::Walk { to: POS, fast: true };
    becomes(a::T { order: walk }, c::T { order: c::Order::Walk { how: -1, quick: true } });
    let misfit = convert::<a::T, c::T>(&a::T { order: v1::Order::Attack(3) }).unwrap_err();
    insta::assert_snapshot!(misfit, @"order: it is `Attack`, which has been removed");
}

#[test]
fn the_payload_of_a_variant_is_converted() {
    version! { a { #[repr(C)] pub(super) struct T { pub order: v1::Order, pub target: Maybe<u16>, pub last: Maybe<v1::Pos> } } }
    version! { b {
        #[repr(C)] pub(super) struct T { pub last: Maybe<Pos>, pub target: Maybe<u64>, pub order: Order }
        #[repr(C)] pub(super) struct Pos { pub y: f64, pub x: f64 }
        #[repr(C, u8)] pub(super) enum Order { Rest, Fly, Walk { fast: bool, to: Pos }, Attack(u32) }
    } }
    let pos = b::Pos { x: 1.5, y: -2.0 };
    let old = |order| a::T { order, target: Maybe::Some(3), last: Maybe::Some(POS) };
    let new = |order| b::T { order, target: Maybe::Some(3), last: Maybe::Some(pos) };
    becomes(old(v1::Order::Walk { to: POS, fast: true }), new(b::Order::Walk { fast: true, to: pos }));
    becomes(old(v1::Order::Attack(65_535)), new(b::Order::Attack(65_535)));
    becomes(
        a::T { target: Maybe::None, last: Maybe::None, ..old(v1::Order::Rest) },
        b::T { target: Maybe::None, last: Maybe::None, ..new(b::Order::Rest) },
    );
}

#[test]
fn a_field_becomes_optional_and_back_if_every_object_has_a_value() {
    version! { a {
        #[repr(C)] pub(super) struct T { pub hp: u16, pub at: v1::Pos, pub order: v1::Order, pub uid: NonZero<u32>, pub bag: [u8; 2] }
    } }
    version! { b {
        #[repr(C)] pub(super) struct T { pub hp: Maybe<u64>, pub at: Maybe<Pos>, pub order: Maybe<v1::Order>, pub uid: Option<NonZero<u32>>, pub bag: [Maybe<u8>; 2] }
        #[repr(C)] pub(super) struct Pos { pub y: f32, #[pool(was = "x")] pub east: f32 }
    } }
    let old = a::T { hp: 7, at: POS, order: v1::Order::Attack(3), uid: NonZero::<u32>::MIN, bag: [1, 2] };
    let at = b::Pos { y: POS.y, east: POS.x };
    let (order, bag) = (Maybe::Some(v1::Order::Attack(3)), [Maybe::Some(1), Maybe::Some(2)]);
    let new = b::T { hp: Maybe::Some(7), at: Maybe::Some(at), order, uid: Some(NonZero::<u32>::MIN), bag };
    becomes(old, new);
    insta::assert_snapshot!(steps::<a::T, b::T>(), @r"
    `hp`: optional now, with the value that it had
    `hp`: widened from u16 to u64
    `at`: optional now, with the value that it had
    `at.y`: moved from byte 8 to byte 20
    `at.east`: renamed from `at.x`
    `order`: optional now, with the value that it had
    `order.Walk.to`: moved from byte 16 to byte 36
    `order.Walk.fast`: moved from byte 24 to byte 44
    `order.Attack.0`: moved from byte 14 to byte 34
    `uid`: widened from NonZero<u32> to Option<NonZero<u32>>
    `bag[]`: optional now, with the value that it had
    ");
    version! { c {
        #[repr(C)] pub(super) struct T { pub hp: u64, pub at: Pos, pub order: v1::Order, pub uid: NonZero<u32>, pub bag: [u16; 2] }
        #[repr(C)] pub(super) struct Pos { pub east: f32, pub y: f32 }
    } }
    let at = c::Pos { east: POS.x, y: POS.y };
    becomes(new, c::T { hp: 7, at, order: v1::Order::Attack(3), uid: NonZero::<u32>::MIN, bag: [1, 2] });
    let without = |without: b::T| convert::<b::T, c::T>(&without).unwrap_err().to_string();
    let found = [
        without(b::T { hp: Maybe::None, ..new }),
        without(b::T { order: Maybe::None, ..new }),
        without(b::T { uid: None, ..new }),
        without(b::T { bag: [Maybe::Some(1), Maybe::None], ..new }),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    hp: it has no value
    order: it has no value
    uid: 0 is no NonZero
    bag[]: it has no value
    ");
}

#[test]
fn an_array_that_is_no_longer_optional_grows_with_a_default() {
    version! { a { #[repr(C)] pub(super) struct T { pub bag: Maybe<[u8; 2]> } } }
    version! { b { #[repr(C)] pub(super) struct T { #[pool(default = [9; 3])] pub bag: [u16; 3] } } }
    becomes(a::T { bag: Maybe::Some([1, 2]) }, b::T { bag: [1, 2, 9] });
}

/// An enum that looks like a `Maybe`, and gets a variant, is no value that is no longer optional.
#[test]
fn an_enum_like_a_maybe_may_gain_variants() {
    version! { a {
        #[repr(C)] pub(super) struct T { pub pet: Pet }
        #[repr(C, u8)] pub(super) enum Pet { None, Some(u16) }
    } }
    version! { b {
        #[repr(C)] pub(super) struct T { pub pet: Pet }
        #[repr(C, u8)] pub(super) enum Pet { None, Some(u32), Two([u32; 2]) }
    } }
    becomes(a::T { pet: a::Pet::Some(3) }, b::T { pet: b::Pet::Some(3) });
    becomes(a::T { pet: a::Pet::None }, b::T { pet: b::Pet::None });
}

#[test]
fn arrays_are_converted_and_grow_with_a_default() {
    version! { a { #[repr(C)] pub(super) struct T { pub bag: [v1::Stack; 2], pub grid: [[u8; 2]; 2] } } }
    version! { b {
        #[repr(C)] pub(super) struct T {
            #[pool(default = [Stack { count: 1, item: 9 }; 3])] pub bag: [Stack; 3],
            #[pool(default = [[7; 3]; 4])] pub grid: [[u16; 3]; 4],
        }
        #[repr(C)] pub(super) struct Stack { pub count: u8, pub item: u32 }
    } }
    let stack = |item, count| v1::Stack { item, count };
    let new = |item, count| b::Stack { item, count };
    becomes(
        a::T { bag: [stack(1, 2), stack(3, 4)], grid: [[1, 2], [3, 4]] },
        b::T { bag: [new(1, 2), new(3, 4), new(9, 1)], grid: [[1, 2, 7], [3, 4, 7], [7; 3], [7; 3]] },
    );
    version! { c { #[repr(C)] pub(super) struct T { pub bag: [v1::Stack; 1], pub grid: [[u8; 2]; 3] } } }
    insta::assert_snapshot!(refusal::<a::T, c::T>(), @r#"
    cannot convert the stored objects of type hero:
      `bag` had 2 elements and has 1: the others would be lost
      `grid` had 2 elements and has 3, and nothing says which value the new ones have
    what differs:
      field `bag` was [v1::Stack; 2] at byte 0, is [v1::Stack; 1] at byte 0
      field `grid` was [[u8; 2]; 2] at byte 8, is [[u8; 2]; 3] at byte 4
      the object was 12 bytes, is 10 bytes
    to keep the values, write a function:
      #[repr(C)]
      #[derive(Clone, Copy, Schema)]
      struct OldStack {
          item: u16,
          count: u8,
      }

      #[repr(C)]
      #[derive(Clone, Copy, Schema)]
      struct OldHero {
          bag: [OldStack; 2],
          grid: [[u8; 2]; 2],
      }

      hotpool::migration! {
          Hero: from OldHero => |old| Hero {
              bag: todo!("make it of old.bag"),
              grid: todo!("make it of old.grid"),
          }
      }
    "#);
}

#[test]
fn capacities_change_if_every_object_fits() {
    version! { a { #[repr(C)] pub(super) struct T { pub name: FixedStr<6>, pub bag: Bag<v1::Stack, 2>, pub ids: FixedSet<u16, 3>, pub map: FixedMap<u16, u8, 3>, pub bits: BitSet<2> } } }
    version! { b {
        #[repr(C)] pub(super) struct T { pub bits: BitSet<3>, pub map: FixedMap<u32, i16, 4>, pub name: FixedStr<9>, pub bag: Bag<Stack, 5>, pub ids: FixedSet<i64, 4> }
        #[repr(C)] pub(super) struct Stack { pub count: u32, pub item: u16 }
    } }
    let mut bits = BitSet::<2>::new();
    bits.insert(120).unwrap();
    let old = a::T {
        name: "Zoë".parse().unwrap(),
        bag: FixedVec::try_from_iter([v1::Stack { item: 3, count: 4 }; 2]).unwrap(),
        ids: FixedSet::try_from_iter([5, 1, 9]).unwrap(),
        map: FixedMap::try_from_iter([(7, 1), (3, 2)]).unwrap(),
        bits,
    };
    let mut bits = BitSet::<3>::new();
    bits.insert(120).unwrap();
    let new = b::T {
        name: "Zoë".parse().unwrap(),
        bag: FixedVec::try_from_iter([b::Stack { item: 3, count: 4 }; 2]).unwrap(),
        ids: FixedSet::try_from_iter([5, 1, 9]).unwrap(),
        map: FixedMap::try_from_iter([(7, 1), (3, 2)]).unwrap(),
        bits,
    };
    becomes(old, new);
    insta::assert_snapshot!(steps::<a::T, b::T>(), @r"
    `bits`: capacity raised from 128 to 192
    `map`: capacity raised from 3 to 4
    `map[].key`: widened from u16 to u32
    `map[].value`: widened from u8 to i16
    `name`: capacity raised from 6 to 9
    `bag`: capacity raised from 2 to 5
    `bag[].count`: widened from u8 to u32
    `bag[].item`: moved from byte 0 to byte 4
    `ids`: capacity raised from 3 to 4
    `ids[]`: widened from u16 to i64
    ");
    macro_rules! misfits {
        ($($field:ident: $ty:ty = $value:expr),* $(,)?) => {
            [$({
                version! { small { #[repr(C)]
                    #[pool(removed = "name", removed = "bag", removed = "ids", removed = "map", removed = "bits")]
                    pub(super) struct T { $field: $ty } } }
                let mut fits = old;
                fits.$field = Default::default();
                convert::<a::T, small::T>(&fits).unwrap();
                let misfit = convert::<a::T, small::T>(&old).unwrap_err();
                format!("{misfit}\n")
            }),*].concat()
        };
    }
    insta::assert_snapshot!(misfits![
        name: FixedStr<3> = "", bag: Bag<v1::Stack, 1> = (), ids: FixedSet<u16, 2> = (), map: FixedMap<u16, u8, 1> = (),
        bits: BitSet<1> = (),
    ], @r"
    name: a length of 4 exceeds the new capacity of 3
    bag: a length of 2 exceeds the new capacity of 1
    ids: a length of 3 exceeds the new capacity of 2
    map: a length of 2 exceeds the new capacity of 1
    bits: the number 120 is not below the new capacity of 64
    ");
}

#[test]
fn the_order_of_a_set_is_never_broken() {
    version! { a {
        #[repr(C)] pub(super) struct T { ids: FixedSet<Key, 3> }
        #[repr(C)] #[derive(PartialEq, Eq, PartialOrd, Ord)] pub(super) struct Key { a: u8, b: u8 }
    } }
    version! { b {
        #[repr(C)] pub(super) struct T { ids: FixedSet<Key, 3> }
        #[repr(C)] #[derive(PartialEq, Eq, PartialOrd, Ord)] pub(super) struct Key { b: u8, a: u8 }
    } }
    version! { c {
        #[repr(C)] pub(super) struct T { ids: FixedSet<Key, 3> }
        #[repr(C)] #[derive(PartialEq, Eq, PartialOrd, Ord)] pub(super) struct Key { a: u16, b: u8 }
    } }
    insta::assert_snapshot!(refusal::<a::T, b::T>(), @r#"
    cannot convert the stored objects of type hero:
      `ids` is a set or map in the order of its keys, and the type of the keys has changed
    what differs:
      field `ids.items.items[].b` moved from byte 5 to byte 4
      field `ids.items.items[].a` moved from byte 4 to byte 5
    to keep the values, write a function:
      #[repr(C)]
      #[derive(Clone, Copy, Schema)]
      struct OldKey {
          a: u8,
          b: u8,
      }

      #[repr(C)]
      #[derive(Clone, Copy, Schema)]
      struct OldHero {
          ids: FixedSet<OldKey, 3>,
      }

      hotpool::migration! {
          Hero: from OldHero => |old| Hero {
              ids: todo!("make it of old.ids"),
          }
      }
    "#);
    plan::<a::T, c::T>().unwrap();
}

#[test]
fn newtypes_follow_what_they_wrap() {
    version! { a { #[repr(C)] pub(super) struct T { pub uid: u32, pub pos: v1::Pos, pub at: At }
    #[repr(transparent)] pub(super) struct At(pub v1::Pos); } }
    version! { b {
        #[repr(C)] pub(super) struct T { pub at: v1::Pos, pub uid: Uid, pub pos: At }
        #[repr(transparent)] pub(super) struct Uid(pub u64);
        #[repr(transparent)] pub(super) struct At(pub v1::Pos);
    } }
    becomes(a::T { uid: 5, pos: POS, at: a::At(POS) }, b::T { at: POS, uid: b::Uid(5), pos: b::At(POS) });
}
