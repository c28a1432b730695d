//! Every maximum of the library, and its reason.
//!
//! Under `--cfg fuzzing` tables and extents are small, so that a fuzz target meets full ones, and copies and walks over a
//! pool in microseconds. Such a build reads no pool of a usual one.

/// A limit that the fuzz targets have smaller.
const fn limit(usual: u64, fuzzing: u64) -> u64 {
    if cfg!(fuzzing) { fuzzing } else { usual }
}

/// Bits of a handle that number the slot inside its type.
pub const INDEX_BITS: u32 = 26;
/// Bits of a handle that number the type.
pub const TYPE_BITS: u32 = 10;
/// Bits of a handle that count the lives of its slot; odd while the slot is live.
pub const GENERATION_BITS: u32 = 64 - INDEX_BITS - TYPE_BITS;

/// The slot lies on top of a handle, so that one shift yields it and a comparison with the shifted
/// capacity is the bounds check.
pub(crate) const INDEX_SHIFT: u32 = TYPE_BITS + GENERATION_BITS;
/// Where the type lies in a handle.
pub(crate) const TYPE_SHIFT: u32 = GENERATION_BITS;
/// The generation in a handle.
pub(crate) const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// Slots of one type: what the index bits can name, less the last, so that a
/// word of all ones is never a handle and `index + 1` always fits.
pub const MAX_SLOTS: u32 = (1 << INDEX_BITS) - 1;
/// Slots that one extent may have: as many of the shortest as fit into the longest aimed at.
pub(crate) const MAX_EXTENT_SLOTS: u32 = 1 << 19;
/// Most objects that memory can be set aside for: a type has whole extents, and as many as [`MAX_SLOTS`] lets it.
pub const MAX_CAPACITY: u32 = (1 << INDEX_BITS) - MAX_EXTENT_SLOTS;
/// The largest type number. Type 0 does not exist: a zeroed word names no object.
pub const MAX_TYPE_ID: u16 = (1 << TYPE_BITS) - 1;
/// Entries of `TypeInfo[]`, so that a type number is its own index.
pub const TYPE_TABLE: u32 = 1 << TYPE_BITS;
/// The last generation of a slot. It is odd: a slot dies for good in its last life.
pub const MAX_GENERATION: u32 = (1 << GENERATION_BITS) - 1;

/// Blocks of one pool. Bounds the block table (256 KiB) and the work of an attach.
pub const MAX_BLOCKS: u32 = limit(4096, 8) as u32;
/// Extents of one pool. Bounds the extent table (2 MiB) and the work of an attach.
pub const MAX_EXTENTS: u32 = limit(65_536, 64) as u32;

/// Smallest block: its header page and a few extents of small objects.
pub const MIN_BLOCK_BYTES: u64 = limit(64 << 10, 32 << 10);
/// Largest block; far above any host, far below where offset arithmetic could overflow.
pub const MAX_BLOCK_BYTES: u64 = 1 << 40;
/// Extents begin and end at cache lines.
pub const LINE: u64 = 64;
/// Unit of segment sizes; the page of the kernels we run on.
pub const PAGE: u64 = 4096;

/// A huge page, on x86-64 and on the other processors with pages of [`PAGE`] bytes.
pub const HUGE_PAGE: u64 = 2 << 20;

/// Smallest extent aimed at, so that a type of few small objects costs little.
pub const MIN_EXTENT_BYTES: u64 = limit(16 << 10, 1 << 10);
/// Largest extent aimed at (larger only where one slot needs it), so that growing
/// a type populates at most so much at once.
pub const MAX_EXTENT_BYTES: u64 = 8 << 20;
/// An extent is aimed at this fraction of the pool, so that the number of extents, and with it the
/// time of an attach, depends on neither the size of the pool nor that of its objects; and so
/// that a thousand types of few objects still leave half of the pool.
pub const EXTENTS_AIMED_AT: u64 = 2048;

/// Alignment of an object; a page is the most a segment can promise.
pub const MAX_ALIGN: usize = 4096;
/// Longest name of a process in the ini, so that it fits the base header.
pub const MAX_PROCESS_NAME: usize = 31;
/// Longest name of a type, so that it fits its `TypeInfo`.
pub const MAX_TYPE_NAME: usize = 47;
/// Processes of one ini; a deployment, not a cluster.
pub const MAX_PROCESSES: usize = 256;
/// Largest ini: that many processes, each with all the blocks there can be, and comments.
pub const MAX_INI_BYTES: u64 = 16 << 20;
/// Longest schema text of one type.
pub const MAX_SCHEMA_BYTES: u64 = 16 << 10;
/// Room for the schemas of all types of a pool.
pub const SCHEMA_BYTES: u64 = limit(1 << 20, 4 << 10);

/// Objects that can be named at once as being written through a guard.
pub const MARKS: usize = 64;

/// Room for the undo log of a transaction unless `UndoSize` says otherwise: a thousand small objects.
pub const UNDO_BYTES: u64 = limit(64 << 10, 4 << 10);
/// Least that `UndoSize` may ask for: one page.
pub const MIN_UNDO_BYTES: u64 = PAGE;
/// Most that `UndoSize` may ask for; all of it is given memory when the pool is made.
pub const MAX_UNDO_BYTES: u64 = 1 << 30;
/// Entries of the ring of starts.
pub const STARTS: u64 = 64;
/// Room for the black box.
pub const BLACK_BOX_BYTES: u64 = limit(64 << 10, 4 << 10);
/// Notes that the black box keeps: what its room has behind its first 32 bytes.
pub const NOTES: u64 = BLACK_BOX_BYTES / 32 - 1;
/// Room for the directory of queues.
pub const QUEUE_DIRECTORY_BYTES: u64 = 4096;

/// How long a start waits for a dying owner unless `OwnerWaitMs` says otherwise:
/// thirty times what tearing down 8 GiB of small pages takes.
pub const OWNER_WAIT_MS: u64 = 6000;
/// Most that `OwnerWaitMs` may ask for.
pub const MAX_OWNER_WAIT_MS: u64 = 600_000;
/// Most that `MaxCrashResumes` may ask for: half of the ring of starts.
pub const MAX_CRASH_RESUMES: u32 = 32;
/// Window in which crashed starts are counted unless `CrashWindowSec` says otherwise: a service manager
/// that restarts at once has tried many times by then.
pub const CRASH_WINDOW_SEC: u64 = 300;
/// Most that `CrashWindowSec` may ask for: a day.
pub const MAX_CRASH_WINDOW_SEC: u64 = 86_400;
/// How often a start makes the owner semaphores again when somebody removes them under its
/// hands; more than any number of servers that start and stop at once.
pub const OWNER_ROUNDS: u32 = 1000;
/// Largest number of a System V semaphore, `SEMVMX`.
pub const MAX_SEMAPHORE: u32 = 32_767;
/// Longest pause between two looks at a segment that somebody has still attached.
pub const FENCE_PAUSE_MS: u64 = 20;
/// How long the lock of a base is looked at before it is believed: a process that was just spawned has a copy.
pub const LOCK_DOUBT_MS: u64 = 150;

const _: () = assert!(GENERATION_BITS >= 24 && MAX_GENERATION % 2 == 1);
const _: () = assert!(MAX_SLOTS >= 64_000_000 && MAX_TYPE_ID >= 1000);
