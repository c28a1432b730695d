//! Differences between the schema in a segment and the schema of this build.

use crate::object::schema_text::flatten;
use crate::object::{Field, StoredField};
use crate::units::plural;
use std::collections::HashMap;
use std::fmt;

/// One change between two schemas; prints as a sentence for the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Difference {
    /// This build has a field that the stored objects do not have.
    New(StoredField),
    /// The stored objects have a field that this build does not have.
    Gone(StoredField),
    /// A field has another type.
    Retyped {
        /// As stored.
        was: StoredField,
        /// In this build.
        is: StoredField,
    },
    /// A field of the same type begins at another byte of the struct it is in.
    Moved {
        /// As stored.
        was: StoredField,
        /// In this build.
        is: StoredField,
    },
    /// A field's type has the same name and size, but another meaning.
    ///
    /// It is, for example, a reference to a type whose type number changed, or an alias of another type.
    Inside {
        /// As stored.
        was: StoredField,
        /// In this build.
        is: StoredField,
    },
    /// The whole object has another size.
    Size {
        /// As stored.
        was: u64,
        /// In this build.
        is: u64,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::New(field) => {
                write!(f, "field `{}` is new: {} at byte {}", field.name, field.type_name, field.offset)
            }
            Difference::Gone(field) => {
                write!(
                    f,
                    "field `{}` is gone: it was {} at byte {}",
                    field.name, field.type_name, field.offset
                )
            }
            Difference::Retyped { was, is } if was.type_name == is.type_name => write!(
                f,
                "field `{}` was {} of {} at byte {}, is {} of {} at byte {}",
                was.name,
                was.type_name,
                plural(was.size, "byte"),
                was.offset,
                is.type_name,
                plural(is.size, "byte"),
                is.offset
            ),
            Difference::Retyped { was, is } => write!(
                f,
                "field `{}` was {} at byte {}, is {} at byte {}",
                was.name, was.type_name, was.offset, is.type_name, is.offset
            ),
            Difference::Moved { was, is } => {
                write!(f, "field `{}` moved from byte {} to byte {}", was.name, was.offset, is.offset)
            }
            Difference::Inside { was, is } => {
                write!(
                    f,
                    "field `{}` is still {} at byte {}, but its contents changed",
                    was.name, is.type_name, is.offset
                )
            }
            Difference::Size { was, is } => {
                write!(f, "the object was {}, is {}", plural(*was, "byte"), plural(*is, "byte"))
            }
        }
    }
}

/// Returns the differences between `old`, the fields in a segment, and `new`, those of this build.
///
/// The list is empty if the two fingerprints are equal.
///
/// A nested struct that moved as a whole is one difference, and so is one that is new or gone.
///
/// ```
/// use hotpool::object::{Schema, SchemaText, diff};
///
/// #[repr(C)]
/// #[derive(Schema)]
/// struct Monster {
///     hp: i64,
///     level: u32,
///     kind: u32,
/// }
///
/// let stored = "0 4 0706d5d279645c28 i32 hp\n";
/// let old = SchemaText::parse(stored)?;
/// let differences = diff(&old, 4, Monster::FIELDS, 16);
/// assert_eq!(differences[0].to_string(), "field `hp` was i32 at byte 0, is i64 at byte 0");
/// assert_eq!(differences[1].to_string(), "field `level` is new: u32 at byte 8");
/// # Ok::<(), hotpool::object::SchemaError>(())
/// ```
pub fn diff(old: &[StoredField], old_size: u64, new: &[Field], new_size: u64) -> Vec<Difference> {
    diff_lines(old, old_size, &flatten(new), new_size)
}

/// Returns the differences between the fields in a segment and the fields `new`.
pub(super) fn diff_lines(
    old: &[StoredField],
    old_size: u64,
    new: &[StoredField],
    new_size: u64,
) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut found, Level { lines: old, start: 0 }, Level { lines: new, start: 0 });
    if old_size != new_size {
        found.push(Difference::Size { was: old_size, is: new_size });
    }
    found
}

/// The lines of one struct: its fields, each followed by the lines inside it.
#[derive(Clone, Copy)]
struct Level<'a> {
    lines: &'a [StoredField],
    /// Offset of the struct in the object.
    start: u64,
}

/// A field, with the lines of the fields inside it.
#[derive(Clone, Copy)]
struct Part<'a> {
    field: &'a StoredField,
    inside: &'a [StoredField],
    /// Bytes from the beginning of the enclosing struct. Wraps if a damaged text puts a field
    /// before its struct; the value then merely compares unequal.
    from_start: u64,
}

