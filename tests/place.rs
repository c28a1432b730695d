//! Objects of a program go straight into shared memory and come back; what does not fit is refused.

use bytemuck::{Pod, Zeroable};
use hotpool::conf::{BackendKind, ProcessConf};
use hotpool::object::{Place, Ref, Schema};
use hotpool::pool::PlaceError;
use hotpool::units::{Bytes, Key};
use hotpool::{MemoryPoolMgr, PoolObject};

/// An object of the program, with pointers, and a field for this process alone.
#[derive(Clone, Debug, Default, PartialEq, Place)]
#[place(form = HeroForm)]
struct Hero {
    uid: u64,
    name: String,
    #[place(count = bag_len)]
    bag: Vec<Item>,
    #[place(count = scores_len)]
    scores: Vec<u16>,
    friend: Ref<HeroForm>,
    #[place(skip)]
    connection: Option<Box<u32>>,
}

#[derive(Clone, Debug, Default, PartialEq, Place)]
#[place(form = ItemForm)]
struct Item {
    kind: u32,
    label: String,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1)]
struct HeroForm {
    uid: u64,
    friend: Ref<HeroForm>,
    bag: [ItemForm; 3],
    name: [u8; 8],
    scores: [u16; 4],
    bag_len: u32,
    scores_len: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Schema)]
struct ItemForm {
    kind: u32,
    label: [u8; 12],
}

fn hero() -> Hero {
    let item = |kind, label: &str| Item { kind, label: label.into() };
    Hero {
        uid: 7,
        name: "Jürgen".into(),
        bag: vec![item(1, "sword"), item(2, "")],
        scores: vec![3, 5, 8, 13],
        friend: Ref::default(),
        connection: Some(Box::new(9)),
    }
}

fn pool(key: u32) -> MemoryPoolMgr {
    let mut conf = ProcessConf::new("place", Key(key), Bytes(1 << 20), &[Key(key + 1)]);
    conf.backend = BackendKind::Heap;
    let mut pool = MemoryPoolMgr::open(&conf).unwrap();
    pool.add_type::<HeroForm>().unwrap();
    pool.ready().unwrap();
    pool
}

#[test]
fn an_object_comes_back_without_what_its_form_leaves_out() {
    let mut pool = pool(0x4850_0180);
    let first = pool.alloc_placed(&hero()).unwrap();
    // A pointer to another object becomes a handle.
    let second = Hero { friend: first.into(), bag: vec![], ..hero() };
    let id = pool.alloc_placed(&second).unwrap();
    let back = Hero::read(pool.get(id).unwrap()).unwrap();
    assert_eq!(back, Hero { connection: None, ..second });
    let friend = Hero::read(pool.get(back.friend.id().unwrap()).unwrap()).unwrap();
    assert_eq!(friend, Hero { connection: None, ..hero() });
    pool.destroy().unwrap();
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_changes_nothing() {
    let mut pool = pool(0x4850_0190);
    let mut refused = |change: fn(&mut Hero)| {
        let mut hero = hero();
        change(&mut hero);
        let error = pool.alloc_placed::<HeroForm>(&hero).unwrap_err();
        assert!(matches!(error, PlaceError::DoesNotFit(_)));
        assert_eq!(pool.len::<HeroForm>(), 0);
        let mut form = HeroForm::zeroed();
        form.uid = 5;
        assert_eq!(hero.place(&mut form).unwrap_err().to_string(), error.to_string());
        assert_eq!(form.uid, 5);
        error.to_string()
    };
    let name = refused(|hero| hero.name = "123456789".into());
    assert_eq!(name, "name: 9 do not fit, there is room for 8");
    let nul = refused(|hero| hero.name = "a\0b".into());
    assert_eq!(nul, "name: 3 do not fit, there is room for 8, and for no NUL");
    let label = refused(|hero| hero.bag[1].label = "a very long label".into());
    assert_eq!(label, "bag[1].label: 17 do not fit, there is room for 12");
    let scores = refused(|hero| hero.scores.push(21));
    assert_eq!(scores, "scores: 5 do not fit, there is room for 4");
    pool.destroy().unwrap();
}

#[test]
fn a_form_is_written_anew_and_a_damaged_one_is_not_read() {
    let mut form = HeroForm::zeroed();
    hero().place(&mut form).unwrap();
    Hero { name: "Al".into(), ..Hero::default() }.place(&mut form).unwrap();
    assert_eq!(Hero::read(&form).unwrap(), Hero { name: "Al".into(), ..Hero::default() });
    form.bag_len = 4;
    let error = Hero::read(&form).unwrap_err().to_string();
    assert_eq!(error, "bag: it has more elements than there is room for");
    form.bag_len = 1;
    form.bag[0].label[0] = 0xff;
    assert_eq!(Hero::read(&form).unwrap_err().to_string(), "bag[0].label: it is not UTF-8");
}
