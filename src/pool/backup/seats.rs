//! Which segment key each block of an image gets.

use super::image::Block;
use crate::conf::ProcessConf;
use crate::units::Key;
use std::collections::BTreeSet;

/// The place of a block in the pool that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) key: Key,
    /// Whether it has no segment: it is empty, and the ini has no key for it.
    pub(super) is_vacant: bool,
}

/// The ini has fewer keys than the image has blocks with extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooFew {
    pub(super) needed: usize,
}

/// Returns the seats of all blocks, in their order.
///
/// A block whose key the ini names keeps it. The others get the keys of the ini that no block has, in
/// their order: first those with extents. An empty block that gets none is given up.
pub(super) fn seats(blocks: &[Block], conf: &ProcessConf) -> Result<Vec<Seat>, TooFew> {
    let named: BTreeSet<Key> = conf.shm_keys.iter().copied().collect();
    let has: BTreeSet<Key> = blocks.iter().map(|block| block.key).collect();
    let mut free = conf.shm_keys.iter().copied().filter(|key| !has.contains(key));
    let mut seats: Vec<Seat> =
        blocks.iter().map(|block| Seat { key: block.key, is_vacant: block.is_vacant }).collect();
    let homeless = |block: &Block| !block.is_vacant && !named.contains(&block.key);
    for with_extents in [true, false] {
        let these = blocks.iter().zip(&mut seats);
        let these = these.filter(|(block, _)| homeless(block) && block.has_extents == with_extents);
        for (_, seat) in these {
            match free.next() {
                Some(key) => seat.key = key,
                None if with_extents => {
                    return Err(TooFew { needed: blocks.iter().filter(|block| block.has_extents).count() });
                }
                None => seat.is_vacant = true,
            }
        }
    }
    Ok(seats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn of(blocks: &[(u32, bool, bool)], ini: &[u32]) -> Result<Vec<(u32, bool)>, TooFew> {
        let block = |&(key, is_vacant, has_extents): &(u32, bool, bool)| Block {
            key: Key(key),
            is_vacant,
            used: 4096,
            has_extents,
        };
        let blocks: Vec<Block> = blocks.iter().map(block).collect();
        let keys: Vec<Key> = ini.iter().copied().map(Key).collect();
        let conf = ProcessConf::new("zone", Key(1), Bytes(1 << 20), &keys);
        seats(&blocks, &conf).map(|seats| seats.iter().map(|seat| (seat.key.0, seat.is_vacant)).collect())
    }

    const USED: (bool, bool) = (false, true);

    #[test]
    fn a_block_that_the_ini_names_keeps_its_key_whatever_the_order() {
        let blocks = [(11, USED.0, USED.1), (12, USED.0, USED.1)];
        assert_eq!(of(&blocks, &[12, 11, 13]).unwrap(), [(11, false), (12, false)]);
        assert_eq!(
            of(&blocks, &[12, 13]).unwrap(),
            [(13, false), (12, false)],
            "the other gets what is free"
        );
        assert_eq!(of(&blocks, &[21, 22]).unwrap(), [(21, false), (22, false)]);
    }

    #[test]
    fn an_empty_block_is_given_up_if_the_ini_has_no_key_and_one_with_extents_is_not() {
        let blocks = [(11, false, false), (12, false, true)];
        assert_eq!(of(&blocks, &[21]).unwrap(), [(11, true), (21, false)]);
        assert_eq!(of(&blocks, &[]), Err(TooFew { needed: 1 }));
        let vacant = [(11, true, false), (12, false, true)];
        assert_eq!(of(&vacant, &[12]).unwrap(), [(11, true), (12, false)]);
    }
}
