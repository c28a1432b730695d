//! A pool is looked at while somebody stores to it: its owner, who is never called damaged for it, and a scribbler, who
//! leads no look to a panic, a hang or memory that is not the pool's (G11).

mod damage;
mod owner;

use damage::{Bytes, Image, Images, raw};
use hotpool::inspect::{Severity, describe_pool, verify_pool};
use hotpool::pool::PostMortem;
use hotpool::share::{Home, observe_pool};
use owner::{Keys, Owner};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Is an owner, in a process that was started as one.
#[test]
fn serve() {
    owner::serve();
}

#[test]
fn an_owner_at_work_is_not_called_damaged() {
    let keys = Keys::take(4 << 20);
    let mut owner = Owner::start();
    assert!(keys.open_by(&mut owner, 0).contains("cold start 1,"));
    owner.tell("work 3000");
    let (began, mut looks, mut objects) = (Instant::now(), 0, 0);
    while began.elapsed() < Duration::from_millis(2500) {
        let report = verify_pool(keys.base, &Home::sysv()).unwrap();
        assert!(report.live, "its owner was there all the time");
        assert!(report.is_sound(), "{report}");
        objects = objects.max(report.objects());
        looks += 1;
    }
    let done: u64 = owner.answer().parse().unwrap();
    println!("{looks} looks during {done} operations, up to {objects} objects");
    assert!(looks > 10 && done > 10_000 && objects > 100);
    owner.kill();
    owner.wait();
    let report = verify_pool(keys.base, &Home::sysv()).unwrap();
    assert!(report.worst().is_none_or(|worst| worst < Severity::Warning), "{report}");
}

/// Ends the scribbler also where a look panics.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Words of all kinds of places, over and over.
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
        // The look is to get somewhere.
        if stores % 64 == 0 {
            words.iter().for_each(|(key, at, word)| _ = raw::poke(*key, *at, |_| *word));
        }
    }
    stores
}

#[test]
fn a_scribbler_leads_no_look_astray() {
    let images = Images::make(0x7de0_0000);
    for (number, image) in [images.closed, images.cut].iter().enumerate() {
        image.plant();
        let (stop, key, home) = (AtomicBool::new(false), image.conf.base_key, Home::of(&image.conf));
        std::thread::scope(|scope| {
            let stop_at_the_end = StopAtTheEnd(&stop);
            let scribbler = scope.spawn(|| scribble(image, number as u64, &stop));
            let began = Instant::now();
            let (mut looks, mut slowest) = (0, Duration::ZERO);
            while began.elapsed() < Duration::from_millis(2000) {
                let start = Instant::now();
                if let Ok(report) = verify_pool(key, &home) {
                    assert!(damage::says(&report));
                }
                drop(describe_pool(key, &home));
                drop(PostMortem::read(key, &home));
                drop(observe_pool(key, &home));
                slowest = slowest.max(start.elapsed());
                looks += 1;
            }
            drop(stop_at_the_end);
            println!("{looks} looks during {} stores, the slowest {slowest:?}", scribbler.join().unwrap());
            assert!(looks > 20 && slowest < Duration::from_secs(1));
        });
    }
}
