//! The collections of fixed capacity do what their counterparts of the standard library do, and give
//! back what does not fit.

use hotpool::object::{BitSet, FixedMap, FixedSet, FixedStr, FixedVec, NoRoom, Schema, Stored};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

const ROOM: usize = 6;

/// An operation of any collection: which one, and two operands.
fn operations() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    vec((0..14_u8, 0..10_u8, any::<u16>()), 0..60)
}

/// What `Vec` does if it is limited to `ROOM` items.
fn push(model: &mut Vec<u16>, item: u16) -> Result<(), NoRoom<u16>> {
    if model.len() == ROOM {
        return Err(NoRoom { value: item, capacity: ROOM });
    }
    model.push(item);
    Ok(())
}

fn vec_step(list: &mut FixedVec<u16, ROOM>, model: &mut Vec<u16>, (which, at, item): (u8, u8, u16)) {
    let at = usize::from(at);
    let no_room = Err(NoRoom { value: item, capacity: ROOM });
    match which {
        0..4 => assert_eq!(list.push(item), push(model, item)),
        4 => assert_eq!(list.pop(), model.pop()),
        5 if at > model.len() || model.len() == ROOM => assert_eq!(list.insert(at, item), no_room),
        5 => {
            model.insert(at, item);
            assert_eq!(list.insert(at, item), Ok(()));
        }
        6 => assert_eq!(list.remove(at), (at < model.len()).then(|| model.remove(at))),
        7 => assert_eq!(list.swap_remove(at), (at < model.len()).then(|| model.swap_remove(at))),
        8 => {
            list.truncate(at);
            model.truncate(at);
        }
        9 => {
            list.retain(|other| other % 3 != item % 3);
            model.retain(|other| other % 3 != item % 3);
        }
        10 if at > ROOM => assert_eq!(list.resize(at, item), no_room),
        10 => {
            model.resize(at, item);
            assert_eq!(list.resize(at, item), Ok(()));
        }
        11 => {
            let more = [item; 3];
            let fits = model.len() + 3 <= ROOM;
            assert_eq!(list.extend_from_slice(&more).is_ok(), fits);
            model.extend(more.iter().filter(|_| fits));
        }
        12 => {
            list.sort_unstable();
            model.sort_unstable();
        }
        _ => {
            list.iter_mut().for_each(|other| *other ^= item);
            model.iter_mut().for_each(|other| *other ^= item);
        }
    }
}

type Name = FixedStr<11>;

fn text_step(text: &mut Name, model: &mut String, which: u8, more: &str) {
    match which {
        0..3 => {
            let fits = model.len() + more.len() <= 11;
            assert_eq!(
                text.push_str(more).map_err(|error| error.value),
                if fits { Ok(()) } else { Err(more) }
            );
            model.push_str(if fits { more } else { "" });
        }
        3 => assert_eq!(text.pop(), model.pop()),
        4 => {
            let char = more.chars().next().unwrap_or('é');
            let fits = model.len() + char.len_utf8() <= 11;
            assert_eq!(text.push(char).is_ok(), fits);
            model.extend(Some(char).filter(|_| fits));
        }
        5 => {
            text.truncate(more.len());
            while model.len() > more.len() {
                model.pop();
            }
        }
        6 => {
            let fits = more.len() <= 11;
            assert_eq!(text.set(more).is_ok(), fits);
            if fits {
                *model = more.into();
            }
        }
        _ => {
            let fits = model.len() + more.len() <= 11;
            assert_eq!(write!(text, "{more}").is_ok(), fits);
            model.push_str(if fits { more } else { "" });
        }
    }
}

fn map_step(
    map: &mut FixedMap<u8, u16, ROOM>,
    model: &mut BTreeMap<u8, u16>,
    (which, key, value): (u8, u8, u16),
) {
    let is_full = model.len() == ROOM && !model.contains_key(&key);
    match which {
        0..5 if is_full => {
            assert_eq!(map.insert(key, value), Err(NoRoom { value: (key, value), capacity: ROOM }));
        }
        0..5 => assert_eq!(map.insert(key, value), Ok(model.insert(key, value))),
        5..7 => assert_eq!(map.remove(&key), model.remove(&key)),
        7 => {
            map.retain(|key, value| u16::from(*key) ^ value & 1 != 0);
            model.retain(|key, value| u16::from(*key) ^ *value & 1 != 0);
        }
        8 if is_full => assert!(map.get_or_insert_with(key, || panic!("it is full")).is_err()),
        8 => assert_eq!(map.get_or_insert_with(key, || value), Ok(model.entry(key).or_insert(value))),
        9 => {
            map.values_mut().for_each(|other| *other ^= value);
            model.values_mut().for_each(|other| *other ^= value);
        }
        10 => assert_eq!(map.get_mut(&key), model.get_mut(&key)),
        _ => assert_eq!(map.contains_key(&key), model.contains_key(&key)),
    }
}

