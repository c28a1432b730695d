//! The derive macros: what they generate for a struct.

use bytemuck::{Pod, Zeroable};
use hotpool::object::{Fingerprint, Ref, Schema, SchemaText};
use hotpool::{PoolObject, limits};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 7, name = "hero", keyed)]
struct Player {
    uid: u64,
    position: Vec3,
    r#type: u32,
    bags: [[Stack; 4]; 2],
    guild: Ref<Guild>,
    next: Ref<Player>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Schema)]
struct Vec3 {
    x: f32,
    y: f32,
    z: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Schema)]
struct Stack(u16, u16);

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1023)]
struct Guild {
    gold: u64,
}

#[test]
fn attributes_define_a_type_in_the_pool() {
    assert_eq!((Player::TYPE_ID, Player::NAME, Player::KEYED), (7, "hero", true));
}

#[test]
fn attribute_values_may_come_from_a_macro() {
    macro_rules! types {
        ($($ident:ident $id:literal $name:literal $also:expr),+) => {
            $(
                #[repr(C)]
                #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
                #[pool(id = $id, name = $name)]
                struct $ident {
                    value: u64,
                }

                const _: () = assert!($also == $ident::TYPE_ID);
            )+
        };
    }
    types!(First 11 "one" 11, Second 0xc "two" 12);
    assert_eq!((First::TYPE_ID, First::NAME, Second::TYPE_ID, Second::NAME), (11, "one", 12, "two"));
}

#[test]
fn the_crate_may_have_another_name() {
    mod game {
        pub(super) use hotpool as pool;
    }
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, game::pool::object::Schema)]
    #[pool(crate = "game::pool")]
    struct Place {
        x: u64,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, game::pool::PoolObject)]
    #[pool(id = 13, crate = "game::pool")]
    struct Tower {
        place: Place,
    }
    assert_eq!((Tower::TYPE_ID, Tower::FIELDS[0].desc.fields[0].name), (13, "x"));
}

#[test]
fn missing_attributes_have_defaults() {
    #[repr(transparent)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(id = 1)]
    struct HttpSession(u64);
    assert_eq!((HttpSession::NAME, HttpSession::KEYED), ("http_session", false));
}

#[test]
fn attributes_may_be_split() {
    #[repr(C, align(16))]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    #[pool(keyed)]
    #[pool(id = 0x10, name = "a_name_as_long_as_a_name_of_a_type_may_be_at_47")]
    struct Apart {
        key: u128,
    }
    assert_eq!((Apart::TYPE_ID, Apart::NAME.len(), Apart::KEYED), (16, limits::MAX_TYPE_NAME, true));
}

#[test]
fn the_largest_type_number_is_allowed() {
    assert_eq!(Guild::TYPE_ID, limits::MAX_TYPE_ID);
}

#[test]
fn fields_are_listed_as_in_the_source() {
    let listed: Vec<_> =
        Player::FIELDS.iter().map(|f| (f.offset, f.desc.size, f.desc.name, f.name)).collect();
    assert_eq!(
        listed,
        [
            (0, 8, "u64", "uid"),
            (8, 12, "Vec3", "position"),
            (20, 4, "u32", "type"),
            (24, 32, "[[Stack; 4]; 2]", "bags"),
            (56, 8, "Ref<Guild>", "guild"),
            (64, 8, "Ref<Player>", "next"),
        ]
    );
    assert_eq!(Stack::FIELDS[1].name, "1");
    assert_eq!(Player::FIELDS[3].desc.fields, Stack::FIELDS);
    assert_eq!(Player::FIELDS[3].desc.rank, 2);
}

#[test]
fn a_fingerprint_is_a_constant() {
    const PLAYER: u64 = Player::FINGERPRINT;
    assert_eq!(PLAYER, Fingerprint::of_struct(Player::FIELDS, size_of::<Player>()));
}

#[test]
fn a_schema_text_parses_back() {
    let text = SchemaText::of::<Player>();
    let names: Vec<_> = SchemaText::parse(&text).unwrap().into_iter().map(|field| field.name).collect();
    let wanted = "uid position position.x position.y position.z type bags bags[][].0 bags[][].1 guild next";
    assert_eq!(names.join(" "), wanted);
}

/// Declares an outer and an inner struct that differ from the others in one respect.
macro_rules! inner_and_outer {
    ($module:ident, $outer:ident, $name:literal, [$($inner:tt)*]) => {
        mod $module {
            use super::*;
            #[repr(C)]
            #[derive(Clone, Copy, Pod, Zeroable, Schema)]
            pub(super) struct Inner { $($inner)* }
            #[repr(C)]
            #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
            #[pool(id = 2, name = $name)]
            pub(super) struct $outer { inner: [Inner; 2] }
            pub(super) const FINGERPRINT: u64 = $outer::FINGERPRINT;
        }
    };
}

inner_and_outer!(base, Outer, "outer", [a: u32, b: u32]);
inner_and_outer!(renamed_struct, Other, "outer", [a: u32, b: u32]);
inner_and_outer!(renamed_type, Outer, "other", [a: u32, b: u32]);
inner_and_outer!(renamed_field, Outer, "outer", [a: u32, c: u32]);
inner_and_outer!(swapped_fields, Outer, "outer", [b: u32, a: u32]);
inner_and_outer!(other_type, Outer, "outer", [a: u32, b: f32]);

#[test]
fn a_change_inside_a_nested_struct_changes_the_outer_fingerprint() {
    for (what, other) in [
        ("renamed field", renamed_field::FINGERPRINT),
        ("swapped fields", swapped_fields::FINGERPRINT),
        ("other type", other_type::FINGERPRINT),
    ] {
        assert_ne!(other, base::FINGERPRINT, "{what}");
    }
}

#[test]
fn type_names_do_not_affect_the_fingerprint() {
    assert_eq!(renamed_struct::FINGERPRINT, base::FINGERPRINT);
    assert_eq!(renamed_type::FINGERPRINT, base::FINGERPRINT);
}
