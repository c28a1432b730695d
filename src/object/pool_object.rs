//! What a type must be for a pool to keep it.

use crate::object::{Followed, Migration, Schema};

/// A type whose objects live in the slots of a pool.
///
/// Derive it on a `#[repr(C)]` struct:
///
/// ```
/// use hotpool::PoolObject;
/// use hotpool::object::{Maybe, Schema};
///
/// #[repr(C)]
/// #[derive(Clone, Copy, PoolObject)]
/// #[pool(id = 1, keyed)]
/// struct Player {
///     uid: u64,
///     hp: i32,
///     banned: bool,
///     class: Class,
///     guild: Maybe<u32>,
/// }
///
/// #[repr(u8)]
/// #[derive(Clone, Copy, Schema)]
/// enum Class {
///     Mage,
///     Knight,
/// }
///
/// assert_eq!(Player::NAME, "player");
/// assert!(Player::KEYED);
/// ```
///
/// The attributes mean:
///
/// - `id` is the type number in every pool, 1 to 1023, and never changes.
/// - `name` is what operators see and what the ini uses; by default, the struct's name in snake
///   case.
/// - `keyed` gives each object a user key, a `u64`.
///
/// A field with `#[pool(transient)]` means nothing to the next process, such as the number of a
/// connection: each hot start gives it its `Default` when the type is added.
///
/// A field with `#[pool(owner)]` is a [`Ref`](crate::object::Ref) to the object to which this one
/// belongs ([`Child`](crate::object::Child)), and one with `#[pool(time)]` is the time by which the
/// objects are ordered ([`Timed`](crate::object::Timed)).
///
/// If the struct differs from the one that an earlier build stored, its objects are converted. A new
/// field needs `#[pool(default = 7)]`, a renamed one `#[pool(was = "hp")]`, and a removed one
/// `#[pool(removed = "hp")]` above the struct. [docs/types.md] has all rules, and [`migration!`] is
/// for what they do not cover.
///
/// [`Schema`] lists the types that a field can have. A struct may derive [`bytemuck::Pod`] as well;
/// it need not.
///
/// [docs/types.md]: https://docs.rs/crate/hotpool/latest/source/docs/types.md
/// [`migration!`]: crate::migration
#[diagnostic::on_unimplemented(
    message = "a pool cannot hold objects of type `{Self}`",
    label = "does not derive `PoolObject`",
    note = "write `#[repr(C)]`, `#[derive(Clone, Copy, PoolObject)]` and `#[pool(id = ..)]` above the struct, \
            with a number from 1 to 1023 that no other type of the pool has"
)]
pub trait PoolObject: Copy + Schema {
    /// Type number, 1 to [`limits::MAX_TYPE_ID`](crate::limits::MAX_TYPE_ID).
    const TYPE_ID: u16;
    /// Name of the type, at most [`limits::MAX_TYPE_NAME`](crate::limits::MAX_TYPE_NAME) bytes.
    const NAME: &'static str;
    /// Whether objects have a user key.
    const KEYED: bool;
    /// Whether a field is transient.
    #[doc(hidden)]
    const HAS_TRANSIENT: bool = false;

    /// The fields that the pool follows.
    #[doc(hidden)]
    const FOLLOWED: Followed = Followed::NOTHING;

    /// Functions from old layouts, which `migration!` declares.
    #[doc(hidden)]
    const MIGRATIONS: &'static [Migration] = &[];

    /// Gives the transient fields their defaults.
    #[doc(hidden)]
    fn reset_transient(&mut self) {}
}
