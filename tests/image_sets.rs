//! An image that is taken while the program goes on can be written as a set, and a set of what has
//! changed builds on it.

#[cfg(target_arch = "x86_64")]
mod harness;
#[cfg(target_arch = "x86_64")]
mod histories;

#[cfg(target_arch = "x86_64")]
mod tests {
    use super::harness::image::{self, Mapped};
    use super::harness::imaging::Bytes;
    use super::harness::keys::Keys;
    use super::histories::Program;
    use hotpool::conf::BackendKind;
    use hotpool::pool::{Budget, ImagePiece};
    use hotpool::snapshot::{CHUNK, Compression, Set, SetInfo, SetWriter};
    use hotpool::units::Bytes as Length;
    use hotpool::{MemoryPoolMgr, PoolObject};
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::path::Path;
    use std::time::Duration;

    /// Takes an image in small steps with operations between them, and writes it.
    fn save(program: &mut Program, segments: &[Mapped], shelf: &Path, parent: Option<&Set>) -> (Set, Bytes) {
        let expected = Bytes::of(segments);
        assert_eq!(program.pool.image_begin(parent.is_some(), true), parent.is_none());
        let mut chunks: BTreeMap<(u32, u64), Vec<u8>> = BTreeMap::new();
        let mut take = |piece: ImagePiece<'_>| {
            let (number, at) = (piece.offset / u64::from(CHUNK), (piece.offset % u64::from(CHUNK)) as usize);
            let len = segments[piece.segment as usize].len - number as usize * CHUNK as usize;
            let zeros = || vec![0; len.min(CHUNK as usize)];
            let chunk = chunks.entry((piece.segment, number)).or_insert_with(zeros);
            chunk[at..at + piece.bytes.len()].copy_from_slice(piece.bytes);
            Ok::<_, Infallible>(())
        };
        while !program.pool.image_step(Budget::Bytes(1), &mut take).unwrap() {
            program.run();
        }
        program.pool.image_end();
        let conf = program.pool.conf();
        let base = (conf.base_key, Length(segments[0].len as u64));
        let info = SetInfo::new("crash", conf.backend, base, &conf.shm_keys, conf.block_size);
        let writer = SetWriter::begin(shelf, info, Compression::None, parent).unwrap();
        for ((segment, number), bytes) in &chunks {
            writer.chunk(*segment, *number as u32, bytes).unwrap();
        }
        (writer.finish().unwrap(), expected)
    }

    #[test]
    fn a_set_of_an_image_is_the_pool_at_its_beginning() {
        std::panic::set_hook(Box::new(|what| {
            if what.payload().downcast_ref::<()>().is_none() {
                eprintln!("{what}");
            }
        }));
        let (keys, shelf) = (Keys::take(8), tempfile::tempdir().unwrap());
        let conf = keys.conf(BackendKind::Heap, 1 << 20, 3);
        let mut program = Program::new(MemoryPoolMgr::open(&conf).unwrap(), 1);
        let segments = image::find_heap(&conf);
        let mut last: Option<Set> = None;
        for round in 0..6 {
            (0..60).for_each(|_| program.run());
            let (set, expected) = save(&mut program, &segments, shelf.path(), last.as_ref());
            let same = Bytes::of_set(set.path(), &segments).compare(&expected);
            assert!(same.is_ok(), "round {round}: {}", same.unwrap_err());
            last = Some(set);
        }
        program.pool.destroy().unwrap();
    }

    /// About as large as a page.
    #[repr(C)]
    #[derive(Clone, Copy, PoolObject)]
    #[pool(id = 1)]
    struct Wide {
        words: [u64; 500],
    }

    /// So many that several threads copy them.
    const MANY: usize = 1500;

    #[test]
    fn pages_that_change_often_are_kept_together_and_changed_pages_are_those_that_have_changed() {
        let keys = Keys::take(8);
        let mut pool = MemoryPoolMgr::open(&keys.conf(BackendKind::Heap, 8 << 20, 2)).unwrap();
        pool.add_type::<Wide>().unwrap();
        let ids: Vec<_> = (0..MANY).map(|_| pool.alloc(Wide { words: [0; 500] }).unwrap()).collect();
        let segments = image::find_heap(pool.conf());
        let mut found = Bytes::zeros(&segments);
        pool.image_track();
        for round in 0..6 {
            let change = |pool: &mut MemoryPoolMgr, every: usize, to: u64| {
                ids.iter().step_by(every).for_each(|id| pool.get_mut(*id).unwrap().words = [to; 500]);
            };
            change(&mut pool, 1, round * 10 + 1);
            let expected = Bytes::of(&segments);
            pool.image_begin(round % 3 != 0, true);
            // A reader with no time gets nothing, and all that will probably change is kept.
            assert!(pool.image_step(Budget::Time(Duration::from_secs(60)), |_| Err(())).is_err());
            assert!(pool.image_kept() as usize >= MANY * 4000, "{}", pool.image_kept());
            change(&mut pool, 2, round * 10 + 2);
            while !pool.image_step(Budget::Bytes(1), |piece| found.take(piece)).unwrap() {
                change(&mut pool, 3, round * 10 + 3);
            }
            pool.image_end();
            assert_eq!(found.compare(&expected), Ok(()), "round {round}");
            change(&mut pool, 7, round * 10 + 4);
            let expected = Bytes::of(&segments);
            pool.image_begin(true, true);
            while !pool.image_step(Budget::Bytes(1), |piece| found.take(piece)).unwrap() {}
            pool.image_end();
            assert_eq!(found.compare(&expected), Ok(()), "what has changed in round {round}");
        }
        pool.destroy().unwrap();
    }

    /// Gives all of an image that was begun, and ends it.
    fn rest(pool: &mut MemoryPoolMgr, found: &mut Bytes) {
        while !pool.image_step(Budget::Bytes(1), |piece| found.take(piece)).unwrap() {}
        pool.image_end();
    }

    /// The slot at hand was told to the barrier when its object was freed, and is written much later.
    #[test]
    fn a_slot_at_hand_is_written_after_its_pages_were_given_and_the_next_image_has_it() {
        let keys = Keys::take(8);
        let mut pool = MemoryPoolMgr::open(&keys.conf(BackendKind::Heap, 2 << 20, 2)).unwrap();
        pool.add_type::<Wide>().unwrap();
        let wide = |word| Wide { words: [word; 500] };
        let mut ids: Vec<_> = (0..600).map(|_| pool.alloc(wide(1)).unwrap()).collect();
        let segments = image::find_heap(pool.conf());
        let mut found = Bytes::zeros(&segments);
        pool.image_begin(false, true);
        rest(&mut pool, &mut found);
        // Of so many that follow each other, one lies in two chunks.
        for (number, allocs) in (0..140).map(|number| (number, true)).chain([(7, false), (300, false)]) {
            // It needs every page, so that the freed slot is kept, given and compared.
            pool.image_begin(false, true);
            assert!(pool.free(ids[number]));
            while !pool.image_step(Budget::Bytes(1), |piece| found.take(piece)).unwrap() {}
            match allocs {
                true => ids[number] = pool.alloc(wide(number as u64 + 10)).unwrap(),
                // The bit of the one, far from the other, goes back to the map.
                false => assert!(pool.free(ids[599])),
            }
            pool.image_end();
            let expected = Bytes::of(&segments);
            pool.image_begin(true, true);
            rest(&mut pool, &mut found);
            assert_eq!(found.compare(&expected), Ok(()), "round {number}");
            if !allocs {
                ids[number] = pool.alloc(wide(2)).unwrap();
                ids[599] = pool.alloc(wide(3)).unwrap();
            }
        }
        pool.destroy().unwrap();
    }
}
