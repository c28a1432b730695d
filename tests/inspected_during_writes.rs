//! A pool is inspected while a process writes to it (G11). An owner at work is never reported as
//! damaged. Stray writes never lead an inspection to a panic, a hang or memory outside the pool.

mod damage;
mod owner;

use damage::{Bytes, Image, Images, raw};
use hotpool::inspect::{Severity, describe_pool, verify_pool};
use hotpool::pool::PostMortem;
use hotpool::share::{Home, observe_pool};
use owner::{Keys, Owner};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Runs as an owner if this process was launched as one.
#[test]
fn serve() {
    owner::serve();
}

#[test]
fn a_working_owner_is_never_reported_as_damaged() {
    let keys = Keys::take(4 << 20);
    let mut owner = Owner::start();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    owner.tell("work 3000");
    let (began, mut looks, mut objects) = (Instant::now(), 0, 0);
    while began.elapsed() < Duration::from_millis(2500) || looks <= 10 {
        let report = verify_pool(keys.base, &Home::sysv()).unwrap();
        assert!(report.live, "the owner was alive all the time");
        assert!(report.is_sound(), "{report}");
        objects = objects.max(report.objects());
        looks += 1;
    }
    let done: u64 = owner.answer().parse().unwrap();
    println!("{looks} inspections during {done} operations, up to {objects} objects");
    assert!(looks > 10 && done > 10_000 && objects > 100);
    owner.kill();
    owner.wait();
    let report = verify_pool(keys.base, &Home::sysv()).unwrap();
    assert!(report.worst().is_none_or(|worst| worst < Severity::Warning), "{report}");
}

/// Stops the stray writes even if an inspection panics.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Changes words of all kinds until `stop` is set. Returns the number of stores.
fn scribble(image: &Image, seed: u64, stop: &AtomicBool) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let (words, mut stores) = (image.words(), 0);
    while !stop.load(Ordering::Relaxed) {
        let input: [u8; 32] = std::array::from_fn(|_| random.u8(..));
        damage::scribble(image, &mut Bytes(&input));
        stores += 1;
        if stores % 8 == 0 {
            damage::seal(image);
        }
        // Restore the image now and then, so that an inspection gets past the first checks.
        if stores % 64 == 0 {
            words.iter().for_each(|(key, at, word)| _ = raw::poke(*key, *at, |_| *word));
        }
    }
    stores
}

#[test]
fn stray_writes_lead_no_inspection_astray() {
    let images = Images::make(0x7de0_0000);
    for (number, image) in [images.closed, images.cut].iter().enumerate() {
        image.plant();
        let (stop, key, home) = (AtomicBool::new(false), image.conf.base_key, Home::of(&image.conf));
        std::thread::scope(|scope| {
            let stop_at_the_end = StopAtTheEnd(&stop);
            let scribbler = scope.spawn(|| scribble(image, number as u64, &stop));
            let began = Instant::now();
            let (mut looks, mut slowest) = (0, Duration::ZERO);
            while began.elapsed() < Duration::from_millis(2000) || looks <= 20 {
                let start = damage::own_time();
                if let Ok(report) = verify_pool(key, &home) {
                    assert!(damage::says(&report));
                }
                drop(describe_pool(key, &home));
                drop(PostMortem::read(key, &home));
                drop(observe_pool(key, &home));
                slowest = slowest.max(damage::own_time() - start);
                looks += 1;
            }
            drop(stop_at_the_end);
            println!(
                "{looks} inspections during {} stores, the slowest {slowest:?}",
                scribbler.join().unwrap()
            );
            assert!(slowest < Duration::from_secs(1));
        });
    }
}
