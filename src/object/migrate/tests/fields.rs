//! Changes of the fields of a struct, as a program would declare them.

use super::*;
use crate::object::{FixedStr, FixedVec, Maybe, PoolObject, Ref};
use std::num::NonZero;

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 4)]
struct Guild {
    gold: u64,
}

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
        bool => u8, u8 => bool, char => u32, u32 => char, u8 => NonZero<u8>, u64 => Ref<Guild>,
        Ref<Guild> => u64, Maybe<u32> => u16, Maybe<u32> => FixedStr<4>, FixedStr<4> => FixedVec<u8, 4>,
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
    `t` was u32 and is u16, which is no wider number
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
    #[repr(C)] pub(super) struct Pos { pub x: f32, pub y: f32, pub z: f32 } } }
    insta::assert_snapshot!(refusal::<v1::Hero, b::Hero>(), @r#"
    cannot convert the stored objects of type hero:
      `health` is new, and nothing says which value it has in stored objects
      `mana` is new, and nothing says which value it has in stored objects
      `pos.z` is new, and nothing says which value it has in stored objects
      `hp` is gone, and nothing says that its values may be dropped
      `speed` is gone, and nothing says that its values may be dropped
    what differs:
      field `health` is new: u16 at byte 0
      field `mana` is new: [u32; 2] at byte 16
      field `pos` moved from byte 20 to byte 24
      field `pos.z` is new: f32 at byte 32
      field `hp` is gone: it was u16 at byte 0
      field `speed` is gone: it was f32 at byte 16
      the object was 32 bytes, is 40 bytes
    write in the source:
      #[pool(was = "hp")] health: u16, // if `hp` has got this name
      #[pool(default = 0)] health: u16, // or this, if it is new
      #[pool(default = [0; 2])] mana: [u32; 2],
      #[pool(default = 0.0)] z: f32,
      #[pool(removed = "hp")] // at the struct, if `hp` is gone with its values
      #[pool(removed = "speed")] // at the struct, if `speed` is gone with its values
    "#);
}

#[test]
fn a_refusal_writes_the_stored_struct_if_a_function_is_needed() {
    version! { b { #[repr(C)] pub(super) struct Hero {
        pub hp: u16, pub level: u8, pub uid: u64, pub speed: u32, pub pos: v1::Pos,
    } } }
    insta::assert_snapshot!(refusal::<v1::Hero, b::Hero>(), @r#"
    cannot convert the stored objects of type hero:
      `speed` was f32 and is u32, which is no wider number
    what differs:
      field `speed` was f32 at byte 16, is u32 at byte 16
    to keep the values, write a function:
      #[repr(C)]
      #[derive(Clone, Copy, Schema)]
      struct OldPos {
          x: f32,
          y: f32,
      }

      #[repr(C)]
      #[derive(Clone, Copy, Schema)]
      struct OldHero {
          hp: u16,
          level: u8,
          uid: u64,
          speed: f32,
          pos: OldPos,
      }

      hotpool::migration! {
          Hero: from OldHero => |old| Hero {
              hp: old.hp,
              level: old.level,
              uid: old.uid,
              speed: todo!("make it of old.speed"),
              pos: todo!("make it of old.pos"),
          }
      }
    "#);
}

/// What the refusal writes, as a program has it after pasting.
#[allow(dead_code, unreachable_code, unused_variables, clippy::diverging_sub_expression)]
mod pasted {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 5)]
    struct Hero {
        hp: u16,
        level: u8,
        uid: u64,
        speed: u32,
        pos: v1::Pos,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema)]
    struct OldPos {
        x: f32,
        y: f32,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema)]
    struct OldHero {
        hp: u16,
        level: u8,
        uid: u64,
        speed: f32,
        pos: OldPos,
    }

    crate::migration! {
        Hero: from OldHero => |old| Hero {
            hp: old.hp,
            level: old.level,
            uid: old.uid,
            speed: todo!("make it of old.speed"),
            pos: todo!("make it of old.pos"),
        }
    }

    #[test]
    fn what_a_refusal_writes_is_the_stored_layout() {
        let migrations = Hero::HOTPOOL_MIGRATIONS;
        let stored = SchemaText::parse(&SchemaText::of::<v1::Hero>()).unwrap();
        Plan::of(&stored, size_of::<v1::Hero>() as u64, &NewType { migrations, ..new_type::<Hero>() }, &[])
            .unwrap();
    }
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
      #[pool(removed = "pos.y")] // at the struct, if `pos.y` is gone with its values
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
fn fields_that_lie_where_no_struct_has_them_are_refused() {
    let found = |text: &str, size| {
        let refusal =
            Plan::of(&SchemaText::parse(text).unwrap(), size, &new_type::<v1::Stack>(), &[]).unwrap_err();
        format!("{refusal}\n")
    };
    let line = |offset, size, name| format!("{offset} {size} 00000000000000ff u8 {name}\n");
    let all = [
        found(&(line(0, 2, "item") + &line(1, 1, "count")), 4),
        found(&(line(2, 2, "item") + &line(0, 1, "count")), 4),
        found(&line(0, 8, "item"), 4),
        found(&(line(4, 2, "item") + &line(2, 1, "item.x")), 8),
        found(&(line(0, 2, "item") + &line(0, 4, "item.x")), 8),
        found(&line(0, 1, "pos.x"), 8),
    ];
    insta::assert_snapshot!(all.concat(), @r"
    the stored schema is damaged: field `count`: it overlaps the field before it
    the stored schema is damaged: field `count`: it overlaps the field before it
    the stored schema is damaged: field `item`: it ends after the struct that has it
    the stored schema is damaged: field `item.x`: it begins before its struct
    the stored schema is damaged: field `x`: it ends after the struct that has it
    the stored schema is damaged: field `pos.x`: it has no name
    ");
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
