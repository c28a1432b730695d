//! `verify`: checks every invariant of `docs/layout.md` over all bytes of a pool, without a store.
//!
//! The segments are input: whatever they hold, the verification ends, and reads only inside its
//! mappings. It reads the tables and slots by itself. It shares with the pool only the layout
//! records and the arithmetic of the index.

use crate::inspect::finding::{Place, Report, Severity};
use crate::inspect::tables;
use crate::inspect::walk::{Pool, Standing};
use crate::pool::MemoryPoolMgr;
use crate::pool::store::slots::Slots;
use crate::share::{Home, LockFacts, Observed, ShareError};
use crate::units::Key;

/// Verifies the pool whose base is under `key`.
///
/// The segments are attached for reading, as an observer, and nothing is stored. An owner may be
/// running meanwhile. Problems inside the pool are in the report.
///
/// # Errors
///
/// Fails if there is no pool made by hotpool under the key, or if it may not be read.
pub fn verify_pool(key: Key, home: &Home) -> Result<Report, ShareError> {
    let mut report = verify_once(key, home)?;
    for _ in 1..PASSES {
        if !report.grew {
            break;
        }
        report = verify_once(key, home)?;
    }
    Ok(report)
}

/// Most passes over a pool that grows meanwhile.
const PASSES: u32 = 8;

fn verify_once(key: Key, home: &Home) -> Result<Report, ShareError> {
    Observed::steadily(key, home, |observed| Ok(walk(key, observed)))
}

fn walk(key: Key, observed: &mut Observed) -> Report {
    let standing = match &observed.facts().lock {
        LockFacts::Held { .. } | LockFacts::Ours { .. } => Standing::Live,
        _ => Standing::Left,
    };
    let base = observed.base();
    let keys = tables::block_keys(&base);
    let blocks = keys.into_iter().map(|key| observed.block(key).map_err(|error| error.to_string()));
    let blocks = blocks.collect();
    tables::walk(&Pool { key, base, blocks, standing })
}

impl MemoryPoolMgr {
    /// Verifies all bytes of the pool and checks every invariant, without a store.
    ///
    /// The time is proportional to the size of the pool.
    pub fn verify(&self) -> Report {
        let blocks = (0..self.base.nblocks())
            .map(|number| self.space.region(number).ok_or_else(|| "the block was given up".to_string()))
            .collect();
        let mut report = tables::walk(&Pool {
            key: self.base_key(),
            base: self.base.region,
            blocks,
            standing: Standing::Owned,
        });
        self.types.iter().for_each(|state| check_values(&mut report, &state.slots));
        report
    }
}

/// Reports the live objects of a type that are no value of its Rust type.
fn check_values(report: &mut Report, slots: &Slots) {
    slots.for_each_bad_value(slots.rule, |slot, _, bad| {
        let place = Place { type_id: Some(slots.type_id()), slot: Some(slot), ..Place::default() };
        report.add(Severity::Damage, place, format!("its object is no value of its type: {bad}"));
    });
}
