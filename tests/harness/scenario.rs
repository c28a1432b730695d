//! The operations that are killed, each with the pool it begins with.

use super::content::{Content, Keyed, Late, Plain, Worn, add_types, words};
use super::image::{Image, IndexLens};
use super::judge::{Expected, Leaves, named};
use super::keys::Keys;
use hotpool::conf::{BackendKind, OnCrashLoop, OnTorn, ProcessConf, ResumeConf};
use hotpool::pool::{Budget, LastEnd};
use hotpool::{Id, MemoryPoolMgr, PoolObject, Tx, TxError};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// What an operation is given.
#[derive(Clone, Default)]
pub struct World {
    pub plain: Vec<Id<Plain>>,
    pub keyed: Vec<Id<Keyed>>,
    pub worn: Vec<Id<Worn>>,
    /// The user key that the operation uses.
    pub key: u64,
    /// Handles that were freed.
    pub dead: Vec<u64>,
    /// The bytes that the operation begins with, if they are not those at the end of the build.
    pub snapshot: Option<Rc<Image>>,
}

pub type Build = fn(&mut MemoryPoolMgr, &mut World);
type Warm = fn(&mut MemoryPoolMgr, &mut World);
type Run = fn(&mut Option<MemoryPoolMgr>, &World);

/// The operation to kill.
#[derive(Clone, Copy)]
pub enum What {
    /// An operation on a pool that this process has opened and used before.
    Call(Warm, Run),
    /// An operation that ends with a panic, which drops the pool.
    Panic(Warm, fn(&mut MemoryPoolMgr, &World)),
    /// The open of a pool that a process has left.
    Open(Left),
    /// The open of a pool that does not exist.
    Cold,
}

/// How a process has left a pool.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Closed,
    Dropped,
    Died,
    /// Dropped; the next owner then gave up the last block, which was empty.
    GaveUp,
}

pub struct Scenario {
    pub name: &'static str,
    pub block_bytes: u64,
    pub blocks: u32,
    /// Number of blocks that the ini names in addition when the pool is opened again.
    pub more_blocks: u32,
    pub build: Build,
    pub what: What,
    pub leaves: Leaves,
    /// Changes the ini when the pool is opened again.
    pub tune: fn(&mut ProcessConf),
    /// Whether it is killed in a child. The others are only resumed from images, because they are
    /// long and enter the kernel where a similar scenario does.
    pub real: bool,
}

const fn call(name: &'static str, build: Build, warm: Warm, run: Run) -> Scenario {
    let what = What::Call(warm, run);
    Scenario {
        name,
        block_bytes: 128 << 10,
        blocks: 2,
        more_blocks: 0,
        build,
        what,
        leaves: Leaves::Either,
        tune: |_| (),
        real: true,
    }
}

const fn opens(name: &'static str, build: Build, left: Left) -> Scenario {
    Scenario { blocks: 1, what: What::Open(left), leaves: Leaves::Done, ..call(name, build, cold, nothing) }
}

/// An open with other ini settings, of a pool whose owner died. It is only resumed from images.
const fn tuned(name: &'static str, build: Build, tune: fn(&mut ProcessConf)) -> Scenario {
    Scenario { tune, real: false, ..opens(name, build, Left::Died) }
}

/// An operation whose closure panics. It is only resumed from images, because unwinding is long.
const fn panics(name: &'static str, build: Build, run: fn(&mut MemoryPoolMgr, &World)) -> Scenario {
    let what = What::Panic(cold, run);
    Scenario { what, real: false, leaves: Leaves::Torn, ..call(name, build, cold, nothing) }
}

const fn writing(scenario: Scenario) -> Scenario {
    Scenario { leaves: Leaves::HalfWritten, ..scenario }
}

/// A scenario that is only resumed from images.
const fn images(scenario: Scenario) -> Scenario {
    Scenario { real: false, ..scenario }
}

const fn large(scenario: Scenario) -> Scenario {
    Scenario { block_bytes: 256 << 10, blocks: 1, ..scenario }
}

