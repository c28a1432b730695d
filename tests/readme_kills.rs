//! The program of the README is killed behind each of its stores, and run again: there is one hero, ever after.
//!
//! Its first start made the pool and was killed then (the making itself is cut by `tests/kill_every_instruction.rs`).
//! The second one adds the type, makes the hero and is ready; the bytes behind each single instruction of it that stores
//! are resumed by a third one.

#[cfg(target_arch = "x86_64")]
mod harness;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::harness::image::{self, Image};
    use super::harness::keys::Keys;
    use super::harness::trap;
    use bytemuck::{Pod, Zeroable};
    use hotpool::conf::{BackendKind, ProcessConf};
    use hotpool::{MemoryPoolMgr, PoolError, PoolObject, StartMode};

    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
    // Its entry lies in the bytes that the harness copies.
    #[pool(id = 3)]
    struct Hero {
        uid: u64,
        hp: i32,
        level: u32,
        x: f32,
        y: f32,
    }

    /// The README's program, without what it prints, up to the word that says that it serves.
    fn program(conf: &ProcessConf) -> Result<MemoryPoolMgr, PoolError> {
        let mut pool = MemoryPoolMgr::open(conf)?;
        pool.add_type::<Hero>()?;
        match pool.start_mode() {
            StartMode::Init => {
                pool.alloc(Hero { uid: 7, hp: 100, level: 1, x: 0.0, y: 0.0 }).unwrap();
            }
            StartMode::Resume => {}
        }
        pool.ready()?;
        Ok(pool)
    }

    #[test]
    fn the_program_here_is_that_of_the_readme() {
        let readme = std::fs::read_to_string("README.md").unwrap();
        let here = include_str!("readme_kills.rs");
        for line in [
            "pool.add_type::<Hero>()?;",
            "match pool.start_mode() {",
            "pool.alloc(Hero { uid: 7, hp: 100, level: 1, x: 0.0, y: 0.0 })",
            "pool.ready()?;",
        ] {
            assert!(readme.contains(line) && here.matches(line).count() > 1, "{line}");
        }
    }

    #[test]
    fn the_program_of_the_readme_has_one_hero_wherever_it_is_killed() {
        let keys = Keys::take(4);
        let conf = keys.conf(BackendKind::Heap, 128 << 10, 2);
        drop(MemoryPoolMgr::open(&conf).unwrap());
        let segments = image::find_heap(&conf);
        let start = Image::of(&segments);
        let (pool, stores) = trap::stores(&segments, || program(&conf));
        drop(pool.unwrap());
        assert!(stores.len() > 40, "{}", stores.len());
        let images = std::iter::once(start.clone()).chain(trap::images(&start, &stores));
        let mut inits = 0;
        for (number, image) in images.enumerate() {
            image.restore(&segments);
            for run in 0..2 {
                let pool = program(&conf).unwrap();
                inits += u32::from(pool.start_mode() == StartMode::Init);
                assert_eq!(pool.len::<Hero>(), 1, "killed behind store {number}, run {run}");
                assert_eq!(pool.iter::<Hero>().map(|(_, hero)| hero.uid).collect::<Vec<_>>(), [7]);
                assert!(run == 0 || pool.start_mode() == StartMode::Resume);
            }
        }
        println!("{} stores, {inits} starts of {} began anew", stores.len(), 2 * (stores.len() + 1));
        assert!(inits > 10);
        MemoryPoolMgr::open(&conf).and_then(MemoryPoolMgr::destroy).unwrap();
    }
}
