//! The objects of the three processes, each with a checksum over all its fields.

use bytemuck::{Pod, Zeroable};
use hotpool::PoolObject;
use hotpool::object::Schema;

/// The first field of every object: the number of its last write, and a checksum over all fields.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Schema)]
pub(crate) struct Stamp {
    pub(crate) serial: u64,
    sum: u64,
}

/// A type of the game.
pub(crate) trait Game: PoolObject + Pod {
    fn stamp(&mut self) -> &mut Stamp;
    /// Sets every field except the stamp, one after the other, as a tick of the game would.
    fn play(&mut self, luck: u64);
}

/// Writes all fields of an object. A kill during this leaves some fields old and some new, and the
/// checksum wrong.
pub(crate) fn write<T: Game>(object: &mut T, serial: u64) {
    object.play(serial.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    object.stamp().serial = serial;
    object.stamp().sum = sum(*object);
}

pub(crate) fn make<T: Game>(serial: u64) -> T {
    let mut object = T::zeroed();
    write(&mut object, serial);
    object
}

/// Returns the serial number of an object, and whether all its fields are of that write.
pub(crate) fn read<T: Game>(object: &T) -> (u64, bool) {
    let mut copy = *object;
    let stamp = *copy.stamp();
    (stamp.serial, stamp.sum == sum(copy))
}

fn sum<T: Game>(mut object: T) -> u64 {
    object.stamp().sum = 0;
    crc32c::crc32c(bytemuck::bytes_of(&object)).into()
}

/// Declares a type and how a tick of the game writes it.
macro_rules! game {
    ($(
        #[pool($($pool:tt)*)]
        struct $name:ident { $($field:ident: $type:ty,)* }
        play($this:ident, $luck:ident) $play:block
    )*) => {$(
        #[repr(C)]
        #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
        #[pool($($pool)*)]
        pub(crate) struct $name { stamp: Stamp, $($field: $type,)* }

        impl Game for $name {
            fn stamp(&mut self) -> &mut Stamp {
                &mut self.stamp
            }
            fn play(&mut self, luck: u64) {
                let ($this, $luck) = (self, luck);
                $play
            }
        }
    )*};
}

game! {
    #[pool(id = 1, keyed)]
    struct Player { hp: i32, level: u32, x: f32, y: f32, skills: [u32; 32], bag: [u64; 1500], }
    play(this, luck) {
        this.hp = luck as i32;
        this.level = (luck >> 32) as u32;
        (this.x, this.y) = (luck as u16 as f32, (luck >> 16) as u16 as f32);
        this.skills.iter_mut().zip(0..).for_each(|(skill, n)| *skill = luck as u32 ^ n);
        this.bag.iter_mut().zip(1..).for_each(|(item, n)| *item = luck.wrapping_mul(n));
    }

    #[pool(id = 2)]
    struct Monster { hp: i32, kind: u32, hate: [u64; 12], }
    play(this, luck) {
        this.hp = luck as i32;
        this.kind = (luck >> 32) as u32;
        this.hate.iter_mut().zip(1..).for_each(|(hate, n)| *hate = luck.wrapping_mul(n));
    }

    #[pool(id = 3)]
    struct Item { owner: u64, count: u32, kind: u32, }
    play(this, luck) {
        this.owner = luck;
        this.count = luck as u32 & 0xff;
        this.kind = (luck >> 8) as u32;
    }

    #[pool(id = 4)]
    struct Timer { due: u64, }
    play(this, luck) {
        this.due = luck;
    }

    #[pool(id = 1, keyed)]
    struct Guild { gold: u64, leader: u64, members: [u64; 1000], }
    play(this, luck) {
        (this.gold, this.leader) = (luck, !luck);
        this.members.iter_mut().zip(1..).for_each(|(member, n)| *member = luck.wrapping_mul(n));
    }

    #[pool(id = 2, keyed)]
    struct Brief { level: u32, score: u32, name: [u8; 32], looks: [u64; 24], }
    play(this, luck) {
        (this.level, this.score) = (luck as u32, (luck >> 32) as u32);
        this.name.iter_mut().zip(0..).for_each(|(letter, n)| *letter = luck.rotate_left(n) as u8);
        this.looks.iter_mut().zip(1..).for_each(|(look, n)| *look = luck.wrapping_mul(n));
    }

    #[pool(id = 3)]
    struct Mail { from: u64, to: u64, text: [u64; 16], }
    play(this, luck) {
        (this.from, this.to) = (luck, !luck);
        this.text.iter_mut().zip(1..).for_each(|(word, n)| *word = luck.wrapping_mul(n));
    }

    #[pool(id = 1, keyed)]
    struct Room { map: u32, round: u32, seats: [u64; 500], }
    play(this, luck) {
        (this.map, this.round) = (luck as u32, (luck >> 32) as u32);
        this.seats.iter_mut().zip(1..).for_each(|(seat, n)| *seat = luck.wrapping_mul(n));
    }

    #[pool(id = 2)]
    struct Ticket { player: u64, rating: f64, }
    play(this, luck) {
        this.player = luck;
        this.rating = (luck >> 40) as f64;
    }
}