impl<'a> Level<'a> {
    fn parts(self) -> impl Iterator<Item = Part<'a>> {
        let mut lines = self.lines;
        std::iter::from_fn(move || {
            let (field, rest) = lines.split_first()?;
            let is_inside = |line: &&StoredField| {
                line.name.strip_prefix(&field.name).is_some_and(|tail| tail.starts_with(['.', '[']))
            };
            let (inside, rest) = rest.split_at(rest.iter().take_while(is_inside).count());
            lines = rest;
            Some(Part { field, inside, from_start: field.offset.wrapping_sub(self.start) })
        })
    }
}

impl<'a> Part<'a> {
    fn level(self) -> Level<'a> {
        Level { lines: self.inside, start: self.field.offset }
    }
}

fn compare(found: &mut Vec<Difference>, old: Level<'_>, new: Level<'_>) {
    let mut stored: HashMap<&str, Part<'_>> =
        old.parts().map(|part| (part.field.name.as_str(), part)).collect();
    for is in new.parts() {
        match stored.remove(is.field.name.as_str()) {
            Some(was) => compare_field(found, was, is),
            None => found.push(Difference::New(is.field.clone())),
        }
    }
    // In the order of the text, which the map does not keep.
    let gone = old.parts().filter(|part| stored.contains_key(part.field.name.as_str()));
    found.extend(gone.map(|part| Difference::Gone(part.field.clone())));
}

