//! Random histories, resumed after every store (G1, G2, G4, G7, G8).
//!
//! A pool in the memory of this process goes through a random history. The test records what each
//! instruction of each operation stores. After each store it resumes a copy of the bytes as a
//! second pool, runs `verify` on it and compares its objects with those before and after the
//! operation. The recovery of some images is treated in the same way.
//!
//! `HOTPOOL_HISTORY_SECONDS` sets the duration, `HOTPOOL_SEED` the first seed. One seed is one
//! history.

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
fn main() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = variable("HOTPOOL_HISTORY_SECONDS").unwrap_or(5);
    let first = variable("HOTPOOL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let began = std::time::Instant::now();
    let mut counts = histories::Counts::default();
    let mut seed = first;
    let keys = [harness::keys::Keys::take(4), harness::keys::Keys::take(4)];
    while began.elapsed().as_secs() < seconds {
        if let Err(what) = histories::live(seed, &keys, &mut counts, || began.elapsed().as_secs() < seconds) {
            eprintln!("FAILED: HOTPOOL_SEED={seed}: {what}");
            std::process::exit(1);
        }
        seed += 1;
    }
    let spent = began.elapsed().as_secs_f64();
    println!(
        "crash_histories: {} histories from seed {first}, {} operations, {} images ({} of recoveries), violations: 0; {spent:.1} s, \
         {:.0} images a second",
        seed - first,
        counts.operations,
        counts.images + counts.nested,
        counts.nested,
        (counts.images + counts.nested) as f64 / spent
    );
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: the trap is written for x86-64");
}

#[cfg(target_arch = "x86_64")]
mod histories {
    use super::harness::content::{Content, Keyed, add_types, resolves, words};
    use super::harness::image::{self, Image, Mapped};
    use super::harness::keys::Keys;
    use super::harness::model::{self, Model, Op, Step};
    use super::harness::trap;
    use fastrand::Rng;
    use hotpool::MemoryPoolMgr;
    use hotpool::conf::{BackendKind, ProcessConf};
    use hotpool::inspect::verify_pool;
    use hotpool::share::Home;

    #[derive(Default)]
    pub(crate) struct Counts {
        pub(crate) operations: u64,
        pub(crate) images: u64,
        pub(crate) nested: u64,
    }

    /// Number of operations in one history.
    const STEPS: usize = 400;
    /// One of this many images has its recovery resumed as well.
    const NESTED: u32 = 64;
    /// Number of freed handles tried at each image; the pool itself is checked with all of them.
    const TRIED: usize = 64;

    /// The pool, and the shadow pool in which its images are resumed.
    struct Life {
        conf: ProcessConf,
        shadow: ProcessConf,
        segments: Vec<Mapped>,
        shadows: Vec<Mapped>,
        rng: Rng,
    }

    /// Runs one history while `going` returns true.
    pub(crate) fn live(
        seed: u64,
        keys_of: &[Keys; 2],
        counts: &mut Counts,
        going: impl Fn() -> bool,
    ) -> Result<(), String> {
        let mut rng = Rng::with_seed(seed);
        // Few objects in few pages, so that holes, full words and empty types occur. Some histories
        // have so many keys that the index is about to split.
        let large = rng.u8(..8) == 0;
        let (block, most, keys) = if large { (256 << 10, 8, 2000) } else { (64 << 10, 24, 40) };
        let conf = keys_of[0].conf(BackendKind::Heap, block, 2);
        let shadow = keys_of[1].conf(BackendKind::Heap, block, 2);
        drop(MemoryPoolMgr::open(&shadow).map_err(|error| error.to_string())?);
        let mut pool = open(&conf);
        let mut model = Model::default();
        if large {
            for key in 0..1250 {
                let step = Step { op: Op::AllocKeyed, operands: [100_000 + key, key, 0, 0] };
                let result = pool.alloc_keyed(100_000 + key, Keyed { words: words(key) }).unwrap();
                model.apply(step, result.to_bits())?;
            }
        }
        let (segments, shadows) = (image::find_heap(&conf), image::find_heap(&shadow));
        let mut life = Life { conf, shadow, segments, shadows, rng };
        for number in 0..if large { STEPS / 8 } else { STEPS } {
            if !going() {
                break;
            }
            let step = model.random(&mut life.rng, most, keys);
            life.step(&mut pool, &mut model, step, counts)
                .map_err(|what| format!("step {number}: {what}"))?;
            if life.rng.u8(..64) == 0 {
                if life.rng.bool() {
                    pool.close().unwrap();
                } else {
                    drop(pool);
                }
                pool = open(&life.conf);
            }
        }
        match model.resurrected(&pool) {
            0 => pool.destroy().map_err(|error| error.to_string())?,
            count => return Err(format!("{count} handles that were freed resolve")),
        }
        MemoryPoolMgr::open(&life.shadow).and_then(MemoryPoolMgr::destroy).map_err(|error| error.to_string())
    }

