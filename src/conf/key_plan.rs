//! The key plan: which segment key each segment of a fleet has.
//!
//! ```text
//! 31      24 23      16 15  12 11   8 7        0
//! |  0x48   |  world   | zone | proc |  block   |
//! ```
//!
//! The fields fall on hexadecimal digits, so that a key in `ipcs` is readable: `0x48500103` is
//! world 0x50, zone 0, process 1, block 3. Block 0 is the base segment. Process 15 stands for the
//! queues of a zone: `0x48500f02` is queue 2 of world 0x50, zone 0. The tag is not zero, so no
//! key is `IPC_PRIVATE`. Coordinates that do not fit are an error and never wrap, so two segments
//! of a fleet cannot have the same key.

use crate::units::Key;

/// First eight bits of every key of the plan: `H`.
pub const TAG: u8 = 0x48;
/// Largest number of a world; the first is 0.
pub const MAX_WORLD: u32 = field_max(WORLD_BITS);
/// Largest number of a zone in its world; the first is 0.
pub const MAX_ZONE: u32 = field_max(ZONE_BITS);
/// Largest number of a process in its zone; the first is 0.
pub const MAX_PROCESS: u32 = field_max(PROCESS_BITS);
/// Number of the process field in the key of a queue; the block field is the number of the queue.
pub const QUEUES: u32 = MAX_PROCESS;
/// Largest number of a block of a process; the first is 1, and 0 is the base segment.
pub const MAX_BLOCK: u32 = field_max(BLOCK_BITS);

const BLOCK_BITS: u32 = 8;
const PROCESS_BITS: u32 = 4;
const ZONE_BITS: u32 = 4;
const WORLD_BITS: u32 = 8;

const PROCESS_SHIFT: u32 = BLOCK_BITS;
const ZONE_SHIFT: u32 = PROCESS_SHIFT + PROCESS_BITS;
const WORLD_SHIFT: u32 = ZONE_SHIFT + ZONE_BITS;
const TAG_SHIFT: u32 = WORLD_SHIFT + WORLD_BITS;

const _: () = assert!(TAG_SHIFT + 8 == u32::BITS && TAG != 0);

const fn field_max(bits: u32) -> u32 {
    (1 << bits) - 1
}

/// The position of one segment in a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coordinates {
    /// World, at most [`MAX_WORLD`].
    pub world: u32,
    /// Zone in the world, at most [`MAX_ZONE`].
    pub zone: u32,
    /// Process in the zone, at most [`MAX_PROCESS`].
    pub process: u32,
    /// 0 for the base segment, else the block number, at most [`MAX_BLOCK`].
    pub block: u32,
}

/// The error for a coordinate that exceeds its bits in the key plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {found} does not fit the key plan, which has room for 0 to {max}")]
pub struct OutOfPlan {
    /// `world`, `zone`, `process` or `block`.
    pub field: &'static str,
    /// The requested value.
    pub found: u32,
    /// The largest value.
    pub max: u32,
}

/// Returns the segment key for these coordinates.
///
/// # Errors
///
/// Fails if a coordinate is larger than its field.
///
/// # Examples
///
/// ```
/// use hotpool::conf::key_plan::{Coordinates, key};
///
/// let block = Coordinates { world: 0x50, zone: 0, process: 1, block: 3 };
/// assert_eq!(key(block)?.to_string(), "0x48500103");
/// # Ok::<(), hotpool::conf::key_plan::OutOfPlan>(())
/// ```
pub const fn key(at: Coordinates) -> Result<Key, OutOfPlan> {
    let mut fields: &[(&str, u32, u32)] = &[
        ("world", at.world, MAX_WORLD),
        ("zone", at.zone, MAX_ZONE),
        ("process", at.process, MAX_PROCESS),
        ("block", at.block, MAX_BLOCK),
    ];
    while let [(field, found, max), rest @ ..] = fields {
        if *found > *max {
            return Err(OutOfPlan { field, found: *found, max: *max });
        }
        fields = rest;
    }
    let bits = at.world << WORLD_SHIFT | at.zone << ZONE_SHIFT | at.process << PROCESS_SHIFT | at.block;
    Ok(Key((TAG as u32) << TAG_SHIFT | bits))
}

/// Returns the coordinates of a segment key; `None` if the key is not of the key plan.
pub const fn coordinates(key: Key) -> Option<Coordinates> {
    if key.0 >> TAG_SHIFT != TAG as u32 {
        return None;
    }
    Some(Coordinates {
        world: key.0 >> WORLD_SHIFT & MAX_WORLD,
        zone: key.0 >> ZONE_SHIFT & MAX_ZONE,
        process: key.0 >> PROCESS_SHIFT & MAX_PROCESS,
        block: key.0 & MAX_BLOCK,
    })
}
/// Returns the post-mortem key of a segment key, to which `OnCrashLoop = cold` copies the pool.
///
/// It is the same key with the top bit inverted, so the tag is `0xc8` instead of `0x48`. The key
/// plan uses no such key.
pub fn post_mortem(key: Key) -> Key {
    Key(key.0 ^ 1 << 31)
}
