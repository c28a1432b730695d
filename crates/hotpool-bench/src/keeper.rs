//! What a store outside of the process has to offer to be measured.

/// A change of one object.
#[derive(Clone, Copy)]
pub enum Change {
    /// The object with this key, made of this seed.
    Put(u64, u64),
    /// No object with this key.
    Delete(u64),
}

impl Change {
    /// The bytes of an object, each word of them the seed.
    pub fn fill(bytes: &mut [u8], seed: u64) {
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&seed.to_le_bytes());
        }
    }
}

/// The first word of an object, which is what a read consumes.
pub fn value(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

/// A store that outlives its users: a data base or a server. It is called with many operations at once, so that it
/// can make one transaction or one message of them.
pub trait Keeper {
    /// Operations of one transaction, or of one message.
    fn batch(&self) -> usize;
    /// Makes changes, all of them in one batch.
    fn write(&mut self, changes: &[Change]) -> anyhow::Result<()>;
    /// Reads objects by key, all of them in one batch; the sum of their values.
    fn read(&mut self, keys: &[u64]) -> anyhow::Result<u64>;
    /// Reads all objects: their number and the sum of their values. `None` where the store cannot.
    fn scan(&mut self) -> anyhow::Result<Option<(usize, u64)>>;
}