/// All scenarios.
pub const ALL: &[Scenario] = &[
    call("alloc, the first of its type", empty, cold, |p, _| alloc(p)),
    call("alloc", few, warm, |p, _| alloc(p)),
    call("alloc, the first after an open", few, cold, |p, _| alloc(p)),
    call("alloc into a hole", holes, cold, |p, _| alloc(p)),
    call("alloc of the slot at hand", few, frees, |p, _| alloc(p)),
    call("alloc_keyed of the slot at hand", few, frees, alloc_keyed),
    call("alloc that fills a word of the map", |p, w| some(p, w, 62), warm, |p, _| alloc(p)),
    call("alloc after a full word", |p, w| some(p, w, 64), cold, |p, _| alloc(p)),
    call("alloc that needs a new extent", |p, w| some(p, w, 127), warm, |p, _| alloc(p)),
    call("alloc that goes to the next block", |p, w| some(p, w, 7 * 128 - 1), warm, |p, _| alloc(p)),
    call("alloc_keyed, the first of its type", empty, cold, alloc_keyed),
    call("alloc_keyed", few, warm, alloc_keyed),
    large(call("alloc_keyed into a second group", |p, w| search(p, w, 1200, spills_far), cold, alloc_keyed)),
    large(call(
        "alloc_keyed that moves an entry away",
        |p, w| search(p, w, 1230, moves_away),
        cold,
        alloc_keyed,
    )),
    large(call(
        "alloc_keyed that moves an entry home",
        |p, w| search(p, w, 1230, moves_home),
        cold,
        alloc_keyed,
    )),
    large(call("alloc_keyed that splits groups", splitting, cold, alloc_keyed)),
    large(call(
        "alloc_keyed that splits a group with overflow",
        |p, w| search(p, w, 300, splits_overflow),
        cold,
        alloc_keyed,
    )),
    large(call("alloc_keyed, more splits", splitting, splits, alloc_keyed)),
    call("force_get, found", few, cold, |p, w| force_get(p, w, 3)),
    call("force_get, not found", few, cold, |p, w| force_get(p, w, w.key)),
    call("free", few, cold, |p, w| free(p, w, 2)),
    call("free, warm", few, warm, |p, w| free(p, w, 2)),
    call("free in a full word", |p, w| some(p, w, 100), warm, |p, w| free(p, w, 3)),
    call("free in a full extent", |p, w| some(p, w, 127), fill_extent, |p, w| free(p, w, 70)),
    call("free in an extent that was found full", |p, w| some(p, w, 300), cold, |p, w| free(p, w, 70)),
    call("free with another slot at hand", few, frees, |p, w| free(p, w, 2)),
    call("free with one at hand in a full extent", |p, w| some(p, w, 300), frees, |p, w| free(p, w, 70)),
    call("free with one at hand left by an earlier owner", holes, cold, |p, w| free(p, w, 2)),
    call("free in the last generation with one at hand", few, frees, |p, w| {
        assert!(pool(p).free(w.worn[1]));
    }),
    call("free, keyed", few, cold, |p, w| free_keyed(p, w, 1)),
    large(call(
        "free, keyed, in its second group",
        |p, w| search(p, w, 1200, spills_far),
        add_key,
        |p, w| free_key(p, w.key),
    )),
    call("free in the last generation", few, cold, |p, w| {
        assert!(pool(p).free(w.worn[1]));
    }),
    call("free_by_key", few, cold, |p, _| free_key(p, 2)),
    call("reclaim", |p, w| emptied(p, w, 40), cold, |p, _| reclaim(p)),
    call("reclaim, several extents around one", |p, w| emptied(p, w, 500), cold, |p, _| reclaim(p)),
    call("reclaim with a slot at hand", |p, w| emptied(p, w, 40), frees_last, |p, _| reclaim(p)),
    call("alloc into a hollow extent", hollow, cold, |p, _| alloc(p)),
    call("alloc into a hollow extent, after a reclaim", hollow, reclaims, |p, _| alloc(p)),
    writing(call("get_mut", few, cold, |p, w| {
        let mut object = pool(p).get_mut(w.plain[1]).unwrap();
        object.words = words(91);
    })),
    writing(call("get_mut, twice in a row", few, warm, |p, w| {
        pool(p).get_mut(w.plain[1]).unwrap().words[3] = 95;
        pool(p).get_mut(w.plain[2]).unwrap().words[0] = 96;
    })),
    writing(call("get_several_mut", few, cold, |p, w| {
        let [mut a, mut b] = pool(p).get_several_mut([w.plain[0], w.plain[3]]).unwrap();
        a.words[0] = 81;
        b.words[3] = 82;
        a.words[1] = 83;
    })),
    writing(call("views_mut", few, cold, |p, w| {
        let (mut plain, mut keyed) = pool(p).views_mut::<(Plain, Keyed)>();
        let (mut a, mut b) = (plain.get_mut(w.plain[0]).unwrap(), keyed.get_mut(w.keyed[1]).unwrap());
        a.words[2] = 71;
        b.words[2] = 72;
    })),
    writing(call("iter_mut", few, cold, |p, _| {
        for (_, mut object) in pool(p).iter_mut::<Plain>().take(3) {
            object.words[1] = 61;
            object.words[2] = 62;
        }
    })),
    writing(call("for_each", few, cold, |p, _| pool(p).for_each::<Keyed>(|_, object| object.words[0] += 50))),
    writing(call("sweep", few, cold, |p, _| {
        let mut sweep = hotpool::pool::Sweep(1);
        pool(p).sweep::<Plain>(&mut sweep, 2, |_, object| object.words[0] = 51);
    })),
    call("update", few, cold, |p, w| pool(p).update(w.plain[1], |object| object.words = words(201)).unwrap()),
    call("update, keyed and warm", few, warm, |p, w| {
        pool(p).update(w.keyed[1], |object| object.words[12] = 202).unwrap();
    }),
    call("update that fails", few, cold, |p, w| {
        let failed: Result<(), TxError> = pool(p).try_update(w.plain[1], |object| {
            object.words = words(203);
            Err(TxError::TooLarge { capacity: 0, undo_size: 0, needs: 0 })
        });
        assert!(failed.is_err());
    }),
    call("tx over two objects, with a tag", few, cold, |p, w| {
        let done: Result<(), TxError> = pool(p).tx(|tx| {
            tx.get_mut(w.plain[0])?.words[0] = 211;
            tx.get_mut(w.keyed[0])?.words[5] = 212;
            tx.get_mut(w.plain[0])?.words[13] = 213;
            tx.commit_with(99)
        });
        done.unwrap();
    }),
    call("tx that makes, changes and frees", few, cold, |p, w| {
        let done: Result<(), TxError> = pool(p).tx(|tx| {
            let made = tx.alloc(Plain { words: words(221) })?;
            tx.get_mut(made)?.words[3] = 222;
            tx.free(w.plain[2])?;
            tx.free(w.worn[1])?;
            tx.commit_with(100)
        });
        done.unwrap();
    }),
    call("tx that gives a key to another object", few, cold, |p, w| {
        let done: Result<(), TxError> = pool(p).tx(|tx| {
            tx.get_mut(w.keyed[2])?.words[0] = 231;
            tx.free(w.keyed[2])?;
            tx.alloc_keyed(2, Keyed { words: words(232) })?;
            tx.free(w.keyed[3])
        });
        done.unwrap();
    }),
    call("tx that is rolled back", few, cold, |p, w| {
        let failed: Result<(), TxError> = pool(p).tx(|tx| {
            tx.get_mut(w.plain[0])?.words = words(241);
            let made = tx.alloc_keyed(900, Keyed { words: words(242) })?;
            tx.get_mut(made)?.words[0] = 243;
            tx.alloc_keyed(901, Worn { words: words(244) })?;
            tx.free(w.plain[1])?;
            tx.commit_with(101)?;
            Err(TxError::Stale(w.plain[1].handle()))
        });
        assert!(failed.is_err());
    }),
    call(
        "tx that makes objects with keys in a new extent",
        |p, w| keyed(p, w, 126),
        cold,
        |p, w| {
            pool(p).tx(|tx| tx_keyed(tx, w, 5)).unwrap();
        },
    ),
    call(
        "tx that makes objects with keys in a new extent, rolled back",
        |p, w| keyed(p, w, 126),
        cold,
        |p, w| {
            assert!(
                pool(p)
                    .tx(|tx| tx_keyed(tx, w, 5).and(Err::<(), _>(TxError::Stale(w.keyed[0].handle()))))
                    .is_err()
            );
        },
    ),
    large(call("tx that splits the index", splitting, cold, |p, w| {
        pool(p).tx(|tx| tx_keyed(tx, w, 3)).unwrap();
    })),
    Scenario {
        real: false,
        ..large(call("tx that splits the index, rolled back", splitting, cold, |p, w| {
            assert!(
                pool(p)
                    .tx(|tx| tx_keyed(tx, w, 3).and(Err::<(), _>(TxError::Stale(w.keyed[0].handle()))))
                    .is_err()
            );
        }))
    },
    Scenario {
        real: false,
        ..call(
            "tx over three pages of its log",
            |p, w| some(p, w, 90),
            cold,
            |p, w| {
                pool(p).tx(|tx| tx_many(tx, w)).unwrap();
            },
        )
    },
    Scenario {
        real: false,
        ..call(
            "tx over three pages of its log, rolled back",
            |p, w| some(p, w, 90),
            cold,
            |p, w| {
                assert!(
                    pool(p)
                        .tx(|tx| tx_many(tx, w).and(Err::<(), _>(TxError::Stale(w.plain[0].handle()))))
                        .is_err()
                );
            },
        )
    },
    call("threads, updates in two lanes, the outer fails", few, lanes, |p, w| {
        let (a, b) = (w.plain[1], w.keyed[2]);
        let _ = pool(p).scope::<(Plain, Keyed), _>(|s, (mut plain, mut keyed)| {
            let (mut outer, mut inner) = (s.lane(), s.lane());
            let failed: Result<(), TxError> = plain.try_update(&mut outer, a, |object| {
                object.words = words(401);
                keyed.update(&mut inner, b, |object| object.words = words(402)).unwrap();
                object.words[3] = 403;
                Err(TxError::Stale(a.handle()))
            });
            assert!(failed.is_err());
        });
    }),
    call("threads, updates in two lanes, the inner fails", few, lanes, |p, w| {
        let (a, b) = (w.plain[1], w.keyed[2]);
        let _ = pool(p).scope::<(Plain, Keyed), _>(|s, (mut plain, mut keyed)| {
            let (mut outer, mut inner) = (s.lane(), s.lane());
            plain
                .update(&mut outer, a, |object| {
                    object.words[1] = 404;
                    let failed: Result<(), TxError> = keyed.try_update(&mut inner, b, |object| {
                        object.words = words(405);
                        Err(TxError::Stale(b.handle()))
                    });
                    assert!(failed.is_err());
                    object.words[3] = 406;
                })
                .unwrap();
        });
    }),
    call(
        "threads, an update after a long transaction",
        |p, w| some(p, w, 90),
        fills_log,
        |p, w| {
            let a = w.plain[1];
            let _ = pool(p).scope::<(Plain,), _>(|s, (mut plain,)| {
                plain.update(&mut s.lane(), a, |object| object.words = words(407)).unwrap();
            });
        },
    ),
    writing(call("threads, a walk and a guard in two lanes", few, lanes, |p, w| {
        let last = w.plain[3];
        let _ = pool(p).scope::<(Plain, Keyed), _>(|s, (mut plain, mut keyed)| {
            let mut lane = s.lane();
            plain.for_each(|id, object| {
                object.words[0] += 50;
                if id == last {
                    let mut other = keyed.get_mut(&mut lane, w.keyed[1]).unwrap();
                    other.words[2] = 408;
                    other.words[4] = 409;
                }
                object.words[1] += 50;
            });
        });
    })),
    call("threads, a command that makes an object with a key", few, one_thread, |p, w| {
        let key = w.key;
        let done = pool(p).scope::<(Plain,), _>(|s, (plain,)| {
            s.spawn(move |lane| {
                drop(plain);
                lane.alloc_keyed(key, Keyed { words: words(410) });
            });
        });
        assert!(done.refused.is_empty());
    }),
    panics("threads, a guard in a lane, panics", few, |p, w| {
        p.set_threads(1);
        let a = w.plain[1];
        let _ = p.scope::<(Plain,), _>(|s, (mut plain,)| {
            s.spawn(move |lane| {
                let mut object = plain.get_mut(lane, a).unwrap();
                object.words[0] = 411;
                object.words[5] = 412;
                resume_unwind(Box::new(()));
            });
        });
    }),
    panics("threads, a walk, panics", few, |p, w| {
        p.set_threads(1);
        let last = w.keyed[2];
        p.par_for_each::<Keyed>(|id, object| {
            if id == last {
                object.words[0] += 50;
                resume_unwind(Box::new(()));
            }
        });
    }),
    Scenario {
        leaves: Leaves::Either,
        ..panics("threads, an update, panics", few, |p, w| {
            p.set_threads(1);
            let a = w.plain[1];
            let _ = p.scope::<(Plain,), _>(|s, (mut plain,)| {
                s.spawn(move |lane| {
                    let _ = plain.update(lane, a, |object| {
                        object.words = words(413);
                        resume_unwind(Box::new(()));
                    });
                });
            });
        })
    },
    panics("get_mut, panics", few, |p, w| {
        let mut object = p.get_mut(w.plain[1]).unwrap();
        object.words[0] = 301;
        object.words[5] = 302;
        resume_unwind(Box::new(()));
    }),
    panics("get_several_mut, panics", few, |p, w| {
        let [mut a, mut b] = p.get_several_mut([w.plain[0], w.plain[3]]).unwrap();
        a.words[0] = 303;
        b.words[3] = 304;
        resume_unwind(Box::new(()));
    }),
    panics("views_mut, panics", few, |p, w| {
        let (mut plain, mut keyed) = p.views_mut::<(Plain, Keyed)>();
        let (mut a, mut b) = (plain.get_mut(w.plain[0]).unwrap(), keyed.get_mut(w.keyed[1]).unwrap());
        a.words[2] = 305;
        b.words[2] = 306;
        resume_unwind(Box::new(()));
    }),
    panics("for_each, panics", few, |p, w| {
        let last = w.keyed[2];
        p.for_each::<Keyed>(|id, object| {
            if id == last {
                object.words[0] += 50;
                resume_unwind(Box::new(()));
            }
        });
    }),
    panics("iter_mut, panics", few, |p, w| {
        for (id, mut object) in p.iter_mut::<Plain>() {
            if id == w.plain[2] {
                object.words[1] = 307;
                resume_unwind(Box::new(()));
            }
        }
    }),
    panics("sweep, panics", few, |p, w| {
        let mut sweep = hotpool::pool::Sweep(1);
        p.sweep::<Plain>(&mut sweep, 3, |id, object| {
            if id == w.plain[2] {
                object.words[0] = 308;
                resume_unwind(Box::new(()));
            }
        });
    }),
    Scenario {
        leaves: Leaves::Either,
        ..panics("tx, panics", few, |p, w| {
            let _: Result<(), TxError> = p.tx(|tx| {
                tx.get_mut(w.plain[0])?.words = words(309);
                tx.alloc_keyed(900, Keyed { words: words(310) })?;
                tx.free(w.plain[2])?;
                tx.commit_with(9)?;
                resume_unwind(Box::new(()));
            });
        })
    },
    Scenario {
        leaves: Leaves::Either,
        ..panics("update, panics", few, |p, w| {
            let _ = p.update(w.keyed[1], |object| {
                object.words = words(311);
                resume_unwind(Box::new(()));
            });
        })
    },
    Scenario { real: false, ..call("alloc with suspects of an earlier owner", torn, cold, |p, _| alloc(p)) },
    call("quarantine with suspects of an earlier owner", torn, cold, |p, w| {
        pool(p).quarantine(w.plain[1].handle()).unwrap();
    }),
    call("quarantine", few, cold, |p, w| pool(p).quarantine(w.plain[1].handle()).unwrap()),
    call("quarantine, keyed", few, warm, |p, w| pool(p).quarantine(w.keyed[1].handle()).unwrap()),
    call("release", parked, cold, |p, w| pool(p).release(w.plain[1].handle()).unwrap()),
    call("release, keyed", parked, cold, |p, w| pool(p).release(w.keyed[1].handle()).unwrap()),
    call("drop_quarantined", parked, cold, |p, w| pool(p).drop_quarantined(w.plain[1].handle()).unwrap()),
    call("drop_quarantined, keyed", parked, cold, |p, w| {
        pool(p).drop_quarantined(w.keyed[1].handle()).unwrap()
    }),
    call("drop_quarantined in the last generation", parked, cold, |p, w| {
        pool(p).drop_quarantined(w.worn[1].handle()).unwrap();
    }),
    images(call("while an image is taken: begin another", few, warm, |p, _| {
        _ = pool(p).image_begin(false, true)
    })),
    call("while an image is taken: step", few, begins, |p, _| steps(p)),
    call("while an image is taken: end", few, gives, |p, _| pool(p).image_end()),
    call("while an image is taken: alloc", few, begins, |p, _| alloc(p)),
    call("while an image is taken: alloc of the slot at hand", few, frees_and_begins, |p, _| alloc(p)),
    call("while an image is taken: alloc_keyed", few, begins, alloc_keyed),
    images(large(call("while an image is taken: alloc_keyed that splits", splitting, begins, alloc_keyed))),
    call("while an image is taken: free", few, begins, |p, w| free(p, w, 2)),
    call("while an image is taken: free with another slot at hand", few, frees_and_begins, |p, w| {
        free(p, w, 2);
    }),
    call("while an image is taken: free_by_key", few, begins, |p, _| free_key(p, 2)),
    images(call("while an image is taken: reclaim", |p, w| emptied(p, w, 40), begins, |p, _| reclaim(p))),
    images(call("while an image is taken: alloc into a hollow extent", hollow, begins, |p, _| alloc(p))),
    call("while an image is taken: update", few, begins, |p, w| {
        pool(p).update(w.plain[1], |object| object.words = words(321)).unwrap();
    }),
    call("while an image is taken: tx", few, frees_and_begins, |p, w| {
        let done: Result<(), TxError> = pool(p).tx(|tx| {
            tx.get_mut(w.plain[3])?.words[0] = 322;
            let made = tx.alloc(Plain { words: words(323) })?;
            tx.get_mut(made)?.words[3] = 324;
            tx.free(w.plain[2])
        });
        done.unwrap();
    }),
    writing(call("while an image is taken: for_each", few, begins, |p, _| {
        pool(p).for_each::<Keyed>(|_, object| object.words[0] += 50);
    })),
    call("while an image is taken: quarantine", few, begins, |p, w| {
        pool(p).quarantine(w.plain[1].handle()).unwrap();
    }),
    call("note", few, cold, |p, w| pool(p).note(w.plain.len() as u32, 1, 2)),
    call("add_type, new", few, cold, |p, _| pool(p).add_type::<Late>().unwrap()),
    call("add_type, again", few, cold, |p, _| pool(p).add_type::<Plain>().unwrap()),
    Scenario { leaves: Leaves::Forgotten, ..call("ready", few, cold, |p, _| pool(p).ready().unwrap()) },
    Scenario {
        leaves: Leaves::Forgotten,
        ..call("ready with suspects of earlier owners", torn, cold, |p, _| pool(p).ready().unwrap())
    },
    call("close with suspects of earlier owners", torn, cold, |p, _| p.take().unwrap().close().unwrap()),
    call("close", few, cold, |p, _| p.take().unwrap().close().unwrap()),
    Scenario {
        leaves: Leaves::Ruins,
        ..call("destroy", few, cold, |p, _| p.take().unwrap().destroy().unwrap())
    },
    Scenario {
        blocks: 1,
        what: What::Cold,
        leaves: Leaves::Nothing,
        ..call("open, cold", empty, cold, nothing)
    },
    Scenario { real: false, ..opens("open, hot, after a close", few, Left::Closed) },
    opens("open, hot, after a death", few, Left::Dropped),
    Scenario { real: false, ..opens("open with objects in quarantine", parked, Left::Died) },
    Scenario { more_blocks: 1, ..opens("open with one more block", few, Left::Closed) },
    Scenario { blocks: 2, ..tuned("open with one block less", few, |conf| _ = conf.shm_keys.pop()) },
    Scenario { blocks: 2, real: false, ..opens("open with a block that was given up", few, Left::GaveUp) },
    Scenario { real: false, ..opens("open with a mark left behind", torn, Left::Dropped) },
    Scenario { real: false, ..opens("open with marks and suspects", torn_twice, Left::Died) },
    tuned("open with OnTorn = quarantine", torn, |conf| conf.resume.on_torn = OnTorn::Quarantine),
    tuned("open with OnTorn = quarantine, some quarantined before", torn_twice, |conf| {
        conf.resume.on_torn = OnTorn::Quarantine;
    }),
    tuned("open with OnCrashLoop = quarantine", torn, |conf| looping(conf, OnCrashLoop::Quarantine)),
    tuned("open with OnCrashLoop = quarantine, by the notes", noted, |conf| {
        looping(conf, OnCrashLoop::Quarantine);
    }),
    Scenario {
        leaves: Leaves::Aside,
        ..tuned("open with OnCrashLoop = cold", torn, |conf| looping(conf, OnCrashLoop::Cold))
    },
];

