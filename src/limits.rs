//! Every maximum of the library, with its reason.
//!
//! Those that a program or an ini can reach are public. Those of the layout are hidden.
//!
//! Under `--cfg fuzzing`, tables and extents are small, so that a fuzz target fills them, and
//! copies and traverses a pool, in microseconds. Such a build cannot read a pool of a normal build.

/// Returns a limit, which is smaller under `--cfg fuzzing`.
const fn limit(usual: u64, fuzzing: u64) -> u64 {
    if cfg!(fuzzing) { fuzzing } else { usual }
}

/// Bits of a handle for the number of the slot within its type.
pub(crate) const INDEX_BITS: u32 = 26;
/// Bits of a handle for the type number.
pub(crate) const TYPE_BITS: u32 = 10;
/// Bits of a handle for the generation of its slot, which is odd while the slot is live.
pub(crate) const GENERATION_BITS: u32 = 64 - INDEX_BITS - TYPE_BITS;

/// Bits below the slot in a handle.
///
/// The slot has the highest bits, so that one shift yields it, and the bounds check is a comparison
/// with the shifted capacity.
pub(crate) const INDEX_SHIFT: u32 = TYPE_BITS + GENERATION_BITS;
/// Bits below the type number in a handle.
pub(crate) const TYPE_SHIFT: u32 = GENERATION_BITS;
/// Mask of the generation in a handle.
pub(crate) const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// Most slots of one type: all that the slot bits can name except the last.
///
/// A word of all ones is therefore never a handle, and `index + 1` always fits.
pub const MAX_SLOTS: u32 = (1 << INDEX_BITS) - 1;
/// Most slots of one extent: the number of the smallest slots that fit into [`MAX_EXTENT_BYTES`].
pub(crate) const MAX_EXTENT_SLOTS: u32 = 1 << 19;
/// Largest capacity of a type: it has whole extents, as many as [`MAX_SLOTS`] allows.
pub const MAX_CAPACITY: u32 = (1 << INDEX_BITS) - MAX_EXTENT_SLOTS;
/// Largest type number. Type 0 does not exist: a zeroed word names no object.
pub const MAX_TYPE_ID: u16 = (1 << TYPE_BITS) - 1;
/// Entries of `TypeInfo[]`, whose index is the type number.
#[doc(hidden)]
pub const TYPE_TABLE: u32 = 1 << TYPE_BITS;
/// Last generation of a slot. It is odd: the slot is retired when the object of that life is freed.
pub const MAX_GENERATION: u32 = (1 << GENERATION_BITS) - 1;

/// Most blocks of one pool. Bounds the block table (256 KiB) and the work of an attach.
pub const MAX_BLOCKS: u32 = limit(4096, 8) as u32;
/// Most extents of one pool. Bounds the extent table (2 MiB) and the work of an attach.
#[doc(hidden)]
pub const MAX_EXTENTS: u32 = limit(65_536, 64) as u32;

/// Smallest block in bytes: its header page and some extents of small objects.
pub const MIN_BLOCK_BYTES: u64 = limit(64 << 10, 32 << 10);
/// Largest block in bytes: far above any host, and far below where offset arithmetic could
/// overflow.
pub const MAX_BLOCK_BYTES: u64 = 1 << 40;
/// Alignment of extents in bytes: a cache line.
pub(crate) const LINE: u64 = 64;
/// Unit of segment sizes in bytes: a page of the supported kernels.
pub const PAGE: u64 = 4096;

/// Size in bytes of a huge page on x86-64, and on other processors with pages of [`PAGE`] bytes.
#[doc(hidden)]
pub const HUGE_PAGE: u64 = 2 << 20;

/// Smallest extent aimed at, in bytes, so that a type with few small objects costs little.
pub(crate) const MIN_EXTENT_BYTES: u64 = limit(16 << 10, 1 << 10);
/// Largest extent aimed at, in bytes, so that the growth of a type populates no more at once.
///
/// An extent is larger only if a single slot needs it.
pub(crate) const MAX_EXTENT_BYTES: u64 = 8 << 20;
/// Divisor of the pool's size that yields the extent size aimed at.
///
/// With it the number of extents, and thus the time of an attach, depends neither on the size of
/// the pool nor on that of its objects. A thousand types with few objects still leave half of the
/// pool.
pub(crate) const EXTENTS_AIMED_AT: u64 = 2048;

/// Largest alignment of an object in bytes: a segment guarantees no more than a page.
pub const MAX_ALIGN: usize = 4096;
/// Longest process name in bytes, which fits the base header.
pub const MAX_PROCESS_NAME: usize = 31;
/// Longest type name in bytes, which fits its `TypeInfo`.
pub const MAX_TYPE_NAME: usize = 47;
/// Most processes of one ini: enough for a deployment, not for a cluster.
pub const MAX_PROCESSES: usize = 256;
/// Largest ini in bytes: [`MAX_PROCESSES`] processes, each with [`MAX_BLOCKS`] blocks, and
/// comments.
pub(crate) const MAX_INI_BYTES: u64 = 16 << 20;
/// Longest schema text of one type in bytes.
pub const MAX_SCHEMA_BYTES: u64 = 16 << 10;
/// Room for the schema texts of all types of a pool in bytes.
#[doc(hidden)]
pub const SCHEMA_BYTES: u64 = limit(1 << 20, 4 << 10);

