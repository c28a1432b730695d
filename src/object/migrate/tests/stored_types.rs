#[repr(C)]
#[derive(Clone, Copy, Schema)]
struct Uid(u64);

#[repr(C)]
#[derive(Clone, Copy, Schema)]
struct Stack {
    item: u16,
    count: u8,
}

#[repr(C, align(16))]
#[derive(Clone, Copy, Schema)]
struct Stack2 {
    item: u32,
}

#[repr(u16)]
#[derive(Clone, Copy, Schema)]
enum Class {
    Mage = 3,
    Knight = 4,
}

#[repr(u8)]
#[derive(Clone, Copy, Schema)]
enum Order {
    Rest = 0,
    Walk {
        fast: bool,
        to: [f32; 2],
    } = 1,
    Attack(u16, Uid) = 2,
}

#[repr(C, u8)]
#[derive(Clone, Copy, Schema)]
enum Spell {
    None = 0,
    Fire {
        at: bool,
        strength: u32,
    } = 1,
    Ice(Maybe<Class>) = 2,
}

#[repr(C)]
#[derive(Clone, Copy, Schema)]
struct Grid {
    cells: [[Stack; 2]; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Schema)]
struct Grid2 {
    cells: [[i64; 3]; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Schema)]
struct Everything {
    r#type: u8,
    uid: Uid,
    stacks: [[Stack; 2]; 3],
    other: Stack2,
    class: Class,
    orders: [Order; 2],
    spell: Spell,
    grid: Grid,
    numbers: Grid2,
    name: FixedStr<13>,
    bag: FixedVec<Stack, 4>,
    deep: FixedVec<FixedVec<[u8; 3], 2>, 3>,
    friends: FixedSet<Uid, 3>,
    skills: FixedMap<FixedStr<4>, Maybe<Stack>, 2>,
    quests: BitSet<3>,
    cooldown: FixedDuration,
    target: Maybe<NonZero<u32>>,
    parent: Option<NonZero<u128>>,
    letter: char,
    guild: Ref<Guild>,
    kind: PhantomData<()>,
}