impl Scenario {
    /// Returns the configuration that builds the pool, and the one that the operation uses.
    pub fn confs(&self, keys: &Keys, backend: BackendKind) -> (ProcessConf, ProcessConf) {
        let built = keys.conf(backend, self.block_bytes, self.blocks);
        let mut conf = keys.conf(backend, self.block_bytes, self.blocks + self.more_blocks);
        (self.tune)(&mut conf);
        (built, conf)
    }

    /// Returns whether it creates or removes segments. Such scenarios have no images.
    pub fn makes_segments(&self) -> bool {
        matches!(self.what, What::Cold) || self.leaves == Leaves::Ruins || self.more_blocks != 0
    }

    /// Builds the pool that the operation begins with, and leaves it as the scenario requires.
    pub fn build(&self, built: &ProcessConf) -> World {
        let mut world = World { key: 0x4b45_5901, ..World::default() };
        if let What::Cold = self.what {
            return world;
        }
        let mut pool = MemoryPoolMgr::open(built).unwrap();
        add_types(&mut pool).unwrap();
        (self.build)(&mut pool, &mut world);
        match self.what {
            What::Open(Left::Closed) => pool.close().unwrap(),
            What::Open(Left::Died) => {
                let left = Image::of_pool(built);
                drop(pool);
                left.restore_pool(built);
            }
            What::Open(Left::GaveUp) => {
                drop(pool);
                let mut fewer = built.clone();
                fewer.shm_keys.pop();
                drop(MemoryPoolMgr::open(&fewer).unwrap());
            }
            _ => drop(pool),
        }
        if let Some(snapshot) = &world.snapshot {
            snapshot.restore_pool(built);
        }
        world
    }