    fn open(conf: &ProcessConf) -> MemoryPoolMgr {
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        add_types(&mut pool).unwrap();
        pool
    }

    impl Life {
        fn step(
            &mut self,
            pool: &mut MemoryPoolMgr,
            model: &mut Model,
            step: Step,
            counts: &mut Counts,
        ) -> Result<(), String> {
            let start = Image::of(&self.segments).moved_to(&self.shadow);
            let before = model.content.clone();
            let (result, stores) = trap::stores(&self.segments, || model::run(pool, step));
            model.apply(step, result)?;
            let now = Content::read(pool)?;
            if now != model.content {
                return Err(format!("{step:x?} did not do what the model did"));
            }
            counts.operations += 1;
            let dead: Vec<u64> = model.dead.iter().rev().take(TRIED).copied().collect();
            let around = Around { step, before, after: now, dead };
            for (number, image) in trap::images(&start, &stores).enumerate() {
                let place =
                    |what| format!("{step:x?}, after store {} of {}: {what}", number + 1, stores.len());
                counts.images += 1;
                let nested = self.rng.u32(..NESTED) == 0;
                let stores = self.resume(&image, &around, nested).map_err(place)?;
                for image in trap::images(&image, &stores) {
                    counts.nested += 1;
                    self.resume(&image, &around, false)
                        .map_err(|what| format!("recovery of {}", place(what)))?;
                }
            }
            Ok(())
        }

        /// Resumes an image. Returns the stores of the recovery if `traced` is true.
        fn resume(&self, image: &Image, around: &Around, traced: bool) -> Result<Vec<image::Store>, String> {
            image.restore(&self.shadows);
            let left = verify_pool(self.shadow.base_key, &Home::of(&self.shadow))
                .map_err(|error| error.to_string())?;
            if !left.is_sound() {
                return Err(format!("before it was opened: {left}"));
            }
            let (opened, stores) = match traced {
                true => trap::stores(&self.shadows, || MemoryPoolMgr::open(&self.shadow)),
                false => (MemoryPoolMgr::open(&self.shadow), Vec::new()),
            };
            let mut pool = opened.map_err(|error| format!("the pool is refused: {error}"))?;
            add_types(&mut pool).map_err(|error| format!("a type is refused: {error}"))?;
            let sound = pool.verify();
            if !sound.is_sound() {
                return Err(sound.to_string());
            }
            around.judge(&pool)?;
            Ok(stores)
        }
    }

    /// The states that an interrupted operation may leave.
    struct Around {
        step: Step,
        before: Content,
        after: Content,
        dead: Vec<u64>,
    }

    impl Around {
        fn judge(&self, pool: &MemoryPoolMgr) -> Result<(), String> {
            let found = Content::read(pool)?;
            let report = pool.resume_report();
            let named = |bits: u64| report.being_written.iter().any(|handle| handle.to_bits() == bits);
            found.between(&self.before, &self.after, self.step.op == Op::Write, &named)?;
            match self.dead.iter().find(|bits| resolves(pool, **bits) && !found.objects.contains_key(*bits)) {
                Some(bits) => Err(format!("handle {bits:x} was freed and still resolves")),
                None => Ok(()),
            }
        }
    }
}
