//! The operations that are measured, by name.

use clap::ValueEnum;
use serde::Serialize;

/// An operation. Its time is that of one element: a get, a pair of alloc and free, one object visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Op {
    /// Get by handle, in the order of the allocs.
    GetSeq,
    /// Get by handle, in random order.
    GetRand,
    /// Get by the handle that the object before holds.
    GetDep,
    /// Visit all objects; every slot is live.
    Iter100,
    /// Visit all objects and read all their bytes; every slot is live.
    ReadAll,
    /// Alloc and free of the same slot.
    PairHot,
    /// Visit all objects; half of the slots, at random, are free.
    Iter50,
    /// Visit all objects; nine of ten slots, at random, are free.
    Iter10,
    /// Free half of the objects at random, then alloc as many.
    Batch,
    /// Free a random object, then alloc one.
    ChurnRand,
    /// Get by a 64-bit user key, in random order.
    GetKey,
    /// Get by key or make: 98 of 100 are there.
    ForceGet,
    /// The mix of operations of a tick.
    Tick,
    /// Alloc up to the whole population, from nothing.
    Fill,
    /// From the start of a fresh process to the first object read.
    FirstObject,
    /// From the start of a fresh process to the end of a first tick over all players.
    FirstTick,
    /// From SIGKILL to the owner of a large pool, which has touched all of it, to the first object of a fresh process.
    TakeOver,
}

/// What an operation works on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Objects by handle.
    Slots,
    /// Objects by key and handle.
    Keyed,
    /// Nothing yet.
    Fill,
    /// Fresh processes.
    Restart,
    /// An owner that is killed, and the next one.
    TakeOver,
}

impl Op {
    /// What it works on.
    pub fn kind(self) -> Kind {
        match self {
            Op::GetKey | Op::ForceGet | Op::Tick => Kind::Keyed,
            Op::Fill => Kind::Fill,
            Op::FirstObject | Op::FirstTick => Kind::Restart,
            Op::TakeOver => Kind::TakeOver,
            _ => Kind::Slots,
        }
    }

    /// Its name in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