    /// Opens the pool and does what precedes the operation.
    pub fn warm(&self, conf: &ProcessConf, world: &World) -> (Option<MemoryPoolMgr>, World) {
        let mut world = world.clone();
        let (What::Call(warm, _) | What::Panic(warm, _)) = self.what else { return (None, world) };
        let mut pool = MemoryPoolMgr::open(conf).unwrap();
        add_types(&mut pool).unwrap();
        warm(&mut pool, &mut world);
        (Some(pool), world)
    }

    /// Runs the operation that is killed.
    #[inline(always)]
    pub fn run(&self, pool: &mut Option<MemoryPoolMgr>, conf: &ProcessConf, world: &World) {
        match self.what {
            What::Call(_, run) => run(pool, world),
            What::Panic(_, run) => {
                let mut pool = pool.take().expect("the operation needs a pool");
                let unwound = catch_unwind(AssertUnwindSafe(move || {
                    run(&mut pool, world);
                    drop(pool);
                }));
                assert!(unwound.is_err(), "the operation did not panic");
            }
            What::Open(_) | What::Cold => *pool = Some(MemoryPoolMgr::open(conf).unwrap()),
        }
    }

    /// Returns the expected states before and after the operation. The pool is used up; `restore`
    /// brings back the bytes it begins with.
    pub fn around(
        &self,
        built: &ProcessConf,
        conf: &ProcessConf,
        world: &World,
        restore: &dyn Fn(),
    ) -> Expected {
        let mut expected = Expected { leaves: self.leaves, dead: world.dead.clone(), ..Expected::default() };
        if let What::Cold = self.what {
            return expected;
        }
        let open = |conf| {
            let mut pool = MemoryPoolMgr::open(conf).unwrap();
            add_types(&mut pool).unwrap();
            pool
        };
        if let What::Open(_) = self.what {
            // The state before is read with default settings.
            let plain = conf.clone().resume(ResumeConf::default());
            let pool = open(if self.more_blocks == 0 { &plain } else { built });
            expected.before = Content::read(&pool).unwrap();
            expected.suspects = named(pool.resume_report());
            expected.epoch = pool.epoch() - 1;
            expected.ends = vec![pool.resume_report().last_end];
            drop(pool);
            restore();
            let pool = open(if self.more_blocks == 0 { conf } else { built });
            expected.after = Content::read(&pool).unwrap();
            return expected;
        }
        let (mut pool, world) = self.warm(conf, world);
        let before = pool.as_ref().expect("a call has an open pool");
        expected.before = Content::read(before).unwrap();
        expected.suspects = named(before.resume_report());
        expected.epoch = before.epoch();
        self.run(&mut pool, conf, &world);
        if self.leaves == Leaves::Forgotten {
            expected.ends.push(LastEnd::Died { was_ready: true });
        } else if pool.is_none() && matches!(self.what, What::Call(..)) {
            expected.ends.extend([LastEnd::Closed, LastEnd::Left { was_ready: false }]);
        }
        expected.after = match (&pool, self.what) {
            (Some(pool), _) => Content::read(pool).unwrap(),
            (None, What::Panic(..)) => Content::read(&open(conf)).unwrap(),
            (None, _) => expected.before.clone(),
        };
        expected
    }
}

