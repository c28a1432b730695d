use super::frozen::Frozen;
use super::record::{checksum, record};
use crate::limits;
use crate::word::{Half, Word};

/// Value of `run`: the last owner closed the pool, or no owner has opened it.
pub const RUN_CLOSED: u64 = 0;
/// Value of `run`: an owner attached and has not called `ready()` yet.
pub const RUN_STARTING: u64 = 1;
/// Value of `run`: the owner is serving.
pub const RUN_READY: u64 = 2;

/// Offsets and sizes of the parts of the base segment, written once and covered by `check`.
#[repr(C)]
#[derive(Debug)]
pub struct Geometry {
    /// Size of every block in bytes.
    pub block_bytes: Word,
    /// Offset of `TypeInfo[]`.
    pub types_off: Word,
    /// Offset of `BlockBase[]`.
    pub blocks_off: Word,
    /// Offset of `ExtentRec[]`.
    pub extents_off: Word,
    /// Offset of the schema texts.
    pub schema_off: Word,
    /// Bytes reserved for the schema texts.
    pub schema_bytes: Word,
    /// Offset of the lanes, each with its undo log.
    pub lanes_off: Word,
    /// Bytes of the lanes.
    pub lanes_bytes: Word,
    /// Offset of the ring of starts (`StartRec`).
    pub starts_off: Word,
    /// Bytes of the ring of starts.
    pub starts_bytes: Word,
    /// Offset of the black box (`NoteRing`, `NoteRec`).
    pub black_box_off: Word,
    /// Bytes of the black box.
    pub black_box_bytes: Word,
    /// Offset of the directory of queues (`PositionRec[]`).
    pub queues_off: Word,
    /// Bytes of the directory of queues.
    pub queues_bytes: Word,
    /// Entries of `TypeInfo[]`.
    pub max_types: Half,
    /// Entries of `BlockBase[]`.
    pub max_blocks: Half,
    /// Entries of `ExtentRec[]`.
    pub max_extents: Half,
    /// Number of lanes, 1.
    pub lanes: Half,
    /// Process name, zero-padded.
    pub process: [Word; 4],
    /// Random seed of the hash of user keys, so that an attacker cannot choose keys that collide.
    pub hash_seed: Word,
    /// Even generation after which slots begin.
    ///
    /// No handle of a pool that was moved aside has a higher one.
    pub first_generation: Word,
    /// Reserved, zero.
    pub spare: [Word; 1],
    /// CRC-32C of all the words above.
    pub check: Word,
}

record!(Geometry, 192);

impl Geometry {
    /// Returns the generation after which slots begin.
    pub(crate) fn first_generation(&self) -> u64 {
        self.first_generation.load() & u64::from(limits::MAX_GENERATION) & !1
    }

    /// Computes the expected value of `check`.
    pub fn sum(&self) -> u64 {
        let pair = |low: &Half, high: &Half| u64::from(low.load()) | u64::from(high.load()) << 32;
        let offsets = [
            &self.block_bytes,
            &self.types_off,
            &self.blocks_off,
            &self.extents_off,
            &self.schema_off,
            &self.schema_bytes,
            &self.lanes_off,
            &self.lanes_bytes,
            &self.starts_off,
            &self.starts_bytes,
            &self.black_box_off,
            &self.black_box_bytes,
            &self.queues_off,
            &self.queues_bytes,
        ];
        let tail = self.process.iter().chain([&self.hash_seed, &self.first_generation]).chain(&self.spare);
        let counts = [pair(&self.max_types, &self.max_blocks), pair(&self.max_extents, &self.lanes)];
        checksum(offsets.into_iter().map(Word::load).chain(counts).chain(tail.map(Word::load))).into()
    }
}

/// The mark of a lane, alone in its cache line: the thread that has the lane stores it for each object.
#[repr(C)]
#[derive(Debug)]
pub struct LaneMark {
    /// The object that the thread is writing; 0 for none.
    pub mark: Word,
    /// Reserved, zero.
    pub spare: [Word; 7],
}

