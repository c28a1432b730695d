//! The bytes of a segment, without any behaviour.
//!
//! `docs/layout.md` describes the same bytes in prose; `tests/layout.rs` compares the two. Every
//! record consists of atomics alone, has fields of explicit width and no padding. Any bytes are a
//! valid value of a record: its reader checks what they mean.

mod block;
mod broken;
mod extent;
mod frozen;
mod group;
mod header;
mod lane;
mod last;
mod note;
mod position;
mod record;
mod start;
mod tally;
mod text;
mod type_info;

pub use block::BlockBase;
pub(crate) use block::{BLOCK_ACTIVE, BLOCK_VACANT};
pub(crate) use broken::Broken;
pub(crate) use extent::FREE as EXTENT_FREE;
pub(crate) use extent::slots_extent;
pub use extent::{ExtentKind, ExtentRec};
pub use frozen::{
    BASE_KIND, BLOCK_KIND, DRAFT, Frozen, LAYOUT_VERSION, MAGIC_GONE, MAGIC_MAKING, MAGIC_READY, RESTORING,
};
pub use group::Group;
pub use header::{BaseHeader, Geometry, LaneMark, RUN_CLOSED, RUN_READY, RUN_STARTING};
pub use lane::LaneHead;
pub(crate) use lane::{COMMITTED, UndoKind};
pub(crate) use last::{Last, Op};
pub use note::{NoteRec, NoteRing};
pub use position::PositionRec;
pub(crate) use position::{position_of, position_operand};
pub use record::Record;
pub(crate) use record::{checksum, record};
pub use start::{
    BEFORE_CLOSED, BEFORE_DIED_READY, BEFORE_DIED_STARTING, BEFORE_LEFT_READY, BEFORE_LEFT_STARTING,
    BEFORE_NONE, END_CLOSED, END_DROPPED, END_NONE, END_PANICKED, END_SIGNAL, StartRec,
};
pub(crate) use tally::Tally;
pub(crate) use text::{fill_text, text};
pub(crate) use type_info::FLAG_KEYED;
pub use type_info::TypeInfo;