fn pool(pool: &mut Option<MemoryPoolMgr>) -> &mut MemoryPoolMgr {
    pool.as_mut().expect("the operation needs a pool")
}

fn nothing(_: &mut Option<MemoryPoolMgr>, _: &World) {}

fn cold(_: &mut MemoryPoolMgr, _: &mut World) {}

/// Divides the undo log among two threads.
///
/// A thread is created for the first job of a pool with two. The scenarios have one process with one
/// thread, which takes both lanes, or does the job itself.
fn lanes(pool: &mut MemoryPoolMgr, _: &mut World) {
    pool.set_threads(2);
}

fn one_thread(pool: &mut MemoryPoolMgr, _: &mut World) {
    pool.set_threads(1);
}

/// Leaves old bytes where the undo log of the second lane will begin.
fn fills_log(pool: &mut MemoryPoolMgr, world: &mut World) {
    pool.set_threads(32);
    let ids = world.plain.clone();
    let changed: Result<(), TxError> = pool
        .tx(|tx| ids.iter().try_for_each(|id| tx.get_mut(*id).map(|object| object.words[13] = id.to_bits())));
    changed.unwrap();
}

fn empty(_: &mut MemoryPoolMgr, _: &mut World) {}

/// Makes the process cache the current map word.
fn warm(pool: &mut MemoryPoolMgr, world: &mut World) {
    world.plain.push(pool.alloc(Plain { words: words(7) }).unwrap());
    let id = pool.alloc_keyed(777, Keyed { words: words(8) }).unwrap();
    world.keyed.push(id);
}

