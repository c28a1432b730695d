//! The interface to a store outside the process.

/// A change of one object.
#[derive(Clone, Copy)]
pub enum Change {
    /// Stores an object with this key, built from this seed.
    Put(u64, u64),
    /// Deletes the object with this key.
    Delete(u64),
}

impl Change {
    /// Fills the bytes of an object; each word is the seed.
    pub fn fill(bytes: &mut [u8], seed: u64) {
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&seed.to_le_bytes());
        }
    }
}

/// Returns the first word of an object, which is what a read consumes.
pub fn value(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

/// A store that outlives its users: a database or a server. Each call gets many operations, so that
/// the store can make one transaction or one message of them.
pub trait Keeper {
    /// Returns the number of operations in one transaction or message.
    fn batch(&self) -> usize;
    /// Makes changes, all in one batch.
    fn write(&mut self, changes: &[Change]) -> anyhow::Result<()>;
    /// Reads objects by key, all in one batch. Returns the sum of their values.
    fn read(&mut self, keys: &[u64]) -> anyhow::Result<u64>;
    /// Reads all objects. Returns their number and the sum of their values, or `None` if the store
    /// cannot do that.
    fn scan(&mut self) -> anyhow::Result<Option<(usize, u64)>>;
}