fn compare_field(found: &mut Vec<Difference>, was: Part<'_>, is: Part<'_>) {
    let moved = was.from_start != is.from_start;
    let (old, new) = (was.field.clone(), is.field.clone());
    if old.fingerprint == new.fingerprint {
        found.extend(moved.then_some(Difference::Moved { was: old, is: new }));
        return;
    }
    let mut inside = Vec::new();
    if !was.inside.is_empty() && !is.inside.is_empty() {
        compare(&mut inside, was.level(), is.level());
    }
    let same_type = old.type_name == new.type_name;
    let explained = !inside.is_empty();
    let own = if !same_type || (!explained && old.size != new.size) {
        Some(Difference::Retyped { was: old, is: new })
    } else if moved {
        Some(Difference::Moved { was: old, is: new })
    } else if !explained {
        Some(Difference::Inside { was: old, is: new })
    } else {
        None
    };
    found.extend(own);
    found.append(&mut inside);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{PoolObject, Ref, Schema, SchemaText};
    use proptest::prelude::*;

    /// Returns the sentences for an operator whose segment holds `Old` and whose server has `New`.
    fn report<Old: Schema, New: Schema>() -> String {
        let old = SchemaText::parse(&SchemaText::of::<Old>()).unwrap();
        let differences = diff(&old, size_of::<Old>() as u64, New::FIELDS, size_of::<New>() as u64);
        assert_eq!(differences.is_empty(), Old::FINGERPRINT == New::FINGERPRINT);
        differences.iter().map(|difference| format!("{difference}\n")).collect()
    }

    /// Declares the structs of one version of a server.
    macro_rules! version {
        ($version:ident { $(struct $name:ident { $($field:ident: $ty:ty),* $(,)? })* }) => {
            mod $version {
                #[allow(unused_imports)]
                use super::*;
                $(#[repr(C)] #[derive(Schema)] pub(super) struct $name { $($field: $ty),* })*
            }
        };
    }

    version! { v1 {
        struct Point { x: f32, y: f32 }
        struct Stack { item: u32, count: u32 }
        struct Player { uid: u64, hp: i32, level: u32, pos: Point, bag: [Stack; 4] }
    } }

    #[test]
    fn a_struct_does_not_differ_from_itself() {
        assert_eq!(report::<v1::Player, v1::Player>(), "");
    }

    #[test]
    fn names_of_structs_are_no_difference() {
        version! { v2 {
            struct Position { x: f32, y: f32 }
            struct Item { item: u32, count: u32 }
            struct Character { uid: u64, hp: i32, level: u32, pos: Position, bag: [Item; 4] }
        } }
        assert_eq!(report::<v1::Player, v2::Character>(), "");
    }

    #[test]
    fn a_wider_field_moves_those_behind_it() {
        version! { v2 {
            struct Player { uid: u64, hp: i64, level: u64, pos: v1::Point, bag: [v1::Stack; 4] }
        } }
        insta::assert_snapshot!(report::<v1::Player, v2::Player>(), @r"
        field `hp` was i32 at byte 8, is i64 at byte 8
        field `level` was u32 at byte 12, is u64 at byte 16
        field `pos` moved from byte 16 to byte 24
        field `bag` moved from byte 24 to byte 32
        the object was 56 bytes, is 64 bytes
        ");
    }

    #[test]
    fn fields_come_and_go() {
        version! { v2 {
            struct Player { uid: u64, mana: i32, level: u32, bag: [v1::Stack; 4], speed: v1::Point }
        } }
        insta::assert_snapshot!(report::<v1::Player, v2::Player>(), @r"
        field `mana` is new: i32 at byte 8
        field `bag` moved from byte 24 to byte 16
        field `speed` is new: v1::Point at byte 48
        field `hp` is gone: it was i32 at byte 8
        field `pos` is gone: it was Point at byte 16
        ");
    }

    #[test]
    fn two_fields_of_one_type_that_swap_places_are_seen() {
        version! { v2 {
            struct Stack { count: u32, item: u32 }
        } }
        insta::assert_snapshot!(report::<v1::Stack, v2::Stack>(), @r"
        field `count` moved from byte 4 to byte 0
        field `item` moved from byte 0 to byte 4
        ");
    }

    #[test]
    fn a_field_is_not_inside_one_whose_name_it_begins_with() {
        version! { v1 { struct Bar { hp: u32, hp_max: u32 } } }
        version! { v2 { struct Bar { hp: u32, hp_max: i32 } } }
        insta::assert_snapshot!(
            report::<v1::Bar, v2::Bar>(),
            @"field `hp_max` was u32 at byte 4, is i32 at byte 4"
        );
    }

    #[test]
    fn a_change_inside_names_the_inner_field() {
        version! { v2 {
            struct Point { x: f32, y: u32 }
            struct Stack { item: u32, amount: u32 }
            struct Player { uid: u64, hp: i32, level: u32, pos: Point, bag: [Stack; 4] }
        } }
        insta::assert_snapshot!(report::<v1::Player, v2::Player>(), @r"
        field `pos.y` was f32 at byte 20, is u32 at byte 20
        field `bag[].amount` is new: u32 at byte 28
        field `bag[].count` is gone: it was u32 at byte 28
        ");
    }

    #[test]
    fn a_struct_that_moved_and_changed_does_not_have_each_field_move() {
        version! { v2 {
            struct Point { x: f32, y: i32 }
            struct Player { uid: u64, pos: Point, hp: i32, level: u32, bag: [v1::Stack; 4] }
        } }
        insta::assert_snapshot!(report::<v1::Player, v2::Player>(), @r"
        field `pos` moved from byte 16 to byte 8
        field `pos.y` was f32 at byte 20, is i32 at byte 12
        field `hp` moved from byte 8 to byte 16
        field `level` moved from byte 12 to byte 20
        ");
    }

    #[test]
    fn arrays_grow_and_structs_become_scalars() {
        version! { v2 {
            struct Player { uid: u64, hp: i32, level: u32, pos: u64, bag: [v1::Stack; 8] }
        } }
        insta::assert_snapshot!(report::<v1::Player, v2::Player>(), @r"
        field `pos` was Point at byte 16, is u64 at byte 16
        field `bag` was [Stack; 4] at byte 24, is [v1::Stack; 8] at byte 24
        the object was 56 bytes, is 88 bytes
        ");
    }

    #[test]
    fn a_length_by_a_constant_is_seen_when_the_constant_changes() {
        macro_rules! bag {
            ($version:ident, $slots:literal) => {
                mod $version {
                    use super::*;
                    const SLOTS: usize = $slots;
                    #[repr(C)]
                    #[derive(Schema)]
                    pub(super) struct Bag {
                        items: [u32; SLOTS],
                    }
                }
            };
        }
        bag!(v1, 4);
        bag!(v2, 6);
        insta::assert_snapshot!(report::<v1::Bag, v2::Bag>(), @r"
        field `items` was [u32; SLOTS] of 16 bytes at byte 0, is [u32; SLOTS] of 24 bytes at byte 0
        the object was 16 bytes, is 24 bytes
        ");
    }

    #[test]
    fn a_type_that_only_reads_the_same_is_seen() {
        macro_rules! guild {
            ($version:ident, $id:literal) => {
                mod $version {
                    use super::*;
                    #[repr(C)]
                    #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, PoolObject)]
                    #[pool(id = $id)]
                    pub(super) struct Guild {
                        gold: u64,
                    }
                    #[repr(C)]
                    #[derive(Schema)]
                    pub(super) struct Player {
                        guild: Ref<Guild>,
                    }
                }
            };
        }
        guild!(v1, 7);
        guild!(v2, 8);
        insta::assert_snapshot!(report::<v1::Player, v2::Player>(), @"field `guild` is still Ref<Guild> at byte 0, but its contents changed");
    }

    fn line() -> impl Strategy<Value = StoredField> {
        let name = "(uid|pos|bag|x)(\\[\\])?(\\.(x|count))?";
        (any::<u64>(), any::<u64>(), 0..3_u64, name).prop_map(|(offset, size, fingerprint, name)| {
            StoredField { offset, size, fingerprint, type_name: "u64".to_owned(), name }
        })
    }

    proptest! {
        #[test]
        fn no_stored_text_makes_a_comparison_panic(old in prop::collection::vec(line(), 0..8), size in any::<u64>()) {
            let differences = diff(&old, size, v1::Player::FIELDS, size_of::<v1::Player>() as u64);
            for difference in differences {
                prop_assert!(!difference.to_string().is_empty());
            }
        }
    }
}