/// Begins an image.
fn begins(pool: &mut MemoryPoolMgr, _: &mut World) {
    assert!(pool.image_begin(false, true));
}

fn frees_and_begins(pool: &mut MemoryPoolMgr, world: &mut World) {
    frees(pool, world);
    begins(pool, world);
}

/// Begins an image and gives all of it.
fn gives(pool: &mut MemoryPoolMgr, world: &mut World) {
    begins(pool, world);
    while !pool.image_step(Budget::Bytes(1 << 20), |_| Ok::<_, Infallible>(())).unwrap() {}
}

/// Gives some of an image, past the base.
fn steps(pool: &mut Option<MemoryPoolMgr>) {
    let pool = self::pool(pool);
    for _ in 0..2 {
        let _ = pool.image_step(Budget::Bytes(4 << 20), |_| Ok::<_, Infallible>(())).unwrap();
    }
}

/// Frees an object of each type, so that each type has a slot at hand.
fn frees(pool: &mut MemoryPoolMgr, world: &mut World) {
    let id = world.plain[1];
    assert!(pool.free(id));
    world.dead.push(id.to_bits());
    if let Some(&id) = world.keyed.first() {
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
    }
    if let Some(&id) = world.worn.first() {
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
    }
}

fn some(pool: &mut MemoryPoolMgr, world: &mut World, count: u64) {
    world.plain = (0..count).map(|n| pool.alloc(Plain { words: words(n) }).unwrap()).collect();
}

