//! Migrations: functions from an old layout of a type, for changes that attributes cannot declare.

use super::misfit::Misfit;
use crate::object::schema_text::flatten;
use crate::object::{BadValue, Field, Schema, StoredField, read_value, write_value};

/// A function that makes an object from one with an old layout; [`migration!`](crate::migration)
/// declares it.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    size: usize,
    fields: &'static [Field],
    convert: fn(&[u8], &mut [u8]) -> Result<(), BadValue>,
}

impl Migration {
    /// Creates a migration from `Old`; `convert` calls [`convert_with`].
    #[doc(hidden)]
    pub const fn from<Old: Schema>(convert: fn(&[u8], &mut [u8]) -> Result<(), BadValue>) -> Self {
        Migration { size: size_of::<Old>(), fields: Old::FIELDS, convert }
    }

    /// Returns whether stored objects with these fields have the declared layout, to the byte.
    pub(super) fn is_from(&self, stored: &[StoredField], size: u64) -> bool {
        is_layout(&flatten(self.fields), self.size as u64, stored, size)
    }

    /// Returns the size of an old object.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns the fields of an old object.
    #[cfg(feature = "schemas")]
    pub(crate) fn fields(&self) -> &'static [Field] {
        self.fields
    }

    pub(super) fn convert(&self, old: &[u8], new: &mut [u8]) -> Result<(), Misfit> {
        (self.convert)(old, new).map_err(Misfit::from)
    }
}

/// Returns whether a declared layout is the stored one, to the byte.
pub(super) fn is_layout(declared: &[StoredField], bytes: u64, stored: &[StoredField], size: u64) -> bool {
    let layout = |field: &StoredField| (field.offset, field.size, field.fingerprint);
    let same = |(a, b): (&StoredField, &StoredField)| layout(a) == layout(b) && a.name == b.name;
    size == bytes && declared.len() == stored.len() && declared.iter().zip(stored).all(same)
}

/// Converts the bytes of an object, if they are a value.
#[doc(hidden)]
pub fn convert_with<Old: Schema, New: Schema>(
    old: &[u8],
    new: &mut [u8],
    convert: fn(Old) -> New,
) -> Result<(), BadValue> {
    write_value(convert(read_value(old)?), new);
    Ok(())
}

/// The migrations of a type for which the program declares none.
///
/// The derive names `HOTPOOL_MIGRATIONS` of its type: that is this one, unless `migration!` has
/// given the type one of its own.
#[doc(hidden)]
pub trait NoMigrations {
    const HOTPOOL_MIGRATIONS: &'static [Migration] = &[];
}

impl<T> NoMigrations for T {}

/// Declares how objects of an old layout become objects of today's, with a function.
///
/// Most changes need only an attribute, such as `#[pool(default = 0)]`. This is for all others. The
/// old layout is that of a `#[repr(C)]` struct with the given fields. It must be the stored one to
/// the byte; for any other layout the function is not called.
///
/// ```
/// use hotpool::PoolObject;
/// use hotpool::object::FixedStr;
///
/// #[repr(C)]
/// #[derive(Clone, Copy, PoolObject)]
/// #[pool(id = 7)]
/// struct Hero {
///     /// In permille since version 2, a share until then.
///     hp: u16,
///     name: FixedStr<32>,
/// }
///
/// hotpool::migration! {
///     Hero: from { hp: f32, name: FixedStr<32> } => |old| Hero {
///         hp: (old.hp * 1000.0) as u16,
///         name: old.name,
///     }
/// }
/// ```
///
/// There is one `migration!` for a type, with as many old layouts as there are, separated by commas.
/// A layout can have a name instead: `from OldHero => ..`, a struct that derives `Schema`. The
/// function must not depend on anything but its argument: a restart may call it again.
#[macro_export]
macro_rules! migration {
    ($new:ident: $(from $fields:tt => |$old:pat_param| $convert:expr),+ $(,)?) => {
        impl $new {
            #[doc(hidden)]
            pub(crate) const HOTPOOL_MIGRATIONS: &'static [$crate::object::Migration] =
                &[$($crate::migration!(@one $new, $fields, $old, $convert)),+];
        }
    };
    (@one $new:ident, { $($field:ident: $ty:ty),* $(,)? }, $old:pat_param, $convert:expr) => {{
        #[repr(C)]
        #[derive($crate::object::Schema)]
        #[allow(dead_code)]
        struct Old {
            $($field: $ty),*
        }
        $crate::migration!(@one $new, Old, $old, $convert)
    }};
    (@one $new:ident, $from:ident, $old:pat_param, $convert:expr) => {{
        fn convert($old: $from) -> $new {
            $convert
        }
        $crate::object::Migration::from::<$from>(|old, new| {
            $crate::object::convert_with::<$from, $new>(old, new, convert)
        })
    }};
}

