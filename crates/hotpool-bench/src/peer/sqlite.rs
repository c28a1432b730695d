//! SQLite: prepared statements, a thousand operations in each transaction, WAL without flushes, on
//! tmpfs.

use crate::keeper::{Change, Keeper, value};
use crate::scratch;
use rusqlite::Connection;
use tempfile::TempDir;

/// A database with one table.
pub struct Sqlite {
    connection: Connection,
    object: Vec<u8>,
    _folder: TempDir,
}

impl Sqlite {
    /// Creates an empty database for objects of `size` bytes.
    pub fn new(size: usize) -> anyhow::Result<Self> {
        let folder = scratch::folder()?;
        let connection = Connection::open(folder.path().join("objects"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute("CREATE TABLE objects (key INTEGER PRIMARY KEY, object BLOB)", [])?;
        Ok(Sqlite { connection, object: vec![0; size], _folder: folder })
    }
}

impl Keeper for Sqlite {
    fn batch(&self) -> usize {
        1000
    }

    fn write(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        let txn = self.connection.transaction()?;
        {
            let mut put = txn.prepare_cached("INSERT OR REPLACE INTO objects VALUES (?, ?)")?;
            let mut delete = txn.prepare_cached("DELETE FROM objects WHERE key = ?")?;
            for &change in changes {
                match change {
                    Change::Put(key, seed) => {
                        Change::fill(&mut self.object, seed);
                        put.execute((key as i64, &self.object))?;
                    }
                    Change::Delete(key) => _ = delete.execute([key as i64])?,
                }
            }
        }
        Ok(txn.commit()?)
    }

    fn read(&mut self, keys: &[u64]) -> anyhow::Result<u64> {
        let txn = self.connection.transaction()?;
        let mut get = txn.prepare_cached("SELECT object FROM objects WHERE key = ?")?;
        let mut sum = 0u64;
        for &key in keys {
            let found = get.query_row([key as i64], |row| Ok(value(row.get_ref(0)?.as_blob()?)))?;
            sum = sum.wrapping_add(found);
        }
        Ok(sum)
    }

    fn scan(&mut self) -> anyhow::Result<Option<(usize, u64)>> {
        let mut all = self.connection.prepare_cached("SELECT object FROM objects")?;
        let mut rows = all.query([])?;
        let (mut count, mut sum) = (0, 0u64);
        while let Some(row) = rows.next()? {
            sum = sum.wrapping_add(value(row.get_ref(0)?.as_blob()?));
            count += 1;
        }
        Ok(Some((count, sum)))
    }
}