pub fn few(pool: &mut MemoryPoolMgr, world: &mut World) {
    some(pool, world, 5);
    world.keyed = (0..5).map(|n| pool.alloc_keyed(n, Keyed { words: words(n) }).unwrap()).collect();
    world.worn = (0..3).map(|n| pool.alloc_keyed(n, Worn { words: words(n) }).unwrap()).collect();
}

/// Puts one object of each type into quarantine.
fn parked(pool: &mut MemoryPoolMgr, world: &mut World) {
    few(pool, world);
    for object in [world.plain[1].handle(), world.keyed[1].handle(), world.worn[1].handle()] {
        pool.quarantine(object).unwrap();
    }
}

/// Frees all objects of a type but one in the middle if there are many, which has two extents before
/// it and one after it.
fn emptied(pool: &mut MemoryPoolMgr, world: &mut World, count: u64) {
    few(pool, world);
    some(pool, world, count);
    for (n, id) in std::mem::take(&mut world.plain).into_iter().enumerate() {
        if n == 300 {
            world.plain.push(id);
            continue;
        }
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
    }
    let rest: Vec<_> =
        pool.iter::<Plain>().map(|(id, _)| id).filter(|id| !world.plain.contains(id)).collect();
    for id in rest {
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
    }
}

/// Leaves extents without memory.
fn hollow(pool: &mut MemoryPoolMgr, world: &mut World) {
    emptied(pool, world, 40);
    assert!(pool.reclaim().unwrap().0 != 0);
}

/// Has a slot of the emptied extent at hand.
fn frees_last(pool: &mut MemoryPoolMgr, world: &mut World) {
    let id = pool.alloc(Plain { words: words(5) }).unwrap();
    assert!(pool.free(id));
    world.dead.push(id.to_bits());
}

fn reclaims(pool: &mut MemoryPoolMgr, _: &mut World) {
    assert_eq!(pool.reclaim().unwrap().0, 0);
}

fn reclaim(pool: &mut Option<MemoryPoolMgr>) {
    let _ = self::pool(pool).reclaim().unwrap();
}

fn holes(pool: &mut MemoryPoolMgr, world: &mut World) {
    some(pool, world, 12);
    for n in [3, 7] {
        let id = world.plain[n];
        assert!(pool.free(id));
        world.dead.push(id.to_bits());
    }
}

/// Fills the extent, and lets the process find it full.
fn fill_extent(pool: &mut MemoryPoolMgr, world: &mut World) {
    for _ in 0..3 {
        warm(pool, world);
        world.keyed.pop();
        pool.free_by_key::<Keyed>(777);
    }
}

/// Leaves the mark on the first object.
pub fn torn(pool: &mut MemoryPoolMgr, world: &mut World) {
    few(pool, world);
    std::mem::forget(pool.get_mut(world.plain[0]));
}

/// Leaves one object torn by an earlier owner and quarantined, and one torn by the last owner. The
/// program has quarantined a third one.
fn torn_twice(pool: &mut MemoryPoolMgr, world: &mut World) {
    torn(pool, world);
    pool.quarantine(world.keyed[2].handle()).unwrap();
    pool.quarantine(world.plain[3].handle()).unwrap();
    std::mem::forget(pool.get_mut(world.keyed[1]));
}

/// Makes the crash loop's candidates the objects that were noted and allocated last.
fn noted(pool: &mut MemoryPoolMgr, world: &mut World) {
    few(pool, world);
    pool.note_object(world.plain[2]);
    world.plain.push(pool.alloc(Plain { words: words(77) }).unwrap());
}

pub fn looping(conf: &mut ProcessConf, policy: OnCrashLoop) {
    conf.resume.max_crash_resumes = 1;
    conf.resume.on_crash_loop = policy;
}

fn keyed(pool: &mut MemoryPoolMgr, world: &mut World, count: u64) {
    world.keyed = (0..count).map(|n| pool.alloc_keyed(n, Keyed { words: words(n) }).unwrap()).collect();
}

/// Allocates keyed objects, writes to them and to an existing one, and gives a key to another
/// object.
fn tx_keyed(tx: &mut Tx<'_>, world: &World, count: u64) -> Result<(), TxError> {
    tx.get_mut(world.keyed[4])?.words[0] = 321;
    for key in 5_000_000..5_000_000 + count {
        let id = tx.alloc_keyed(key, Keyed { words: words(key) })?;
        tx.get_mut(id)?.words[1] = 322;
    }
    let old = world.keyed[5];
    tx.free(old)?;
    tx.alloc_keyed(5, Keyed { words: words(323) })?;
    tx.commit_with(102)
}

/// Writes to all objects, which takes more than one page of the undo log.
fn tx_many(tx: &mut Tx<'_>, world: &World) -> Result<(), TxError> {
    for id in &world.plain {
        let value = id.to_bits();
        tx.get_mut(*id)?.words[13] = value;
    }
    tx.alloc(Plain { words: words(331) })?;
    tx.free(world.plain[7])
}

/// The effect of an insert on an index: its words before and after. `needs` returns whether a key is
/// lost if a word is zero.
struct Insert<'a> {
    before: &'a [u64],
    after: &'a [u64],
    needs: &'a dyn Fn(usize) -> bool,
}

