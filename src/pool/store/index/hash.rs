//! The hash of a user key, and the groups to which it leads.

use crate::limits::INDEX_BITS;
use crate::pool::store::probe::SLOT_MASK;

/// The 38 bits of a key's hash that an entry stores. They determine both choices of a group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(u64);

impl Hash {
    /// Hashes a key by a multiplication that is folded to 64 bits (as in wyhash, public domain).
    ///
    /// The seed is random for each pool, so that an attacker cannot find keys that collide.
    #[inline(always)]
    pub(crate) fn of(key: u64, seed: u64) -> Self {
        Hash(fold(key ^ seed, 0x9e37_79b9_7f4a_7c15) & !SLOT_MASK)
    }

    #[inline(always)]
    pub(crate) fn entry(self, slot: u32) -> u64 {
        self.0 | (u64::from(slot) + 1)
    }

    /// Returns the 38 bits as a number.
    #[inline(always)]
    pub(super) fn number(self) -> u64 {
        self.0 >> INDEX_BITS
    }

    /// Returns the upper 32 of the 38 bits.
    #[inline(always)]
    pub(crate) fn upper(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) const fn of_entry(entry: u64) -> Self {
        Hash(entry & !SLOT_MASK)
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// The number of groups, which determines the groups of a hash.
#[derive(Clone, Copy)]
pub(crate) struct Addressing {
    pub(super) groups: u64,
    /// The next power of two, minus 1.
    pub(super) mask: u64,
}

impl Addressing {
    pub(crate) fn new(groups: u64) -> Self {
        Addressing { groups, mask: groups.max(2).next_power_of_two() - 1 }
    }

    /// Returns the group of a hash, by linear hashing.
    ///
    /// It is the hash modulo the next power of two, or modulo half of it if that group does not
    /// exist yet.
    #[inline(always)]
    fn address(self, hash: u64) -> u64 {
        let wide = hash & self.mask;
        if wide < self.groups { wide } else { hash & self.mask >> 1 }
    }

    /// Returns the group of first choice.
    #[inline(always)]
    pub(crate) fn first(self, hash: Hash) -> u64 {
        self.address(hash.number())
    }

    /// Returns the group of second choice, which may be the same.
    #[inline(always)]
    pub(crate) fn second(self, hash: Hash) -> u64 {
        self.address(fold(hash.number(), 0x9fb2_1c65_1e98_df25))
    }

    /// Returns the other group of an entry that is in group `number`.
    pub(super) fn other(self, hash: Hash, number: u64) -> u64 {
        let first = self.first(hash);
        if first == number { self.second(hash) } else { first }
    }
}
