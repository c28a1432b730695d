//! The structs of the zone, and what only this version knows of them.

use hotpool::PoolObject;
use hotpool::object::Schema;

/// A player, found by its uid.
#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1, keyed)]
pub(crate) struct Player {
    pub(crate) hp: i32,
    pub(crate) level: u32,
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) steps: u64,
    pub(crate) hits: u64,
}

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 2)]
pub(crate) struct Monster {
    pub(crate) hp: i32,
    pub(crate) kind: Kind,
}

#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Schema)]
pub(crate) enum Kind {
    Wolf,
    Bear,
}

impl Player {
    pub(crate) const NEW: Player = Player { hp: 100, level: 1, x: 0.0, y: 0.0, steps: 0, hits: 0 };

    pub(crate) fn health_mut(&mut self) -> &mut i32 {
        &mut self.hp
    }

    /// Returns the fields that other versions name otherwise, or do not have.
    pub(crate) fn own_fields(&self) -> Vec<(&'static str, i32)> {
        vec![("hp", self.hp)]
    }
}

impl Kind {
    pub(crate) const ALL: &[Kind] = &[Kind::Wolf, Kind::Bear];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Wolf => "wolf",
            Kind::Bear => "bear",
        }
    }
}