proptest! {
    #[test]
    fn a_list_is_a_vec_up_to_its_capacity(operations in operations()) {
        let (mut list, mut model) = (FixedVec::new(), Vec::new());
        for operation in operations {
            vec_step(&mut list, &mut model, operation);
            prop_assert_eq!(list.as_slice(), &model[..]);
            prop_assert_eq!((list.len(), list.is_empty(), list.is_full()), (model.len(), model.is_empty(), model.len() == ROOM));
        }
        let again = FixedVec::<u16, ROOM>::try_from(&model[..]).unwrap();
        prop_assert_eq!(again, list);
        prop_assert_eq!(format!("{list:?}"), format!("{model:?}"));
    }

    #[test]
    fn a_string_is_a_string_up_to_its_capacity(steps in vec((0..8_u8, "[aé€😀]{0,5}"), 0..40)) {
        let (mut text, mut model) = (Name::new(), String::new());
        for (which, more) in &steps {
            text_step(&mut text, &mut model, *which, more);
            prop_assert_eq!(text.as_str(), &model);
        }
        prop_assert_eq!(model.parse::<Name>(), Ok(text));
        prop_assert_eq!(text.to_string(), model);
    }

    #[test]
    fn a_map_is_a_btree_map_up_to_its_capacity(operations in operations()) {
        let (mut map, mut model) = (FixedMap::new(), BTreeMap::new());
        for operation in operations {
            map_step(&mut map, &mut model, operation);
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), model.iter().collect::<Vec<_>>());
            prop_assert_eq!((map.len(), map.first_key_value()), (model.len(), model.first_key_value()));
            prop_assert_eq!(map.last_key_value(), model.last_key_value());
        }
        let again = FixedMap::try_from_iter(model.iter().rev().map(|(key, value)| (*key, *value)));
        prop_assert_eq!(again, Ok(map));
    }

    #[test]
    fn a_set_is_a_btree_set_up_to_its_capacity(operations in operations()) {
        let (mut set, mut model) = (FixedSet::<u8, ROOM>::new(), BTreeSet::new());
        for (which, item, _) in operations {
            if which < 9 {
                let is_full = model.len() == ROOM && !model.contains(&item);
                let expected = if is_full { Err(NoRoom { value: item, capacity: ROOM }) } else { Ok(model.insert(item)) };
                prop_assert_eq!(set.insert(item), expected);
            } else {
                prop_assert_eq!(set.remove(&item), model.remove(&item));
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().collect::<Vec<_>>());
            prop_assert_eq!(set.contains(&item), model.contains(&item));
        }
    }

    #[test]
    fn bits_are_a_set_of_small_numbers(steps in vec((any::<bool>(), 0..140_usize), 0..80)) {
        let (mut bits, mut model) = (BitSet::<2>::new(), BTreeSet::new());
        for (adds, number) in steps {
            match adds {
                true if number >= 128 => prop_assert_eq!(bits.insert(number), Err(NoRoom { value: number, capacity: 128 })),
                true => prop_assert_eq!(bits.insert(number), Ok(model.insert(number))),
                false => prop_assert_eq!(bits.remove(number), model.remove(&number)),
            }
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!((bits.len(), bits.contains(number)), (model.len(), model.contains(&number)));
        }
    }
}

#[test]
fn capacities_may_be_zero() {
    let mut list = FixedVec::<u64, 0>::new();
    assert_eq!(list.push(1), Err(NoRoom { value: 1, capacity: 0 }));
    assert_eq!((list.pop(), list.remove(0), list.is_full()), (None, None, true));
    assert!(FixedStr::<0>::new().push_str("").is_ok());
    assert!(BitSet::<0>::new().insert(0).is_err());
}

#[test]
fn a_string_is_found_as_a_str() {
    let name: FixedStr<12> = "Zoë".parse().unwrap();
    let map = HashMap::from([(name, 1)]);
    assert_eq!(map.get("Zoë"), Some(&1));
    let fixed = FixedMap::<FixedStr<12>, u8, 2>::try_from_iter([(name, 1)]).unwrap();
    assert_eq!((fixed.get("Zoë"), fixed.get("Zoe")), (Some(&1), None));
    assert!(name == "Zoë" && name < "Zz".parse().unwrap());
}

/// The layouts are those of docs/types.md.
#[test]
fn the_bytes_are_as_documented() {
    assert_eq!((size_of::<FixedStr<5>>(), align_of::<FixedStr<5>>()), (12, 4));
    assert_eq!((size_of::<FixedVec<u64, 3>>(), size_of::<FixedVec<u8, 3>>()), (32, 8));
    assert_eq!(FixedVec::<u64, 3>::FIELDS[1].offset, 8);
    assert_eq!((size_of::<FixedMap<u8, u64, 2>>(), size_of::<FixedSet<u16, 2>>()), (8 + 2 * 16, 8));
    assert_eq!(size_of::<BitSet<3>>(), 24);
    const { assert!(BitSet::<3>::ANY_BITS && !FixedStr::<5>::ANY_BITS) };
    let prints = [
        FixedStr::<5>::FINGERPRINT,
        FixedStr::<6>::FINGERPRINT,
        FixedVec::<u8, 5>::FINGERPRINT,
        FixedVec::<u8, 6>::FINGERPRINT,
        FixedVec::<i8, 5>::FINGERPRINT,
        FixedSet::<u8, 5>::FINGERPRINT,
        FixedMap::<u8, u8, 5>::FINGERPRINT,
    ];
    assert_eq!(BTreeSet::from(prints).len(), prints.len());
}
