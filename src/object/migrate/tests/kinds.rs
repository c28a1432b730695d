//! Each kind of change, as a program would declare it.

use super::super::{Misfit, NewType, Plan, Refusal};
use crate::object::{
    BitSet, FixedMap, FixedSet, FixedStr, FixedVec, Link, Maybe, PoolObject, Schema, SchemaText,
    bytes_for_tests,
};
use std::num::NonZero;

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 4)]
struct Guild {
    gold: u64,
}

/// Declares the types of one version of a server.
macro_rules! version {
    ($version:ident { $($item:item)* }) => {
        mod $version {
            #[allow(unused_imports)]
            use super::*;
            $(#[derive(Clone, Copy, Debug, Schema)] #[allow(dead_code, reason = "only its bytes are read")] $item)*
        }
    };
}

fn new_type<T: Schema>() -> NewType {
    let (size, fields, rule, changes) = (size_of::<T>(), T::FIELDS, T::RULE, T::CHANGES);
    NewType { name: "hero", size, fields, rule, changes, migrations: &[] }
}

fn plan<Old: Schema, New: Schema>() -> Result<Plan, Refusal> {
    let old = SchemaText::parse(&SchemaText::of::<Old>()).unwrap();
    Plan::of(&old, size_of::<Old>() as u64, &new_type::<New>())
}

/// Returns what a plan does.
fn steps<Old: Schema, New: Schema>() -> String {
    plan::<Old, New>()
        .unwrap_or_else(|refusal| panic!("{refusal}"))
        .steps()
        .iter()
        .map(|s| format!("{s}\n"))
        .collect()
}

/// Returns why there is no plan.
fn refusal<Old: Schema, New: Schema>() -> String {
    plan::<Old, New>().map(|plan| plan.steps().to_vec()).unwrap_err().to_string()
}

/// Converts an object.
fn convert<Old: Schema + Copy, New: Schema>(old: &Old) -> Result<Vec<u8>, Misfit> {
    let plan = plan::<Old, New>().unwrap_or_else(|refusal| panic!("{refusal}"));
    let mut new = vec![0; size_of::<New>()];
    plan.convert(&bytes_for_tests(old), &mut new).map(|()| new)
}

#[track_caller]
fn becomes<Old: Schema + Copy, New: Schema + Copy>(old: Old, new: New) {
    assert_eq!(convert::<Old, New>(&old).unwrap(), bytes_for_tests(&new));
}

version! { v1 {
    #[repr(C)] pub(super) struct Hero { pub hp: u16, pub level: u8, pub uid: u64, pub speed: f32, pub pos: Pos }
    #[repr(C)] pub(super) struct Pos { pub x: f32, pub y: f32 }
    #[repr(u8)] pub(super) enum Order { Rest, Walk { to: Pos, fast: bool }, Attack(u16) }
    #[repr(C)] pub(super) struct Stack { pub item: u16, pub count: u8 }
} }

const POS: v1::Pos = v1::Pos { x: 1.5, y: -2.0 };
const HERO: v1::Hero = v1::Hero { hp: 900, level: 7, uid: 77, speed: 0.5, pos: POS };

#[test]
fn fields_may_be_reordered_and_widened_freely() {
    version! { v2 {
        #[repr(C)] pub(super) struct Champion { pub pos: Place, pub uid: u64, pub speed: f64, pub hp: f32, pub level: i16 }
        #[repr(C)] pub(super) struct Place { pub y: f64, pub x: f32 }
    } }
    let new = v2::Champion { pos: v2::Place { y: -2.0, x: 1.5 }, uid: 77, speed: 0.5, hp: 900.0, level: 7 };
    becomes(HERO, new);
    insta::assert_snapshot!(steps::<v1::Hero, v2::Champion>(), @r"
    `pos.y`: widened from f32 to f64
    `pos.x`: moved from byte 20 to byte 8
    `uid`: moved from byte 8 to byte 16
    `speed`: widened from f32 to f64
    `hp`: widened from u16 to f32
    `level`: widened from u8 to i16
    ");
}

#[test]
fn signed_numbers_keep_their_sign() {
    version! { a { #[repr(C)] pub(super) struct T { pub a: i8, pub b: i16, pub c: i32, pub d: i8, pub e: u64 } } }
    version! { b { #[repr(C)] pub(super) struct T { pub a: i16, pub b: i128, pub c: f64, pub d: f32, pub e: i128 } } }
    let new = b::T { a: -5, b: -300, c: -70_000.0, d: -128.0, e: u64::MAX.into() };
    becomes(a::T { a: -5, b: -300, c: -70_000, d: -128, e: u64::MAX }, new);
}

#[test]
fn non_zero_numbers_widen() {
    version! { a { #[repr(C)] pub(super) struct T { pub a: NonZero<u8>, pub b: Option<NonZero<i16>>, pub c: NonZero<u32> } } }
    version! { b { #[repr(C)] pub(super) struct T { pub a: NonZero<u64>, pub b: Option<NonZero<i32>>, pub c: u32 } } }
    let (a, c) = (NonZero::new(9).unwrap(), NonZero::new(8).unwrap());
    becomes(a::T { a, b: NonZero::new(-2), c }, b::T { a: a.into(), b: NonZero::new(-2), c: 8 });
    becomes(a::T { a, b: None, c }, b::T { a: a.into(), b: None, c: 8 });
}

#[test]
fn numbers_do_not_become_what_they_are_not() {
    macro_rules! refused {
        ($($old:ty => $new:ty),* $(,)?) => {
            [$({
                version! { a { #[repr(C)] pub(super) struct T { t: $old } } }
                version! { b { #[repr(C)] pub(super) struct T { t: $new } } }
                let reason = refusal::<a::T, b::T>();
                format!("{}\n", reason.lines().nth(1).unwrap().trim())
            }),*].concat()
        };
    }
    insta::assert_snapshot!(refused![
        u16 => u8, u16 => i16, i8 => u16, u32 => f32, u64 => f64, f64 => f32, f32 => u32,
        bool => u8, u8 => bool, char => u32, u32 => char, u8 => NonZero<u8>, u64 => Link<Guild>,
        Link<Guild> => u64, Maybe<u32> => u32, FixedStr<4> => FixedVec<u8, 4>,
    ], @r"
    `t` was u16 and is u8, which is no wider number
    `t` was u16 and is i16, which is no wider number
    `t` was i8 and is u16, which is no wider number
    `t` was u32 and is f32, which is no wider number
    `t` was u64 and is f64, which is no wider number
    `t` was f64 and is f32, which is no wider number
    `t` was f32 and is u32, which is no wider number
    `t` was bool and is u8, which is no wider number
    `t` was u8 and is bool, which is no wider number
    `t` was char and is u32, which is no wider number
    `t` was u32 and is char, which is no wider number
    `t` was u8 and is NonZero<u8>, which is no wider number
    `t` has another type, to which its stored value cannot be converted
    `t` has another type, to which its stored value cannot be converted
    `t` has another type, to which its stored value cannot be converted
    `t` has another type, to which its stored value cannot be converted
    ");
}

#[test]
fn a_new_field_has_its_default() {
    version! { a { #[repr(C)] pub(super) struct T { pub hp: u32 } } }
    version! { b { #[repr(C)] pub(super) struct T {
        #[pool(default = 7 * 6)] pub mana: u32,
        pub hp: u32,
        #[pool(default)] pub name: FixedStr<8>,
        #[pool(default = "Zoë".parse().unwrap())] pub title: FixedStr<8>,
        #[pool(default = [1; 3])] pub skills: [u16; 3],
        #[pool(default = Class::Knight)] pub class: Class,
        pub none: std::marker::PhantomData<u64>,
    }
    #[repr(u8)] pub(super) enum Class { Mage, Knight } } }
    let new = b::T {
        mana: 42,
        hp: 5,
        name: FixedStr::new(),
        title: "Zoë".parse().unwrap(),
        skills: [1; 3],
        class: b::Class::Knight,
        none: std::marker::PhantomData,
    };
    becomes(a::T { hp: 5 }, new);
}

#[test]
fn a_refusal_says_what_to_write() {
    version! { b { #[repr(C)] pub(super) struct Hero {
        pub health: u16,
        pub level: u8,
        pub uid: u64,
        pub mana: [u32; 2],
        pub pos: Pos,
    }
    #[repr(C)] pub(super) struct Pos { pub x: f32, pub y: u32 } } }
    insta::assert_snapshot!(refusal::<v1::Hero, b::Hero>(), @r#"
    cannot convert the stored objects of type hero:
      `health` is new, and nothing says which value it has in stored objects
      `mana` is new, and nothing says which value it has in stored objects
      `pos.y` was f32 and is u32, which is no wider number
      `hp` is gone, and nothing says that its values may be dropped
      `speed` is gone, and nothing says that its values may be dropped
    what differs:
      field `health` is new: u16 at byte 0
      field `mana` is new: [u32; 2] at byte 16
      field `pos` moved from byte 20 to byte 24
      field `pos.y` was f32 at byte 24, is u32 at byte 28
      field `hp` is gone: it was u16 at byte 0
      field `speed` is gone: it was f32 at byte 16
    write in the source:
      #[pool(default = 0)] health: u16,
      or, if `hp` has been renamed: #[pool(was = "hp")] health: u16,
      #[pool(default = [0; 2])] mana: [u32; 2],
      #[pool(removed = "hp")] above the struct
      #[pool(removed = "speed")] above the struct
    "#);
}

#[test]
fn a_renamed_field_is_found_by_its_former_names() {
    version! { b { #[repr(C)] #[pool(removed = "speed")] pub(super) struct Hero {
        #[pool(was = "life", was = "hp")] pub health: u32,
        pub level: u8,
        pub uid: u64,
        #[pool(was = "pos")] pub at: At,
    }
    #[repr(C)] pub(super) struct At { #[pool(was = "x")] pub east: f32, #[pool(was = "y")] pub north: f32 } } }
    let new = b::Hero { health: 900, level: 7, uid: 77, at: b::At { east: 1.5, north: -2.0 } };
    becomes(HERO, new);
    // The attributes may stay.
    becomes(new, new);
    insta::assert_snapshot!(steps::<v1::Hero, b::Hero>(), @r"
    `health`: renamed from `hp`
    `health`: widened from u16 to u32
    `level`: moved from byte 2 to byte 4
    `uid`: unchanged
    `at`: renamed from `pos`
    `at.east`: renamed from `pos.x`
    `at.north`: renamed from `pos.y`
    `speed`: removed
    ");
}

#[test]
fn fields_move_in_and_out_of_structs() {
    version! { flat { #[repr(C)] pub(super) struct Hero {
        pub hp: u16,
        #[pool(was = "pos.x")] pub x: f64,
        #[pool(was = "pos.y")] pub y: f32,
        pub level: u8,
        pub uid: u64,
        pub speed: f32,
    } } }
    let hero = flat::Hero { hp: 900, x: 1.5, y: -2.0, level: 7, uid: 77, speed: 0.5 };
    becomes(HERO, hero);
    version! { deep { #[repr(C)] pub(super) struct Hero {
        pub hp: u16,
        pub level: u8,
        pub uid: u64,
        pub speed: f32,
        #[pool(was(x = "x", y = "y"))] pub pos: Pos,
    }
    #[repr(C)] pub(super) struct Pos { pub x: f64, pub y: f32, #[pool(default = 3)] pub z: u8 } } }
    let pos = deep::Pos { x: 1.5, y: -2.0, z: 3 };
    becomes(hero, deep::Hero { hp: 900, level: 7, uid: 77, speed: 0.5, pos });
    becomes(HERO, deep::Hero { hp: 900, level: 7, uid: 77, speed: 0.5, pos });
}

#[test]
fn half_of_a_struct_cannot_be_lost() {
    version! { b { #[repr(C)] pub(super) struct Hero {
        pub hp: u16, pub level: u8, pub uid: u64, pub speed: f32,
        #[pool(was = "pos.x")] pub x: f32,
    } } }
    insta::assert_snapshot!(refusal::<v1::Hero, b::Hero>(), @r#"
    cannot convert the stored objects of type hero:
      `pos.y` is gone, and nothing says that its values may be dropped
    what differs:
      field `x` is new: f32 at byte 20
      field `pos` is gone: it was Pos at byte 20
      the object was 32 bytes, is 24 bytes
    write in the source:
      #[pool(removed = "pos.y")] above the struct
    "#);
    version! { c { #[repr(C)] #[pool(removed = "pos.y")] pub(super) struct Hero {
        pub hp: u16, pub level: u8, pub uid: u64, pub speed: f32,
        #[pool(was = "pos.x")] pub x: f32,
    } } }
    becomes(HERO, c::Hero { hp: 900, level: 7, uid: 77, speed: 0.5, x: 1.5 });
}

#[test]
fn the_new_name_wins() {
    version! { a { #[repr(C)] pub(super) struct T { pub hp: u32, pub health: u32 } } }
    version! { b { #[repr(C)] #[pool(removed = "hp")] pub(super) struct T { #[pool(was = "hp")] pub health: u32 } } }
    becomes(a::T { hp: 1, health: 2 }, b::T { health: 2 });
}

#[test]
fn a_field_of_another_type_may_begin_anew() {
    version! { a { #[repr(C)] pub(super) struct T { pub hp: f32 } } }
    version! { b { #[repr(C)] #[pool(removed = "hp")] pub(super) struct T { #[pool(default = 100)] pub hp: u32 } } }
    version! { c { #[repr(C)] #[pool(removed = "hp")] pub(super) struct T { #[pool(default = 100)] pub hp: u64 } } }
    becomes(a::T { hp: 0.5 }, b::T { hp: 100 });
    // But no value is dropped that can be kept.
    becomes(b::T { hp: 55 }, c::T { hp: 55 });
}

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
      #[pool(was = "Attack")] above the variant that `Attack` has become
      #[pool(removed = "Attack")] above the enum of `order`, if no object has it
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
    insta::assert_snapshot!(refusal::<a::T, c::T>(), @r"
    cannot convert the stored objects of type hero:
      `bag` had 2 elements and has 1: the others would be lost
      `grid` had 2 elements, and nothing says which value the other 1 have
    what differs:
      field `bag` was [v1::Stack; 2] at byte 0, is [v1::Stack; 1] at byte 0
      field `grid` was [[u8; 2]; 2] at byte 8, is [[u8; 2]; 3] at byte 4
      the object was 12 bytes, is 10 bytes
    write in the source:
      #[pool(default = ..)] at `grid`, with the value of all elements
    ");
}

type Bag<T, const N: usize> = FixedVec<T, N>;

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
    insta::assert_snapshot!(refusal::<a::T, b::T>(), @r"
    cannot convert the stored objects of type hero:
      `ids` is a set or map in the order of its keys, and the type of the keys has changed
    what differs:
      field `ids.items.items[].b` moved from byte 5 to byte 4
      field `ids.items.items[].a` moved from byte 4 to byte 5
    ");
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

#[test]
fn transient_fields_are_never_read() {
    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 3)]
    struct Hero {
        hp: u16,
        #[pool(transient)]
        socket: u32,
    }
    version! { a { #[repr(C)] pub(super) struct T { pub socket: u32, pub hp: u16 } } }
    version! { b { #[repr(C)] pub(super) struct T { pub socket: bool, pub hp: u16 } } }
    version! { c { #[repr(C)] pub(super) struct T { pub hp: u16 } } }
    let hero = Hero { hp: 3, socket: 0 };
    assert_eq!(NewType::of::<Hero>().changes, new_type::<Hero>().changes);
    becomes(a::T { socket: 8, hp: 3 }, hero);
    becomes(b::T { socket: true, hp: 3 }, hero);
    becomes(c::T { hp: 3 }, hero);
}

#[test]
fn attributes_change_no_fingerprint_and_no_text() {
    version! { a { #[repr(C)] pub(super) struct T { pub hp: u32, pub order: v1::Order } } }
    version! { b {
        #[repr(C)] #[pool(removed = "x")] pub(super) struct T { #[pool(default, was = "life")] pub hp: u32, pub order: Order }
        #[repr(u8)] #[pool(removed = "Y")] pub(super) enum Order {
            #[pool(was = "No")] Rest, Walk { #[pool(default = v1::Pos { x: 0.0, y: 0.0 })] to: v1::Pos, fast: bool }, Attack(u16)
        }
    } }
    assert_eq!(a::T::FINGERPRINT, b::T::FINGERPRINT);
    assert_eq!(
        SchemaText::of::<a::T>().replace("v1::Order", "Order").replace("v1::", ""),
        SchemaText::of::<b::T>().replace("v1::", "")
    );
}

#[test]
fn bytes_that_are_no_value_are_a_misfit() {
    version! { a { #[repr(C)] pub(super) struct T { pub on: bool, pub name: FixedStr<3>, pub order: v1::Order } } }
    version! { b { #[repr(C)] pub(super) struct T { pub name: FixedStr<4>, pub order: v1::Order, pub on: bool } } }
    let good = bytes_for_tests(&a::T { on: true, name: "abc".parse().unwrap(), order: v1::Order::Attack(1) });
    let plan = plan::<a::T, b::T>().unwrap();
    let found = |at: usize, byte| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        plan.convert(&bytes, &mut vec![0; size_of::<b::T>()]).unwrap_err().to_string()
    };
    insta::assert_snapshot!([found(0, 2), found(4, 4), found(8, 0xff), found(12, 9)].join("\n"), @r"
    on: 2 is no bool
    name: a length of 4 exceeds the capacity of 3
    name: it is not UTF-8 from byte 0 on
    order: 9 is no variant
    ");
    assert!(plan.convert(&good[1..], &mut vec![0; size_of::<b::T>()]).is_err());
    assert!(plan.convert(&good, &mut [0; 4]).is_err());
}

#[test]
fn padding_of_the_old_object_is_not_copied() {
    let plan = plan::<v1::Hero, v1::Hero>().unwrap();
    let (mut new, mut clean) = (vec![0; size_of::<v1::Hero>()], bytes_for_tests(&HERO));
    let mut old = clean.clone();
    old[3..8].fill(0xaa);
    plan.convert(&old, &mut new).unwrap();
    assert_eq!(new, clean);
    clean[0] = 1;
    assert_ne!(new, clean);
}
