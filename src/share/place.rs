//! The place of a pool: backend and folder, as a number that its owner semaphores store.
//!
//! A start that finds the semaphores without a pool thus knows whether that pool was in another
//! place, where it may still wait. The number is a hash, so a changed place is missed once in
//! 32,767 times.

use super::backend::Backend;
use super::home::Home;
use super::owner_set;
use crate::conf::BackendKind;
use crate::units::Key;
use std::path::PathBuf;

/// Returns the number of the place where a backend keeps the segment under `key`: 1 to 32,767.
pub(crate) fn number(backend: &dyn Backend, key: Key) -> u32 {
    // The spelling of the folder does not count: a slash at its end, or two in it.
    let path: PathBuf = backend.path(key).unwrap_or_default().components().collect();
    let name = backend.kind().name().bytes();
    let hash =
        name.chain(path.as_os_str().as_encoded_bytes().iter().copied()).fold(0xcbf2_9ce4_8422_2325, fnv);
    // 32,767 is the largest value of a semaphore.
    (hash % 0x7fff) as u32 + 1
}

/// FNV-1a.
fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

/// Returns whether the owner semaphores under `key` say that the last pool was in a folder that
/// `home` does not name.
///
/// A pool in System V memory or in `/dev/shm` needs no note: a start finds it by its key.
pub(crate) fn was_in_other_folder(key: Key, home: &Home) -> bool {
    let posix = Home { backend: BackendKind::Posix, ..Home::sysv() };
    let is_at = |place, home: &Home| place == number(&*home.open(), key);
    owner_set::place(key)
        .is_some_and(|place| ![home, &Home::sysv(), &posix].into_iter().any(|home| is_at(place, home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_a_number_however_it_is_written() {
        let file = |dir: &str| Home { backend: BackendKind::File, dir: dir.into() };
        let number = |home: Home| number(&*home.open(), Key(0x4850_0100));
        let sysv = number(Home::sysv());
        let posix = number(Home { backend: BackendKind::Posix, dir: PathBuf::new() });
        let (old, new) = (number(file("/srv/old")), number(file("/srv/new")));
        let mut all = [sysv, posix, old, new];
        assert_eq!(old, number(file("/srv//old/")));
        assert!(all.iter().all(|number| (1..=0x7fff).contains(number)), "{all:?}");
        all.sort_unstable();
        assert!(all.windows(2).all(|two| two[0] != two[1]), "{all:?}");
    }
}