#[cfg(test)]
mod tests {
    use super::super::{NewType, Plan};
    use super::*;
    use crate::object::{FixedStr, PoolObject, SchemaText, bytes_for_tests};

    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 7)]
    struct Hero {
        hp: u16,
        #[pool(default = "none".parse().unwrap())]
        name: FixedStr<8>,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema)]
    struct First {
        hp: bool,
    }

    crate::migration! {
        Hero: from { hp: f32, awake: bool } => |old| Hero {
            hp: if old.awake { (old.hp * 1000.0) as u16 } else { 0 },
            name: FixedStr::new(),
        },
        from First => |First { hp }| Hero { hp: u16::from(hp), name: FixedStr::new() },
    }

    #[repr(C)]
    #[derive(Clone, Copy, Schema)]
    struct Second {
        hp: f32,
        awake: bool,
    }

    fn plan<Old: Schema>() -> Result<Plan, super::super::Refusal> {
        let old = SchemaText::parse(&SchemaText::of::<Old>()).unwrap();
        Plan::of(&old, size_of::<Old>() as u64, &NewType::of::<Hero>(), &[])
    }

    fn converted<Old: Schema>(old: &[u8]) -> Result<Vec<u8>, Misfit> {
        let mut new = vec![0; size_of::<Hero>()];
        plan::<Old>().unwrap().convert(old, &mut new).map(|()| new)
    }

    #[test]
    fn a_function_converts_the_layout_that_it_declares() {
        let second = bytes_for_tests(&Second { hp: 0.5, awake: true });
        let hero = |hp| bytes_for_tests(&Hero { hp, name: FixedStr::new() });
        assert_eq!(converted::<Second>(&second), Ok(hero(500)));
        assert_eq!(converted::<First>(&[1]), Ok(hero(1)));
        insta::assert_snapshot!(plan::<Second>().unwrap().steps()[0], @"`hero`: converted by the function that `migration!` declares");
    }

    #[test]
    fn bytes_that_are_no_old_value_never_reach_the_function() {
        let mut second = bytes_for_tests(&Second { hp: 0.5, awake: true });
        second[4] = 2;
        insta::assert_snapshot!(converted::<Second>(&second).unwrap_err(), @"awake: 2 is no bool");
        assert!(converted::<First>(&[]).is_err());
    }

    #[test]
    fn no_function_is_called_for_another_layout() {
        #[repr(C)]
        #[derive(Clone, Copy, Schema)]
        struct Other {
            awake: bool,
            hp: f32,
        }
        assert!(plan::<Other>().is_err());
        #[repr(C)]
        #[derive(Clone, Copy, Schema)]
        struct Free {
            hp: u8,
        }
        let hero = bytes_for_tests(&Hero { hp: 9, name: "none".parse().unwrap() });
        assert_eq!(converted::<Free>(&[9]), Ok(hero));
    }

    #[test]
    fn a_type_without_functions_has_none() {
        #[repr(C)]
        #[derive(Clone, Copy, PoolObject)]
        #[pool(id = 8)]
        struct Guild {
            gold: u64,
        }
        assert_eq!((Guild::MIGRATIONS.len(), Hero::MIGRATIONS.len()), (0, 2));
    }
}
