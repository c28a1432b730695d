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
//! A reply means that the operation is committed: the server replies after the operation has
//! returned.

mod client;
mod server;
mod zone;

use anyhow::{Context, Result};
use clap::Parser;
use hotpool::{ConfMgr, MemoryPoolMgr};
use server::Server;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use zone::Zone;

#[derive(Parser)]
struct Options {
    /// Ini that configures the pool
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/config/memorypool.ini"))]
    conf: PathBuf,
    /// Process of the ini to run as
    #[arg(long, default_value = "zone")]
    process: String,
    /// Address and port, or the path of a Unix socket
    #[arg(long, default_value = "127.0.0.1:7100")]
    listen: String,
    /// Milliseconds to retry while the address is in use. The port of a dead server may become free
    /// later than its pool
    #[arg(long, default_value_t = 5000)]
    listen_wait_ms: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let conf = ConfMgr::load(&options.conf)?;
    let mut zone = Zone::new(MemoryPoolMgr::open(conf.process(&options.process)?)?)?;
    let wait = Duration::from_millis(options.listen_wait_ms);
    let mut server = Server::listen(&options.listen, wait)
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    // If the port is in use, the program has ended by now, before it opened the pool.
    zone.pool.ready()?;
    println!("ready on {}; {}", server.address(), zone.pool.resume_report());
    std::io::stdout().flush()?;
    server.run(&mut zone)?;
    Ok(zone.pool.close()?)
}