record!(LaneMark, 64);

/// The first two pages of a base segment.
#[repr(C)]
#[derive(Debug)]
pub struct BaseHeader {
    /// The bytes that every version can read.
    pub frozen: Frozen,
    /// Offsets and sizes of all other parts.
    pub geometry: Geometry,

    /// Number of owners that this pool has had. Storing it commits an attach.
    pub epoch: Word,
    /// One of the `RUN_` values: how far the last owner got.
    pub run: Word,
    /// Pid of the owner, in its own PID namespace.
    pub owner_pid: Word,
    /// Start time of that pid in clock ticks since boot, which tells it from a later process with
    /// the same pid.
    pub owner_ticks: Word,
    /// Time when the owner attached, in nanoseconds of the wall clock.
    pub start_wall: Word,
    /// Time when the owner attached, in nanoseconds of the boot clock.
    ///
    /// The boot clock begins at zero and counts suspended time.
    pub start_boot: Word,
    /// Boot in which the owner attached (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: [Word; 2],
    /// Time when an owner last closed the pool, in nanoseconds of the wall clock; 0 if none has.
    pub closed_wall: Word,
    /// Time when an owner last called `ready()`, in nanoseconds of the wall clock; 0 if none has.
    pub ready_wall: Word,
    /// Number of starts that found the pool closed.
    pub starts_clean: Word,
    /// Number of starts that found that the last owner had died.
    pub starts_crashed: Word,
    /// Tag of the last transaction that was committed with a tag.
    pub last_tag: Word,
    /// IPC namespace of the owner (its inode); 0 if the kernel does not report it.
    pub ipc_namespace: Word,
    /// 1 if the whole pool was moved aside and this base holds nothing any more. Storing it commits
    /// the move.
    pub moved: Word,
    /// 1 while the new forms of types replace the old ones. Storing it commits them.
    pub forms: Word,

    /// Number of blocks in use. Storing it commits a new block.
    pub nblocks: Word,
    /// Number of extents in use. Storing it commits a new extent.
    pub nextents: Word,
    /// Number of types in use. Storing it commits a new type.
    pub ntypes: Word,
    /// Bytes of schema text in use.
    pub schema_used: Word,
    /// Last reading of the game clock, ns.
    pub game_time: Word,
    /// Where the generations of slots begin that are used for the first time; that of the geometry if
    /// it is higher.
    pub floor: Word,
    /// Reserved, zero.
    pub spare_growth: [Word; 2],

    /// The last operation on a slot, for the post-mortem: `zero:46 op:2 zero:6 type:10`.
    pub last: Word,
    /// The index group that an interrupted or running split adds: `type << 32 | group`; 0 if none.
    pub split: Word,
    /// Reserved, zero.
    pub spare_op: [Word; 6],

    /// Objects that a guard or walk is writing; 0 in unused entries.
    pub marks: [Word; limits::MARKS],
    /// Objects that were being written when an owner died or a panic dropped their guard, until
    /// they are settled.
    pub suspects: [Word; limits::MARKS],
    /// Objects that threads are writing side by side, a cache line for each thread.
    pub lane_marks: [LaneMark; limits::LANES],
    /// Handles of the objects in quarantine. An entry counts only if the header of its slot agrees.
    pub quarantine: [Word; limits::MARKS],
    /// Type numbers in the order in which they were added.
    pub order: [Half; limits::TYPE_TABLE as usize],
}

record!(BaseHeader, 8192);

impl BaseHeader {
    /// Size of this header in bytes, and thus the offset of the first table.
    pub const BYTES: u64 = size_of::<Self>() as u64;

    /// Returns the marks of all guards, walks and lanes.
    pub(crate) fn all_marks(&self) -> impl Iterator<Item = &Word> {
        self.marks.iter().chain(self.lane_marks.iter().map(|lane| &lane.mark))
    }
}