/// Most objects that can be marked at once as being written.
pub(crate) const MARKS: usize = 64;

/// Lanes of a pool: threads that write side by side and of which each has a mark of its own.
pub const LANES: usize = 32;

/// Default of `UndoSize`, the room for the undo log of a transaction in bytes: a thousand small
/// objects.
pub const UNDO_BYTES: u64 = limit(64 << 10, 4 << 10);
/// Smallest `UndoSize` in bytes: one page.
pub const MIN_UNDO_BYTES: u64 = PAGE;
/// Largest `UndoSize` in bytes. All of it is populated when the pool is created.
pub const MAX_UNDO_BYTES: u64 = 1 << 30;
/// Entries of the ring of starts.
#[doc(hidden)]
pub const STARTS: u64 = 64;
/// Room for the black box in bytes.
#[doc(hidden)]
pub const BLACK_BOX_BYTES: u64 = limit(64 << 10, 4 << 10);
/// Most notes that the black box keeps, after its head of 32 bytes.
pub const NOTES: u64 = BLACK_BOX_BYTES / 32 - 1;
/// Room for the directory of queues in bytes.
#[doc(hidden)]
pub const QUEUE_DIRECTORY_BYTES: u64 = 4096;
/// Most readers of queues that receive in transactions of one pool.
pub(crate) const POSITIONS: u64 = QUEUE_DIRECTORY_BYTES / 32;

/// Default of `OwnerWaitMs`, the milliseconds that a start waits for a dying owner.
///
/// The default is thirty times as long as the kernel needs to tear down 8 GiB of small pages.
pub const OWNER_WAIT_MS: u64 = 6000;
/// Largest `OwnerWaitMs`.
pub const MAX_OWNER_WAIT_MS: u64 = 600_000;
/// Largest `MaxCrashResumes`: half of the ring of starts.
pub const MAX_CRASH_RESUMES: u32 = 32;
/// Default of `CrashWindowSec`, the seconds within which crashed starts are counted.
///
/// A service manager that restarts at once has tried many times by then.
pub const CRASH_WINDOW_SEC: u64 = 300;
/// Largest `CrashWindowSec`: a day.
pub const MAX_CRASH_WINDOW_SEC: u64 = 86_400;
/// Default of `SnapshotKeep`: if the last full snapshot is damaged, there is another.
pub const SNAPSHOTS_KEPT: u32 = 2;
/// Largest `SnapshotKeep`.
pub const MAX_SNAPSHOTS_KEPT: u32 = 1000;
/// Largest `SnapshotEverySec`: a week.
pub const MAX_SNAPSHOT_EVERY_SEC: u64 = 604_800;
/// Seconds after which a thread that writes a snapshot, and does nothing, counts as hanging.
#[cfg_attr(not(feature = "snapshots"), expect(dead_code))]
pub(crate) const SNAPSHOT_HANGS_SEC: u64 = 30;
/// Snapshots of changes after a full one. A restore reads all of them.
pub const SNAPSHOTS_OF_CHANGES: u32 = 15;
/// Most attempts of a start to create the owner semaphores again after another process removes
/// them.
///
/// It is more than the number of servers that could start and stop at once.
pub(crate) const OWNER_ROUNDS: u32 = 1000;
/// Largest value of a System V semaphore, `SEMVMX`.
pub(crate) const MAX_SEMAPHORE: u32 = 32_767;
/// Longest pause between two readings of a segment that another process still has attached, in
/// milliseconds.
pub(crate) const FENCE_PAUSE_MS: u64 = 20;
/// How long the lock of a base is looked at before it is believed: a process that was just spawned has a copy.
pub(crate) const LOCK_DOUBT_MS: u64 = 150;

/// Members of one lock or queue: as many semaphores, and two more, as a set has on every system.
pub const MAX_MEMBERS: usize = 240;
/// Chunks of one queue, so that the number of one fits the 16 bits that it has in a word.
pub(crate) const MAX_CHUNKS: u64 = 65_000;
/// Messages in the life of one queue, so that the number of one fits the 48 bits that it has in a word. At ten million
/// a second they last for five months.
pub const MAX_MESSAGES: u64 = 1 << 47;
/// Largest message.
pub const MAX_MESSAGE_BYTES: u64 = 1 << 30;

const _: () = assert!(GENERATION_BITS >= 24 && MAX_GENERATION % 2 == 1);
const _: () = assert!(MAX_SLOTS >= 64_000_000 && MAX_TYPE_ID >= 1000);
