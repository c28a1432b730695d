//! The structs of the second version: a field is new, one has another name, and an enum has one more
//! variant. The attributes say what becomes of the objects of the first version.

use hotpool::PoolObject;
use hotpool::object::Schema;

/// A player, found by its uid.
#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 1, keyed)]
pub(crate) struct Player {
    #[pool(was = "hp")]
    pub(crate) health: i32,
    #[pool(default = 50)]
    pub(crate) mana: i32,
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
    Dragon,
    Wolf,
    Bear,
}

impl Player {
    pub(crate) const NEW: Player =
        Player { health: 100, mana: 80, level: 1, x: 0.0, y: 0.0, steps: 0, hits: 0 };

    pub(crate) fn health_mut(&mut self) -> &mut i32 {
        &mut self.health
    }

    /// Returns the fields that other versions name otherwise, or do not have.
    pub(crate) fn own_fields(&self) -> Vec<(&'static str, i32)> {
        vec![("health", self.health), ("mana", self.mana)]
    }
}

impl Kind {
    pub(crate) const ALL: &[Kind] = &[Kind::Wolf, Kind::Bear, Kind::Dragon];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Dragon => "dragon",
            Kind::Wolf => "wolf",
            Kind::Bear => "bear",
        }
    }
}
