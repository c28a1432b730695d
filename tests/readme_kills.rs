//! The README's program is killed after each of its stores and run again: it always has exactly one
//! hero.
//!
//! The first start creates the pool and is killed then (`kill_every_instruction` interrupts the
//! creation itself). The second start adds the type, creates the hero and becomes ready. A third
//! start resumes the bytes after each store of the second.

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
    // A low type number keeps the entry in the bytes that the harness copies.
    #[pool(id = 3)]
    struct Hero {
        uid: u64,
        hp: i32,
        level: u32,
        x: f32,
        y: f32,
    }

    /// The README's program up to `ready()`, without its output.
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
    fn this_program_is_that_of_the_readme() {
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
                assert_eq!(pool.len::<Hero>(), 1, "killed after store {number}, run {run}");
                assert_eq!(pool.iter::<Hero>().map(|(_, hero)| hero.uid).collect::<Vec<_>>(), [7]);
                assert!(run == 0 || pool.start_mode() == StartMode::Resume);
            }
        }
        println!("{} stores, {inits} of {} starts were cold", stores.len(), 2 * (stores.len() + 1));
        assert!(inits > 10);
        MemoryPoolMgr::open(&conf).and_then(MemoryPoolMgr::destroy).unwrap();
    }
}
