//! Two structs with one type number are two types, however alike they are. Every method of the pool
//! finds and changes nothing through the struct that was not added.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::object::{Fingerprint, Schema};
use hotpool::pool::Sweep;
use hotpool::units::{Bytes, Key};
use hotpool::{AllocError, Id, MemoryPoolMgr, PoolError, PoolObject, TxError};
use std::sync::atomic::{AtomicU32, Ordering};

macro_rules! twins {
    ($one:ident $other:ident $id:literal $($keyed:ident)?) => {
        #[repr(C)]
        #[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
        #[pool(id = $id, name = "purse" $(, $keyed)?)]
        struct $one {
            gold: u64,
        }

        /// The low ten bits of its fingerprint equal those of the other struct.
        #[repr(C)]
        #[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
        #[pool(id = $id, name = "purse" $(, $keyed)?)]
        struct $other {
            gold_830: u64,
        }
    };
}

twins!(Purse Alike 1);
twins!(KeyedPurse KeyedAlike 1 keyed);

mod same {
    use super::*;

    /// A struct with the same fields, and therefore the same fingerprint.
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable, PoolObject, PartialEq, Debug)]
    #[pool(id = 1, name = "purse")]
    pub(crate) struct Purse {
        pub(crate) gold: u64,
    }
}

fn open() -> MemoryPoolMgr {
    static NEXT: AtomicU32 = AtomicU32::new(0x7d8f_0000);
    let base = NEXT.fetch_add(64, Ordering::Relaxed);
    let mut conf = ProcessConf::new("twins", Key(base), Bytes(1 << 20), &[Key(base + 1)]);
    conf.backend = BackendKind::Heap;
    MemoryPoolMgr::open(&conf).unwrap()
}

/// Returns the fingerprint of a struct with one `u64` field of this name.
fn fingerprint(name: &'static str) -> u64 {
    Fingerprint::of_struct(&[hotpool::object::Field { name, ..Purse::FIELDS[0] }], 8)
}

#[test]
fn the_twins_agree_in_stride_and_in_ten_bits_of_the_fingerprint() {
    let names = (0..).map(|number| &*format!("gold_{number}").leak());
    let found = names.clone().find(|name| (fingerprint(name) ^ Purse::FINGERPRINT) & 0x3ff == 0);
    assert_eq!(found, Some("gold_830"));
    assert_eq!((fingerprint("gold"), fingerprint("gold_830")), (Purse::FINGERPRINT, Alike::FINGERPRINT));
    assert_ne!(Purse::FINGERPRINT, Alike::FINGERPRINT);
    assert_eq!(Purse::FINGERPRINT, same::Purse::FINGERPRINT);
}

/// Calls every method with a type that was not added, and with the handle of an object of its twin.
fn nothing_is_there<T: PoolObject + Zeroable + PartialEq + std::fmt::Debug>(
    pool: &mut MemoryPoolMgr,
    object: hotpool::Handle,
) {
    let not_added = || TxError::Alloc(AllocError::NotAdded("purse"));
    let id: Id<T> = object.typed().unwrap();
    assert_eq!(pool.get(id), None);
    assert!(pool.get_mut(id).is_none() && pool.get_several_mut([id]).is_none());
    assert_eq!(pool.quarantined_object(id), None);
    assert!(!pool.free(id));
    assert_eq!((pool.len::<T>(), pool.capacity::<T>(), pool.high_water::<T>()), (0, 0, 0));
    assert!(pool.is_empty::<T>() && pool.try_view::<T>().is_none());
    assert_eq!(pool.iter::<T>().count(), 0);
    pool.for_each::<T>(|_, _| panic!("an object of another type"));
    assert!(pool.sweep::<T>(&mut Sweep::default(), 9, |_, _| panic!("an object of another type")));
    assert_eq!(pool.update(id, |_: &mut T| ()), Err(not_added()));
    let zeroed = || T::zeroed();
    for door in 0..6 {
        let result = pool.tx(|tx| {
            assert_eq!((tx.get(id), tx.len::<T>(), tx.iter::<T>().count()), (None, 0, 0));
            match door {
                0 => tx.get_mut(id).map(drop),
                1 => tx.get_several_mut([id]).map(drop),
                2 => tx.free(id),
                3 if T::KEYED => tx.get_mut(id).map(drop),
                3 => tx.get_several_mut::<T, 0>([]).map(drop),
                4 => tx.commit_with(7).and_then(|()| tx.get_mut(id).map(drop)),
                _ => tx.get_mut(id).map(|object| *object = zeroed()),
            }
        });
        assert_eq!(result, Err(not_added()), "method {door}");
    }
    assert_eq!(pool.last_committed(), 0, "a failed transaction left its tag");
}

