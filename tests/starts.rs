//! The ring of starts records how each owner of a pool ended.

use hotpool::MemoryPoolMgr;
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::pool::{LastEnd, StartEnd};
use hotpool::units::{Bytes, Key};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn conf(base: u32) -> ProcessConf {
    let mut conf = ProcessConf::new("zone", Key(base), Bytes(64 << 10), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    conf
}

#[test]
fn each_start_records_how_it_ended() {
    let conf = conf(0x7c20_0000);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.ready().unwrap();
    pool.close().unwrap();
    drop(MemoryPoolMgr::open(&conf).unwrap());
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let _pool = MemoryPoolMgr::open(&conf).unwrap();
        std::panic::resume_unwind(Box::new("any panic"));
    }));
    assert!(panics.is_err());
    let pool = MemoryPoolMgr::open(&conf).unwrap();

    let starts = pool.starts();
    let ends: Vec<StartEnd> = starts.iter().map(|start| start.end).collect();
    assert_eq!(ends, [StartEnd::Closed, StartEnd::Dropped, StartEnd::Panicked, StartEnd::Open]);
    let ready: Vec<bool> = starts.iter().map(|start| start.ready.is_some()).collect();
    assert_eq!(ready, [true, false, false, false]);
    let before: Vec<LastEnd> = starts.iter().map(|start| start.before).collect();
    let (left, died) = (LastEnd::Left { was_ready: false }, LastEnd::Died { was_ready: false });
    assert_eq!(before, [LastEnd::None, LastEnd::Closed, left, died]);
    let epochs: Vec<u64> = starts.iter().map(|start| start.epoch).collect();
    assert_eq!(epochs, [1, 2, 3, 4]);
    assert!(starts.iter().all(|start| start.pid == std::process::id()));
    assert!(
        starts
            .windows(2)
            .all(|pair| pair[0].ended.unwrap() >= pair[0].started && pair[0].started <= pair[1].started)
    );
}

#[test]
fn the_ring_keeps_the_last_sixty_four() {
    let conf = conf(0x7c20_0010);
    for _ in 0..130 {
        MemoryPoolMgr::open(&conf).unwrap().close().unwrap();
    }
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    let epochs: Vec<u64> = pool.starts().iter().map(|start| start.epoch).collect();
    assert_eq!(epochs, (68..=131).collect::<Vec<_>>());
    assert!(pool.starts().iter().rev().skip(1).all(|start| start.end == StartEnd::Closed));
}

/// A handler is called at any point of what the thread does.
#[test]
fn a_noted_signal_is_named_and_a_termination_request_is_not_a_crash() {
    let mut conf = conf(0x7c20_0040);
    conf.resume.max_crash_resumes = 2;
    for (signal, crashes) in [(libc::SIGTERM, 0), (libc::SIGSEGV, 1), (libc::SIGINT, 1), (libc::SIGABRT, 2)] {
        let pool = MemoryPoolMgr::open(&conf).unwrap();
        pool.note_signal(signal);
        pool.note_signal(libc::SIGKILL);
        drop(pool);
        match MemoryPoolMgr::open(&conf) {
            Ok(pool) => {
                assert_eq!(pool.starts().iter().rev().nth(1).unwrap().end, StartEnd::Signal(signal as u8));
                assert!(crashes < 2);
            }
            Err(error) => {
                assert!(crashes == 2 && error.to_string().contains("2 owners"), "{error}");
            }
        }
    }
}

#[test]
fn a_dropped_pool_is_distinguished_from_a_death() {
    let conf = conf(0x7c20_0080);
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.ready().unwrap();
    drop(pool);
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    let report = pool.resume_report();
    assert_eq!(report.last_end, LastEnd::Left { was_ready: true });
    assert!(report.to_string().contains(", the last owner left without close, "), "{report}");
    drop(pool);
    let pool = MemoryPoolMgr::open(&conf).unwrap();
    let said = pool.resume_report().to_string();
    assert!(said.contains("left without close before it was ready"), "{said}");
    assert!(matches!(pool.starts()[2].before, LastEnd::Left { was_ready: false }));
}
