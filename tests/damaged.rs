//! Any bytes in a segment give an error or an answer: never a panic, a hang or a walk without an end.
//!
//! A small pool is damaged word by word, opened, worked with and looked at. What fuzzing has found is here with the
//! least damage that shows it. (Built without optimisation, so that an overflow is a panic.)

mod damage;

use damage::{
    BASE, BLOCKS, Bytes, EXTENTS, Image, Images, LANES, TYPE_IDS, TYPES, look, open, operate, seal,
};
use hotpool::share::raw;

/// Every operation, once or more, and a damaged pool is opened a second time.
const STEPS: [u8; 46] = [
    0, 1, 2, 9, 2, 250, 3, 9, 4, 11, 5, 0, 1, 6, 0, 2, 7, 101, 12, 0, 0, 3, 0, 5, 0, 1, 77, 13, 1, 0, 1, 0,
    1, 0, 2, 78, 16, 0, 0, 0, 1, 8, 9, 10, 11, 14,
];

fn work(image: &Image) {
    look(&image.conf);
    if let Some(mut pool) = open(&image.conf) {
        operate(&mut pool, image, &mut Bytes(&STEPS));
        drop(pool);
        if let Some(mut pool) = open(&image.conf) {
            operate(&mut pool, image, &mut Bytes(&[17, 18, 19, 8, 9, 10, 11, 14]));
            pool.close().unwrap();
        }
    }
}

/// Damages each of `words` of segment `number` in four ways, once with wrong and once with right checksums.
fn sweep(image: &Image, number: usize, words: impl Iterator<Item = u64>, seals: bool) {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let key = image.key(number);
    for offset in words {
        let random = random.u64(..);
        let changes: [&dyn Fn(u64) -> u64; 5] =
            [&|_| 0, &|_| u64::MAX, &|old| old.wrapping_add(1), &|old| old.wrapping_add(1 << 32), &|_| {
                random
            }];
        for change in changes {
            image.plant();
            raw::poke(key, offset, change);
            if seals {
                seal(image);
            }
            work(image);
        }
    }
}

fn range(from: u64, words: u64) -> impl Iterator<Item = u64> {
    (0..words).map(move |word| from + word * 8)
}

#[test]
fn every_word_of_the_header_may_be_anything() {
    let images = Images::make(0x7db0_0000);
    sweep(&images.closed, 0, range(0, 192), false);
    sweep(&images.cut, 0, range(0, 64), true);
    // Reserved words, and the order of the types.
    sweep(&images.closed, 0, range(0, 1024).skip(192).step_by(16), false);
    sweep(&images.closed, 0, range(4096, 4), false);
}

#[test]
fn every_word_of_a_type_may_be_anything() {
    let images = Images::make(0x7db1_0000);
    for id in TYPE_IDS {
        sweep(&images.closed, 0, range(TYPES + id * 256, 32), true);
        sweep(&images.cut, 0, range(TYPES + id * 256 + 184, 9), false);
    }
    // An entry that is not in use.
    sweep(&images.closed, 0, range(TYPES + 3 * 256, 24), false);
}

#[test]
fn every_word_of_a_block_or_extent_may_be_anything() {
    let images = Images::make(0x7db2_0000);
    let extents = images.closed.extents.len() as u64;
    sweep(&images.closed, 0, range(BLOCKS, 4 * 8), false);
    sweep(&images.closed, 0, range(EXTENTS, (extents + 1) * 4), false);
    for number in 1..4 {
        sweep(&images.closed, number, range(0, 8), true);
    }
    for (segment, offset) in &images.closed.extents {
        sweep(&images.closed, *segment, range(*offset, 24), false);
    }
}

#[test]
fn every_word_of_an_undo_log_may_be_anything() {
    let images = Images::make(0x7db3_0000);
    sweep(&images.cut, 0, range(LANES, 32), false);
}

#[test]
fn segments_of_any_length_are_refused() {
    let images = Images::make(0x7db4_0000);
    for number in 0..4 {
        let bytes = if number == 0 { BASE } else { damage::BLOCK };
        for length in [1, 8, 63, 64, 100, 4096, 8192, bytes / 2, bytes - 1, bytes + 1, bytes + 4096] {
            images.closed.plant();
            let (key, _, parts) = &images.closed.segments[number];
            raw::plant(*key, length, parts).unwrap();
            work(&images.closed);
        }
    }
}
