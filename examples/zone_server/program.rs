//! The command line, and the life of the server.

use crate::server::Server;
use crate::zone::{self, Zone};
use anyhow::{Context, Result};
use clap::Parser;
use hotpool::{ConfMgr, MemoryPoolMgr};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Print what this build stores, for `hotpool compat`, and end
    #[arg(long)]
    schemas: bool,
}

/// Runs the server until a signal or a client ends it.
pub(crate) fn run() -> Result<()> {
    let options = Options::parse();
    if options.schemas {
        println!("{}", zone::schemas());
        return Ok(());
    }
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
