//! Any bytes in the segment of a lock or queue lead to an error or a result: never to a panic, a
//! hang or an endless walk.
//!
//! The sweep damages a lock or queue word by word and works with it. Each fault that the fuzz target
//! `messages` found has a test with the least damage that shows it. The tests are built without
//! optimisation, so that an overflow panics.

#[path = "messages/damage.rs"]
mod damage;
#[path = "harness/own_keys.rs"]
mod own_keys;
use damage::{ALL, Image, Input, Kind, run, work};
use hotpool::units::Key;
use own_keys::own_keys;
use std::sync::atomic::Ordering;

/// An image under a key of its own, removed with this value.
struct Own(Image);

impl Own {
    fn make(kind: Kind) -> Self {
        let key = Key(own_keys(1));
        Own(Image::make(kind, key))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// Every operation that changes no bytes, in an order in which each can do something.
fn steps(kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Channel | Kind::Broadcast | Kind::Lossy | Kind::LargeChannel | Kind::LargeBroadcast => {
            let once = [4, 7, 0, 5, 1, 6, 7, 2, 3, 8, 9, 10, 11, 12];
            let both = once.iter().flat_map(|step| [*step, step | 0x80]);
            both.clone().chain(both).collect()
        }
        Kind::Latest => {
            let once = [1, 2, 0, 3, 4, 2, 5];
            once.iter().flat_map(|step| [*step, step | 0x80]).collect()
        }
        Kind::Work | Kind::LargeWork => {
            let once = [2, 0, 3, 5, 1, 4, 7, 2, 6, 8, 3];
            let both = once.iter().flat_map(|step| [*step, step | 0x80]);
            both.clone().chain(both).collect()
        }
        Kind::Mutex => vec![0, 1, 0x81, 4, 0x84, 1, 0x80],
        Kind::RwLock => vec![0, 1, 0x80, 0x81, 4, 0x84, 1, 0x80],
        Kind::Event | Kind::Barrier => vec![1, 0, 0x80, 2, 0x82, 1, 0x81],
    }
}

#[test]
fn each_damaged_word_leads_to_an_error_or_a_result() {
    for kind in ALL {
        let own = Own::make(kind);
        let length = own.0.restore().len();
        let steps = steps(kind);
        for index in 0..length {
            let changes: [fn(u64) -> u64; 6] = [
                |_| u64::MAX,
                |_| 0,
                |word| word.wrapping_add(1),
                |word| word ^ 1 << 16,
                |word| word ^ 1 << 63,
                |_| 1 << 47,
            ];
            for (n, change) in changes.iter().enumerate() {
                for seals in [false, true] {
                    let raw = own.0.restore();
                    if raw.word(index).load(Ordering::SeqCst) == 0 && n > 1 && index > 256 {
                        continue;
                    }
                    raw.change(index, change);
                    if seals && index < 14 {
                        raw.seal();
                    } else if seals {
                        continue;
                    }
                    work(&own.0, &raw, &mut Input(&steps));
                }
            }
        }
    }
}

/// `HOTPOOL_ROUNDS` and `HOTPOOL_SEED` choose how many, and which.
#[test]
fn random_damage_during_random_operations_leads_to_errors_or_results() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let own = ALL.map(Own::make);
    let images: Vec<&Image> = own.iter().map(|own| &own.0).collect();
    let mut random = fastrand::Rng::with_seed(variable("HOTPOOL_SEED").unwrap_or(1));
    for _ in 0..variable("HOTPOOL_ROUNDS").unwrap_or(3_000) {
        let input: Vec<u8> = (0..random.usize(4..80)).map(|_| random.u8(..)).collect();
        run(&images, &input);
    }
}
