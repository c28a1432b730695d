//! LMDB: a thousand operations in each transaction, no flushes, on tmpfs.
//!
//! # What the unsafe code here relies on
//!
//! A process opens an environment once, on files in a folder that no other process uses.
#![allow(unsafe_code)]

use crate::keeper::{Change, Keeper, value};
use crate::scratch;
use heed::byteorder::NativeEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, IntegerComparator};
use tempfile::TempDir;

/// An environment with one database of integer keys.
pub struct Lmdb {
    env: Env,
    objects: Database<U64<NativeEndian>, Bytes, IntegerComparator>,
    object: Vec<u8>,
    _folder: TempDir,
}

impl Lmdb {
    /// Creates an empty database for `count` objects of `size` bytes.
    pub fn new(size: usize, count: usize) -> anyhow::Result<Self> {
        let folder = scratch::folder()?;
        let mut options = EnvOpenOptions::new();
        options.map_size(((size + 64) * count * 4 + (64 << 20)).next_multiple_of(1 << 20));
        // SAFETY: without flushes a power cut may damage the files, but they are not needed after
        // one.
        unsafe { options.flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP | EnvFlags::NO_READ_AHEAD) };
        // SAFETY: see the top of this file.
        let env = unsafe { options.open(folder.path()) }?;
        let mut txn = env.write_txn()?;
        let options = env.database_options().types().key_comparator::<IntegerComparator>();
        let objects = options.create(&mut txn)?;
        txn.commit()?;
        Ok(Lmdb { env, objects, object: vec![0; size], _folder: folder })
    }
}

impl Keeper for Lmdb {
    fn batch(&self) -> usize {
        1000
    }

    fn write(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        let mut txn = self.env.write_txn()?;
        for &change in changes {
            match change {
                Change::Put(key, seed) => {
                    Change::fill(&mut self.object, seed);
                    self.objects.put(&mut txn, &key, &self.object)?;
                }
                Change::Delete(key) => _ = self.objects.delete(&mut txn, &key)?,
            }
        }
        Ok(txn.commit()?)
    }

    fn read(&mut self, keys: &[u64]) -> anyhow::Result<u64> {
        let txn = self.env.read_txn()?;
        let mut sum = 0u64;
        for key in keys {
            sum = sum.wrapping_add(self.objects.get(&txn, key)?.map_or(0, value));
        }
        Ok(sum)
    }

    fn scan(&mut self) -> anyhow::Result<Option<(usize, u64)>> {
        let txn = self.env.read_txn()?;
        let (mut count, mut sum) = (0, 0u64);
        for entry in self.objects.iter(&txn)? {
            sum = sum.wrapping_add(value(entry?.1));
            count += 1;
        }
        Ok(Some((count, sum)))
    }
}
