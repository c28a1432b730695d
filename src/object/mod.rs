//! Types that a program keeps in a pool, their schemas, and handles to objects.

mod admit;
mod fingerprint;
mod id;
mod link;
mod place;
mod pool_object;
mod schema;
mod schema_diff;
mod schema_text;

#[doc(hidden)]
pub use admit::admit;
#[doc(hidden)]
pub use fingerprint::Fingerprint;
pub use hotpool_derive::{Place, PoolObject, Schema};
pub(crate) use id::{GENERATION_MASK, INDEX_SHIFT, LIVE, TYPE_SHIFT};
pub use id::{Handle, Id};
pub use link::Link;
pub use place::{DoesNotFit, NotReadable, Place};
#[doc(hidden)]
pub use place::{list_fits, part_fits, read_list, write_list};
pub use pool_object::PoolObject;
#[doc(hidden)]
pub use schema::TypeDesc;
pub use schema::{Field, Schema};
pub use schema_diff::{Difference, diff};
pub use schema_text::{SchemaError, SchemaText, StoredField};
