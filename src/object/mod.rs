//! Types that a program keeps in a pool, their schemas, and handles to objects.

mod admit;
mod change;
mod child;
mod desc;
mod fingerprint;
mod fixed;
mod followed;
#[cfg(any(feature = "glam", feature = "uuid"))]
mod foreign;
mod game_time;
mod id;
mod maybe;
mod migrate;
mod place;
mod pool_object;
mod reference;
mod schema;
mod schema_diff;
mod schema_text;
#[cfg(feature = "schemas")]
mod schemas;
mod stored;
mod timed;
mod value;

#[doc(hidden)]
pub use admit::admit;
#[doc(hidden)]
pub use change::{Change, How};
pub use child::Child;
#[doc(hidden)]
pub use child::OwnerRef;
pub use desc::Field;
#[doc(hidden)]
pub use desc::{Rule, TypeDesc, offset_in_c, payload_offset};
#[doc(hidden)]
pub use fingerprint::Fingerprint;
pub use fixed::{BitSet, FixedDuration, FixedMap, FixedSet, FixedStr, FixedVec, MapEntry, NoRoom};
pub(crate) use followed::TimeField;
#[doc(hidden)]
pub use followed::{Followed, TimeKind};
pub use game_time::GameTime;
pub use hotpool_derive::{Place, PoolObject, Schema};
pub(crate) use id::{GENERATION_MASK, INDEX_SHIFT, LIVE, TYPE_SHIFT};
pub use id::{Handle, Id};
pub use maybe::Maybe;
pub(crate) use migrate::{Batch, Misfit, Misfits, NewType, Plan, Refusal, Spot, StoredRule};
pub use migrate::{DamagedSchema, Migration, rust_source};
#[doc(hidden)]
pub use migrate::{NoMigrations, convert_with};
pub use place::{DoesNotFit, NotReadable, Place};
#[doc(hidden)]
pub use place::{list_fits, part_fits, read_list, write_list};
pub use pool_object::PoolObject;
pub use reference::Ref;
pub use schema::Schema;
pub use schema_diff::{Difference, diff};
pub(crate) use schema_text::field_names;
pub use schema_text::{SchemaError, SchemaText, StoredField};
#[cfg(feature = "schemas")]
pub use schemas::{FieldSchema, OldLayout, Schemas, SchemasError, TypeSchema};
pub use stored::Stored;
pub use timed::{Moment, Timed};
#[cfg(test)]
pub(crate) use value::bytes_for_tests;
pub use value::{BadValue, check_bytes};
pub(crate) use value::{check_at, check_rule, read_value, scrub};
#[doc(hidden)]
pub use value::{write_foreign, write_value};
