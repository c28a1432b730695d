//! The measured operations, by name.

use clap::ValueEnum;
use serde::Serialize;

/// An operation. Its time is that of one element: one get, one pair of alloc and free, one visited
/// object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Op {
    /// Get by handle, in the order of the allocs.
    GetSeq,
    /// Get by handle, in random order.
    GetRand,
    /// Get by the handle that the previous object holds.
    GetDep,
    /// Visit all objects; every slot is live.
    Iter100,
    /// Visit all objects and read all their bytes; every slot is live.
    ReadAll,
    /// Alloc and free of the same slot.
    PairHot,
    /// Visit all objects; half of the slots are free, at random.
    Iter50,
    /// Visit all objects; nine of ten slots are free, at random.
    Iter10,
    /// Free half of the objects at random, then alloc the same number.
    Batch,
    /// Free a random object, then alloc one.
    ChurnRand,
    /// Get by a 64-bit user key, in random order.
    GetKey,
    /// Get by key, or create: 98 of 100 exist.
    ForceGet,
    /// The mix of operations in a tick.
    Tick,
    /// Alloc the whole population into an empty store.
    Fill,
    /// From the launch of a fresh process to the first object read.
    FirstObject,
    /// From the launch of a fresh process to the end of a first tick over all players.
    FirstTick,
    /// From a SIGKILL of the owner of a large, fully touched pool to the first object read by a
    /// fresh process.
    TakeOver,
}

/// What an operation needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Objects by handle.
    Slots,
    /// Objects by key and handle.
    Keyed,
    /// An empty store.
    Fill,
    /// Fresh processes.
    Restart,
    /// An owner that is killed, and the next one.
    TakeOver,
}

impl Op {
    /// Returns what the operation needs.
    pub fn kind(self) -> Kind {
        match self {
            Op::GetKey | Op::ForceGet | Op::Tick => Kind::Keyed,
            Op::Fill => Kind::Fill,
            Op::FirstObject | Op::FirstTick => Kind::Restart,
            Op::TakeOver => Kind::TakeOver,
            _ => Kind::Slots,
        }
    }

    /// Returns its name in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
