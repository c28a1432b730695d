//! redb: a thousand operations in each transaction, each committed at once, on tmpfs.

use crate::keeper::{Change, Keeper, value};
use crate::scratch;
use redb::{Database, ReadableTable, TableDefinition};
use tempfile::TempDir;

const OBJECTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("objects");

/// A database with one table.
pub struct Redb {
    database: Database,
    object: Vec<u8>,
    _folder: TempDir,
}

impl Redb {
    /// Creates an empty database for objects of `size` bytes.
    pub fn new(size: usize) -> anyhow::Result<Self> {
        let folder = scratch::folder()?;
        let database = Database::create(folder.path().join("objects"))?;
        Ok(Redb { database, object: vec![0; size], _folder: folder })
    }
}

impl Keeper for Redb {
    fn batch(&self) -> usize {
        1000
    }

    fn write(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        let txn = self.database.begin_write()?;
        {
            let mut objects = txn.open_table(OBJECTS)?;
            for &change in changes {
                match change {
                    Change::Put(key, seed) => {
                        Change::fill(&mut self.object, seed);
                        objects.insert(key, self.object.as_slice())?;
                    }
                    Change::Delete(key) => _ = objects.remove(key)?,
                }
            }
        }
        Ok(txn.commit()?)
    }

    fn read(&mut self, keys: &[u64]) -> anyhow::Result<u64> {
        let objects = self.database.begin_read()?.open_table(OBJECTS)?;
        let mut sum = 0u64;
        for key in keys {
            sum = sum.wrapping_add(objects.get(key)?.map_or(0, |object| value(object.value())));
        }
        Ok(sum)
    }

    fn scan(&mut self) -> anyhow::Result<Option<(usize, u64)>> {
        let objects = self.database.begin_read()?.open_table(OBJECTS)?;
        let (mut count, mut sum) = (0, 0u64);
        for entry in objects.iter()? {
            sum = sum.wrapping_add(value(entry?.1.value()));
            count += 1;
        }
        Ok(Some((count, sum)))
    }
}
