use super::{Frozen, checksum, record};
use crate::limits;
use crate::word::{Half, Word};

/// `run`: the pool was closed by its owner, or never opened.
pub const RUN_CLOSED: u64 = 0;
/// `run`: an owner attached and has not called `ready()` yet.
pub const RUN_STARTING: u64 = 1;
/// `run`: the owner is serving.
pub const RUN_READY: u64 = 2;

/// Where the parts of the base segment lie. Written once, under `check`.
#[repr(C)]
#[derive(Debug)]
pub struct Geometry {
    /// Size of every block.
    pub block_bytes: Word,
    /// Offset of `TypeInfo[]`.
    pub types_off: Word,
    /// Offset of `BlockBase[]`.
    pub blocks_off: Word,
    /// Offset of `ExtentRec[]`.
    pub extents_off: Word,
    /// Offset and size of the schema texts.
    pub schema_off: Word,
    /// See `schema_off`.
    pub schema_bytes: Word,
    /// Offset and size of the lanes with their undo logs. Reserved.
    pub lanes_off: Word,
    /// See `lanes_off`.
    pub lanes_bytes: Word,
    /// Offset and size of the ring of starts (`StartRec`).
    pub starts_off: Word,
    /// See `starts_off`.
    pub starts_bytes: Word,
    /// Offset and size of the black box (`NoteRing`, `NoteRec`).
    pub black_box_off: Word,
    /// See `black_box_off`.
    pub black_box_bytes: Word,
    /// Offset and size of the directory of queues. Reserved.
    pub queues_off: Word,
    /// See `queues_off`.
    pub queues_bytes: Word,
    /// Entries of `TypeInfo[]`.
    pub max_types: Half,
    /// Entries of `BlockBase[]`.
    pub max_blocks: Half,
    /// Entries of `ExtentRec[]`.
    pub max_extents: Half,
    /// Number of lanes. Reserved.
    pub lanes: Half,
    /// Name of the process in the ini, zero-padded.
    pub process: [Word; 4],
    /// Seed of the hash of user keys, random, so that nobody can choose keys that collide.
    pub hash_seed: Word,
    /// Slots begin behind this generation, even: no handle of a pool that was moved aside is beyond it.
    pub first_generation: Word,
    /// Zero.
    pub spare: [Word; 1],
    /// CRC-32C of all the words above.
    pub check: Word,
}

record!(Geometry, 192);

impl Geometry {
    /// The generation that slots begin behind.
    pub(crate) fn first_generation(&self) -> u64 {
        self.first_generation.load() & u64::from(limits::MAX_GENERATION) & !1
    }

    /// What `check` has to be.
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

/// The first two pages of a base segment.
#[repr(C)]
#[derive(Debug)]
pub struct BaseHeader {
    /// What any build can read.
    pub frozen: Frozen,
    /// Where everything is.
    pub geometry: Geometry,

    /// Generation of starts: counts the owners this pool has had. Storing it is what
    /// makes an attach the owner's.
    pub epoch: Word,
    /// One of the `RUN_` words; how the last owner left.
    pub run: Word,
    /// Pid of the owner, in its own PID namespace.
    pub owner_pid: Word,
    /// Start time of that pid in clock ticks since boot, so that a reused pid is not taken for it.
    pub owner_ticks: Word,
    /// When the owner attached: nanoseconds of the wall clock.
    pub start_wall: Word,
    /// The same on the boot clock, which counts suspended time and starts at zero.
    pub start_boot: Word,
    /// Which boot that was (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: [Word; 2],
    /// When an owner last closed the pool, wall clock; 0 if none has.
    pub closed_wall: Word,
    /// When an owner last called `ready()`, wall clock; 0 if none has.
    pub ready_wall: Word,
    /// Starts that found the pool closed.
    pub starts_clean: Word,
    /// Starts that found that the last owner had died.
    pub starts_crashed: Word,
    /// Tag of the last committed transaction. Reserved.
    pub last_tag: Word,
    /// IPC namespace of the owner (its inode); 0 where the kernel does not say.
    pub ipc_namespace: Word,
    /// 1: all of this has been moved aside and holds nothing any more. Storing it commits the move.
    pub moved: Word,
    /// Zero.
    pub spare_state: Word,

    /// Blocks in use. Storing it commits a new block.
    pub nblocks: Word,
    /// Extents in use. Storing it commits a new extent.
    pub nextents: Word,
    /// Types in use. Storing it commits a new type.
    pub ntypes: Word,
    /// Bytes of schema text in use.
    pub schema_used: Word,
    /// Zero.
    pub spare_growth: [Word; 4],

    /// The last operation on a slot: `zero:46 op:2 zero:6 type:10`, for the post-mortem.
    pub last: Word,
    /// The split of an index group in flight: type << 32 | new group; 0 if none.
    pub split: Word,
    /// Zero.
    pub spare_op: [Word; 6],

    /// Objects that are being written through a guard; 0 where none.
    pub marks: [Word; limits::MARKS],
    /// Objects that were being written when an owner died or a panic dropped their guard, kept until they are settled.
    pub suspects: [Word; limits::MARKS],
    /// Zero.
    pub spare_lanes: [Word; 256],
    /// Handles of the objects that are in quarantine; one counts only if its slot says so too.
    pub quarantine: [Word; limits::MARKS],
    /// Type numbers in the order in which they were added.
    pub order: [Half; limits::TYPE_TABLE as usize],
}

record!(BaseHeader, 8192);

impl BaseHeader {
    /// Offset in the segment of the seed's block size, for tools that know nothing else.
    pub const BYTES: u64 = size_of::<Self>() as u64;
}