#[test]
fn the_struct_that_was_not_added_finds_nothing() {
    let mut pool = open();
    pool.add_type::<Purse>().unwrap();
    let ids: Vec<_> = (0..64).map(|gold| pool.alloc(Purse { gold }).unwrap()).collect();
    let room = (pool.bytes_free(), pool.capacity::<Purse>());
    nothing_is_there::<Alike>(&mut pool, ids[5].handle());
    nothing_is_there::<same::Purse>(&mut pool, ids[5].handle());
    while pool.len::<Purse>() < pool.capacity::<Purse>() {
        pool.alloc(Purse { gold: 0 }).unwrap();
    }
    let refused = Err(AllocError::NotAdded("purse"));
    assert_eq!(pool.alloc(Alike { gold_830: 1 }), refused);
    assert_eq!(pool.alloc_zeroed_with(|_: &mut Alike| ()), refused);
    assert_eq!(pool.tx(|tx| tx.alloc(Alike { gold_830: 1 })), Err(AllocError::NotAdded("purse").into()));
    assert_eq!((pool.bytes_free(), pool.capacity::<Purse>()), room, "the other type grew");
    let error = pool.add_type::<Alike>();
    assert!(matches!(error, Err(PoolError::TypeChanged { .. })), "{error:?}");
    let error = pool.add_type::<same::Purse>();
    assert!(matches!(error, Err(PoolError::TypeIdTaken { .. })), "{error:?}");
    assert!(ids.iter().enumerate().all(|(gold, id)| pool.get(*id) == Some(&Purse { gold: gold as u64 })));
    pool.destroy().unwrap();
}

#[test]
fn the_struct_that_was_not_added_finds_nothing_by_key() {
    let mut pool = open();
    pool.add_type::<KeyedPurse>().unwrap();
    let id = pool.alloc_keyed(1, KeyedPurse { gold: 1 }).unwrap();
    let room = (pool.bytes_free(), pool.capacity::<KeyedPurse>());
    nothing_is_there::<KeyedAlike>(&mut pool, id.handle());
    let other = KeyedAlike { gold_830: 1 };
    let not_added = || AllocError::NotAdded("purse");
    assert_eq!((pool.find::<KeyedAlike>(1), pool.get_by_key::<KeyedAlike>(1)), (None, None));
    assert!(pool.get_mut_by_key::<KeyedAlike>(1).is_none() && !pool.free_by_key::<KeyedAlike>(1));
    assert_eq!(pool.force_get(1, other), Err(not_added()));
    assert_eq!(pool.update_by_key(1, |_: &mut KeyedAlike| ()), Err(not_added().into()));
    for key in [1, 2] {
        assert_eq!(pool.alloc_keyed(key, other), Err(not_added()));
        assert_eq!(pool.alloc_keyed_zeroed_with(key, |_: &mut KeyedAlike| ()), Err(not_added()));
        assert_eq!(pool.tx(|tx| tx.alloc_keyed(key, other)), Err(not_added().into()));
        let by_key = pool.tx(|tx| tx.get_mut_by_key::<KeyedAlike>(key).map(drop));
        assert_eq!(by_key, Err(not_added().into()));
    }
    assert_eq!(
        (pool.bytes_free(), pool.capacity::<KeyedPurse>(), pool.len::<KeyedPurse>()),
        (room.0, room.1, 1)
    );
    assert_eq!(pool.get(id), Some(&KeyedPurse { gold: 1 }));
    pool.destroy().unwrap();
}

#[test]
fn a_transaction_over_both_is_rolled_back() {
    let mut pool = open();
    pool.add_type::<Purse>().unwrap();
    let (one, two) = (pool.alloc(Purse { gold: 1 }).unwrap(), pool.alloc(Purse { gold: 2 }).unwrap());
    let alike: Id<Alike> = one.handle().typed().unwrap();
    let result = pool.tx(|tx| {
        tx.get_mut(one)?.gold = 10;
        tx.get_mut(two)?.gold = 20;
        tx.commit_with(9)?;
        tx.get_mut(alike)?.gold_830 = 30;
        Ok::<_, TxError>(())
    });
    assert_eq!(result, Err(AllocError::NotAdded("purse").into()));
    let result = pool.tx(|tx| {
        tx.get_mut(one)?.gold = 10;
        tx.free(two)?;
        tx.free::<Alike>(two.handle().typed().unwrap())
    });
    assert_eq!(result, Err(AllocError::NotAdded("purse").into()));
    assert_eq!((pool.get(one), pool.get(two)), (Some(&Purse { gold: 1 }), Some(&Purse { gold: 2 })));
    assert_eq!(pool.last_committed(), 0);
    pool.destroy().unwrap();
}
