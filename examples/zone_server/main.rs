//! A zone of a game as a server whose state survives `kill -9`.
//!
//! The server is single-threaded, keeps its state in one pool, and speaks RESP2. `redis-cli` and
//! `redis-benchmark` can be its clients.
//!
//! ```text
//! cargo run --release --example zone_server &
//! redis-cli -p 7100 LOGIN 7
//! kill -9 %1; cargo run --release --example zone_server &
//! redis-cli -p 7100 SHOW 7
//! ```
//!
//! With `SnapshotDir`, `SnapshotEverySec` and `OnMissing = restore` in the ini it survives a reboot, too:
//! it writes snapshots while it serves, and a start that finds no pool restores the latest one.
//!
//! A reply means that the operation is committed: the server replies after the operation has
//! returned.

mod client;
mod program;
mod server;
mod structs;
mod zone;

fn main() -> anyhow::Result<()> {
    program::run()
}