impl Insert<'_> {
    fn changed(&self) -> usize {
        self.before.iter().zip(self.after).filter(|(a, b)| a != b).count()
    }

    /// Counts the groups whose overflow changed in this way.
    fn overflows(&self, how: fn(u64, u64) -> bool) -> usize {
        let words = self.before.iter().zip(self.after).step_by(8);
        words.filter(|(before, after)| how(**before, **after)).count()
    }
}

/// The entry went into its second group, and nothing else changed.
fn spills(insert: &Insert<'_>) -> bool {
    insert.changed() == 2 && insert.overflows(|before, after| after == before + 1) == 1
}

/// The key spills, and the two groups are on different pages: an image notes whole pages.
fn spills_far(insert: &Insert<'_>) -> bool {
    const PAGE_WORDS: usize = 4096 / 8;
    let words = insert.before.iter().zip(insert.after).enumerate();
    let changed: Vec<usize> = words.filter(|(_, (old, new))| old != new).map(|(at, _)| at).collect();
    spills(insert)
        && changed.first().zip(changed.last()).is_some_and(|(one, other)| other - one >= PAGE_WORDS)
}

/// Another entry left its first group to make room.
fn moves_away(insert: &Insert<'_>) -> bool {
    insert.changed() == 3 && insert.overflows(|before, after| after == before + 1) == 1
}

/// Another entry moved back to its first group.
fn moves_home(insert: &Insert<'_>) -> bool {
    insert.overflows(|before, after| after + 1 == before) == 1
}

/// A group was split, some of whose keys were in their second groups.
fn splits_overflow(insert: &Insert<'_>) -> bool {
    let groups = insert.before.chunks_exact(8).zip(insert.after.chunks_exact(8)).enumerate();
    let mut new = groups.filter(|(_, (before, after))| before.iter().all(|word| *word == 0) && after[0] != 0);
    new.any(|(number, _)| (insert.needs)(number * 8))
}

/// Allocates and frees objects with random keys until an insert satisfies `wanted`. The operation
/// begins with the bytes before that insert.
fn search(pool: &mut MemoryPoolMgr, world: &mut World, fill: u64, wanted: fn(&Insert<'_>) -> bool) {
    // Consecutive keys are spread too evenly to fill a group.
    let mut random = fastrand::Rng::with_seed(fill);
    let mut keys: Vec<u64> = Vec::new();
    let lens = IndexLens::new(pool.conf(), u32::from(Keyed::TYPE_ID));
    let most = if fill < 1000 { 1380 } else { fill as usize + 20 };
    for _ in 0..20_000 {
        if keys.len() > most {
            let key = keys.swap_remove(random.usize(..keys.len()));
            world.dead.extend(pool.find::<Keyed>(key).map(Id::to_bits));
            pool.free_by_key::<Keyed>(key);
            continue;
        }
        let key = random.u64(1 << 32..);
        if (keys.len() as u64) < fill {
            pool.alloc_keyed(key, Keyed { words: words(key) }).unwrap();
            keys.push(key);
            continue;
        }
        let (before, start) = (lens.words(), Image::of_pool(pool.conf()));
        pool.alloc_keyed(key, Keyed { words: words(key) }).unwrap();
        let after = lens.words();
        let needs = |number: usize| {
            lens.set(number, 0);
            let lost = keys.iter().any(|key| pool.find::<Keyed>(*key).is_none());
            lens.set(number, after[number]);
            lost
        };
        if after.len() == before.len() && wanted(&Insert { before: &before, after: &after, needs: &needs }) {
            world.key = key;
            world.keyed = keys.iter().filter_map(|key| pool.find(*key)).collect();
            world.snapshot = Some(Rc::new(start));
            world.dead.drain(..world.dead.len().saturating_sub(50));
            return;
        }
        keys.push(key);
    }
    panic!("no insert satisfied `wanted`");
}

/// Fills the index until the next key makes it grow.
fn splitting(pool: &mut MemoryPoolMgr, world: &mut World) {
    for key in 0..1254 {
        world.keyed.push(pool.alloc_keyed(key, Keyed { words: words(key) }).unwrap());
    }
}

fn splits(pool: &mut MemoryPoolMgr, world: &mut World) {
    for key in 1254..1270 {
        world.keyed.push(pool.alloc_keyed(key, Keyed { words: words(key) }).unwrap());
    }
}

fn add_key(pool: &mut MemoryPoolMgr, world: &mut World) {
    world.keyed.push(pool.alloc_keyed(world.key, Keyed { words: words(31) }).unwrap());
}

fn alloc(p: &mut Option<MemoryPoolMgr>) {
    pool(p).alloc(Plain { words: words(41) }).unwrap();
}

fn alloc_keyed(p: &mut Option<MemoryPoolMgr>, world: &World) {
    pool(p).alloc_keyed(world.key, Keyed { words: words(41) }).unwrap();
}

fn force_get(p: &mut Option<MemoryPoolMgr>, _: &World, key: u64) {
    pool(p).force_get(key, Keyed { words: words(45) }).unwrap();
}

fn free(p: &mut Option<MemoryPoolMgr>, world: &World, number: usize) {
    assert!(pool(p).free(world.plain[number]));
}

fn free_keyed(p: &mut Option<MemoryPoolMgr>, world: &World, number: usize) {
    assert!(pool(p).free(world.keyed[number]));
}

fn free_key(p: &mut Option<MemoryPoolMgr>, key: u64) {
    assert!(pool(p).free_by_key::<Keyed>(key));
}
