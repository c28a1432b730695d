//! An image is the pool at the moment when it began, in random histories of a program that goes on
//! while the image is taken.
//!
//! The first test compares each image with a copy of all segments made when it began. Some images
//! have only the pages that changed since the last one, and are laid over that one. Some are dropped
//! half-way. Every history ends with the start of a pool from its last image.
//!
//! The second test has another oracle: the kernel write-protects every page that the barrier watches
//! (userfaultfd). A store to a page of which the barrier was not told faults.
//!
//! `HOTPOOL_SEED=7` runs one history, `HOTPOOL_SEED=0..5000` those with these seeds, `HOTPOOL_IMAGE_HISTORIES` so many. A debug build runs fewer.

#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
mod histories;
mod skip;
#[cfg(target_arch = "x86_64")]
mod write_protected;

#[cfg(target_arch = "x86_64")]
mod tests {
    use super::harness::image::{self, Mapped};
    use super::harness::imaging::Bytes;
    use super::harness::keys::Keys;
    use super::histories::Program;
    use super::write_protected::Protected;
    use hotpool::MemoryPoolMgr;
    use hotpool::conf::{BackendKind, ProcessConf};
    use hotpool::pool::Budget;

    /// Images of a history.
    const IMAGES: u64 = 25;
    const HISTORIES: u64 = if cfg!(debug_assertions) { 16 } else { 250 };

    /// Returns the seeds of the histories.
    fn seeds() -> Vec<u64> {
        match std::env::var("HOTPOOL_SEED") {
            Ok(seeds) => {
                let number = |text: &str| text.parse::<u64>().expect("a number");
                let (first, end) = seeds.split_once("..").unwrap_or((&seeds, &seeds));
                (number(first)..number(end).max(number(first) + 1)).collect()
            }
            Err(_) => {
                let histories = std::env::var("HOTPOOL_IMAGE_HISTORIES");
                (0..histories.map_or(HISTORIES, |number| number.parse().expect("a number"))).collect()
            }
        }
    }

    /// Returns a pool of random size, small enough to be full now and then.
    fn conf(keys: &Keys, backend: BackendKind, seed: u64) -> ProcessConf {
        keys.conf(backend, [64 << 10, 256 << 10, 1 << 20][seed as usize % 3], 1 + seed as u32 % 4)
    }

    struct History<'a> {
        seed: u64,
        segments: &'a [Mapped],
        program: Program,
        /// The last image that was kept, if the next one may have only what changed.
        kept: Option<Bytes>,
        /// The last image, and the objects at its beginning.
        last: Option<(Bytes, Vec<String>)>,
    }

    impl History<'_> {
        fn image(&mut self) {
            let rng = &mut self.program.rng;
            let (only_changed, tracks, drops) = (rng.bool(), rng.u32(..4) != 0, rng.u32(..8) == 0);
            let expected = Bytes::of(self.segments);
            let content = Program::content(&self.program.pool);
            let has_all = self.program.pool.image_begin(only_changed, tracks);
            let kept = self.kept.take();
            let mut found = match has_all {
                true => Bytes::zeros(self.segments),
                false => kept.clone().expect("an image of changed pages follows one that was kept"),
            };
            loop {
                let budget = Budget::Bytes(self.program.rng.u64(1..100_000));
                let is_whole = self.program.pool.image_step(budget, |piece| found.take(piece)).unwrap();
                self.program.run();
                if is_whole {
                    break;
                }
                if drops && self.program.rng.u32(..20) == 0 {
                    self.program.pool.image_drop();
                    // What the dropped image had is in the next one, which may follow the last kept one.
                    self.kept = kept.filter(|_| tracks);
                    return;
                }
            }
            assert_eq!(self.program.pool.image_kept(), 0, "seed {}", self.seed);
            self.program.pool.image_end();
            let same = found.compare(&expected);
            assert!(same.is_ok(), "seed {}: {}", self.seed, same.unwrap_err());
            self.kept = tracks.then(|| found.clone());
            self.last = Some((found, content));
        }
    }

    #[test]
    fn an_image_is_the_pool_at_its_beginning() {
        std::panic::set_hook(Box::new(|what| {
            if what.payload().downcast_ref::<()>().is_none() {
                eprintln!("{what}");
            }
        }));
        for seed in seeds() {
            let keys = Keys::take(8);
            let conf = conf(&keys, BackendKind::Heap, seed);
            let program = Program::new(MemoryPoolMgr::open(&conf).unwrap(), seed);
            let segments = image::find_heap(&conf);
            let mut history = History { seed, segments: &segments, program, kept: None, last: None };
            for _ in 0..IMAGES {
                for _ in 0..history.program.rng.u32(..30) {
                    history.program.run();
                }
                history.image();
            }
            let (last, content) = history.last.take().expect("one of the images was whole");
            drop(history);
            last.restore(&segments);
            let restored = Program::new(MemoryPoolMgr::open(&conf).unwrap(), seed);
            assert!(restored.pool.verify().is_sound(), "seed {seed}: {}", restored.pool.verify());
            assert_eq!(Program::content(&restored.pool), content, "seed {seed}");
            restored.pool.destroy().unwrap();
        }
    }

    #[test]
    fn no_store_hits_a_page_of_which_the_barrier_was_not_told() {
        let mut faults = 0;
        for seed in seeds().into_iter().take(if cfg!(debug_assertions) { 6 } else { 60 }) {
            let keys = Keys::take(8);
            let conf = conf(&keys, BackendKind::Posix, seed);
            let _remove = Remove(&conf);
            let mut program = Program::new(MemoryPoolMgr::open(&conf).unwrap(), seed);
            (0..300).for_each(|_| program.run());
            for _ in 0..6 {
                program.pool.image_begin(false, program.rng.bool());
                let watch = program.pool.image_watch().expect("an image has begun");
                let protected = match Protected::begin(blocks(&conf), watch) {
                    Ok(protected) => protected,
                    Err(why) => {
                        return crate::skip::skipped(&format!("the kernel refuses userfaultfd: {why}"));
                    }
                };
                loop {
                    let budget = Budget::Bytes(program.rng.u64(1..50_000));
                    if program.pool.image_step(budget, |_| Ok::<_, std::convert::Infallible>(())).unwrap() {
                        break;
                    }
                    program.run();
                }
                let found = protected.end();
                faults += found.faults;
                assert_eq!(found.untold, Vec::<usize>::new(), "seed {seed}");
                program.pool.image_end();
            }
            program.pool.destroy().unwrap();
        }
        assert!(faults > 100, "{faults} pages changed for the first time");
    }

    /// Removes the files of a pool, also if its test fails.
    struct Remove<'a>(&'a ProcessConf);

    impl Drop for Remove<'_> {
        fn drop(&mut self) {
            for key in image::keys_of(self.0) {
                let _ = std::fs::remove_file(file_of(key));
            }
        }
    }

    fn file_of(key: hotpool::units::Key) -> String {
        format!("/dev/shm/hotpool-{:08x}", key.0)
    }

    /// Returns where the blocks of a pool are mapped.
    fn blocks(conf: &ProcessConf) -> Vec<std::ops::Range<usize>> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let range = |file: String| {
            let line = maps.lines().find(|line| line.ends_with(&file) && line.contains("rw-s"));
            let (start, end) = line?.split(' ').next()?.split_once('-')?;
            Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
        };
        conf.shm_keys.iter().map(|key| range(file_of(*key)).expect("the block is mapped")).collect()
    }
}
