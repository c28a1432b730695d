//! The measured objects: four sizes, each with and without a user key.

use bytemuck::{Pod, Zeroable};
use hotpool::PoolObject;

/// An object whose words are all written when it is created, and whose first two words are used.
pub trait Object: PoolObject {
    /// Creates an object; every word is written.
    fn new(seed: u64) -> Self;
    /// Returns what a read consumes.
    fn value(&self) -> u64;
    /// Returns what a read of the whole object consumes.
    fn sum(&self) -> u64;
    /// Sets what an update writes.
    fn set_value(&mut self, value: u64);
    /// Returns the bits of another object's handle.
    fn next(&self) -> u64;
    /// Sets the bits of another object's handle.
    fn set_next(&mut self, bits: u64);
}

macro_rules! object {
    ($name:ident, $words:literal, $($pool:tt)+) => {
        #[doc = concat!("An object of ", $words, " words.")]
        #[repr(C)]
        #[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
        #[pool($($pool)+)]
        pub struct $name {
            words: [u64; $words],
        }

        impl Object for $name {
            #[inline(always)]
            fn new(seed: u64) -> Self {
                $name { words: [seed; $words] }
            }
            #[inline(always)]
            fn value(&self) -> u64 {
                self.words[0]
            }
            #[inline(always)]
            fn sum(&self) -> u64 {
                self.words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
            }
            #[inline(always)]
            fn set_value(&mut self, value: u64) {
                self.words[0] = value;
            }
            #[inline(always)]
            fn next(&self) -> u64 {
                self.words[1]
            }
            #[inline(always)]
            fn set_next(&mut self, bits: u64) {
                self.words[1] = bits;
            }
        }
    };
}

object!(Plain64, 8, id = 1, name = "plain_64");
object!(Plain256, 32, id = 2, name = "plain_256");
object!(Plain1K, 128, id = 3, name = "plain_1k");
object!(Plain4K, 512, id = 4, name = "plain_4k");
object!(Keyed64, 8, id = 11, name = "keyed_64", keyed);
object!(Keyed256, 32, id = 12, name = "keyed_256", keyed);
object!(Keyed1K, 128, id = 13, name = "keyed_1k", keyed);
object!(Keyed4K, 512, id = 14, name = "keyed_4k", keyed);
