//! The objects of one MMO zone: players with their parts, monsters, items, timers.

use bytemuck::{Pod, Zeroable};
use hotpool::PoolObject;

/// The size of a population; everything follows from the number of players.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// Number of players.
    pub players: usize,
}

/// An object of the zone.
pub trait Part: PoolObject + Pod {
    /// Number of objects of the type for each ten players.
    const FOR_TEN: usize;
    /// Creates an object.
    fn new(number: u64) -> Self;
    /// Does what a tick does to the object.
    fn touch(&mut self) -> u64;
}

macro_rules! parts {
    ($($name:ident $id:tt $text:tt $words:literal x $for_ten:literal,)+) => {
        $(
            #[doc = concat!("`", $text, "`, ", $words, " words.")]
            #[repr(C)]
            #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
            #[pool(id = $id, name = $text)]
            pub struct $name {
                words: [u64; $words],
            }

            impl Part for $name {
                const FOR_TEN: usize = $for_ten;
                fn new(number: u64) -> Self {
                    $name { words: [number; $words] }
                }
                fn touch(&mut self) -> u64 {
                    self.words[0] += 1;
                    self.words[0]
                }
            }
        )+

        /// Calls the visitor for every type.
        pub fn each_type<V: Visitor>(visitor: &mut V) -> anyhow::Result<()> {
            $(visitor.visit::<$name>()?;)+
            Ok(())
        }
    };
}

/// An operation to perform for every type.
pub trait Visitor {
    /// Performs it for one type.
    fn visit<P: Part>(&mut self) -> anyhow::Result<()>;
}

parts! {
    Player 101 "player" 4096 x 10,
    Bag 102 "bag" 1024 x 10,
    Mail 103 "mail" 1024 x 10,
    Quests 104 "quests" 512 x 10,
    Friends 105 "friends" 512 x 10,
    Skills 106 "skills" 256 x 10,
    Titles 107 "titles" 128 x 10,
    Effects 108 "effects" 128 x 10,
    Settings 109 "settings" 64 x 10,
    Position 110 "position" 32 x 10,
    Session 111 "session" 32 x 100,
    Monster 112 "monster" 256 x 90,
    Item 113 "item" 32 x 800,
    Timer 114 "timer" 8 x 150,
}

impl Population {
    /// Returns the number of objects of one type.
    pub fn count<P: Part>(self) -> usize {
        self.players * P::FOR_TEN / 10
    }

    /// Returns the number of all objects.
    pub fn objects(self) -> usize {
        struct Count(Population, usize);
        impl Visitor for Count {
            fn visit<P: Part>(&mut self) -> anyhow::Result<()> {
                self.1 += self.0.count::<P>();
                Ok(())
            }
        }
        let mut count = Count(self, 0);
        // The count cannot fail.
        each_type(&mut count).map_or(0, |()| count.1)
    }
}

/// Returns the key of an object, for stores that have only keys.
pub fn key<P: Part>(number: usize) -> u64 {
    u64::from(P::TYPE_ID) << 32 | number as u64
}
