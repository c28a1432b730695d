//! A zone of a game as a server that `kill -9` does not empty: single-threaded, one pool, RESP2,
//! so that `redis-cli` and `redis-benchmark` are its clients.
//!
//! ```text
//! cargo run --release --example zone_server &
//! redis-cli -p 7100 LOGIN 7
//! kill -9 %1; cargo run --release --example zone_server &
//! redis-cli -p 7100 SHOW 7
//! ```
//!
//! A reply means that the operation is committed: it is written after the operation has returned.

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
    /// The ini that says where the pool is.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/config/memorypool.ini"))]
    conf: PathBuf,
    /// The process of the ini that this is.
    #[arg(long, default_value = "zone")]
    process: String,
    /// An address and a port, or the path of a Unix socket.
    #[arg(long, default_value = "127.0.0.1:7100")]
    listen: String,
    /// Milliseconds to try to listen while the address is in use: the port of a dead server may be free later than its pool.
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
    // A port that is taken has ended the program by now, and used up nothing of the pool.
    zone.pool.ready()?;
    println!("ready on {}; {}", server.address(), zone.pool.resume_report());
    std::io::stdout().flush()?;
    server.run(&mut zone)?;
    Ok(zone.pool.close()?)
}
