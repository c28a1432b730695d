//! Types whose objects belong to objects of another type.

use crate::object::{PoolObject, Ref};

/// A type whose objects belong to objects of another type: it has a field with `#[pool(owner)]`.
///
/// The derive implements it:
///
/// ```
/// use hotpool::object::{Child, Ref};
/// use hotpool::PoolObject;
///
/// #[repr(C)]
/// #[derive(Clone, Copy, PoolObject)]
/// #[pool(id = 1)]
/// struct Player {
///     gold: u64,
/// }
///
/// #[repr(C)]
/// #[derive(Clone, Copy, PoolObject)]
/// #[pool(id = 2)]
/// struct Item {
///     #[pool(owner)]
///     owner: Ref<Player>,
///     kind: u32,
///     count: u32,
/// }
///
/// fn belongs_to_players<T: Child<Owner = Player>>() {}
/// belongs_to_players::<Item>();
/// ```
///
/// [`MemoryPoolMgr::children`](crate::MemoryPoolMgr::children) lists the children of an owner.
#[diagnostic::on_unimplemented(
    message = "the objects of `{Self}` have no owner",
    label = "has no field with `#[pool(owner)]`",
    note = "write `#[pool(owner)]` above a field of type `Ref<Player>`, the reference to the owner"
)]
pub trait Child: PoolObject {
    /// The type of the owners.
    type Owner: PoolObject;
}

mod sealed {
    pub trait Sealed {}
}

/// The type of a field with `#[pool(owner)]`: a [`Ref`].
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an owner",
    label = "is no `Ref<T>`",
    note = "the owner of an object is a reference to another object: `Ref<Player>`"
)]
pub trait OwnerRef: sealed::Sealed {
    type Owner: PoolObject;
}

impl<T: PoolObject> sealed::Sealed for Ref<T> {}
impl<T: PoolObject> OwnerRef for Ref<T> {
    type Owner = T;
}
