//! Step 4 of docs/tutorial.md: a server that survives `kill -9`.

use anyhow::{Context, Result, anyhow, bail};
use hotpool::{ConfMgr, MemoryPoolMgr, PoolObject};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

#[repr(C)]
#[derive(Clone, Copy, PoolObject)]
#[pool(id = 2, keyed)]
struct Player {
    gold: u64,
    logins: u64,
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:7200".into());
    let conf = ConfMgr::load("memorypool.ini")?;
    let mut pool = MemoryPoolMgr::open(conf.process("game")?)?;
    pool.add_type::<Player>()?;
    println!("{}", pool.resume_report());

    let listener = listen(&address)?;
    pool.ready()?;
    println!("ready on {}", listener.local_addr()?);
    for client in listener.incoming().flatten() {
        if let Err(error) = answer(&mut pool, client) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

/// Listens, and retries for 5 s while the kernel still holds the port of a dead server.
fn listen(address: &str) -> Result<TcpListener> {
    for _ in 0..100 {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => sleep(Duration::from_millis(50)),
            result => return result.with_context(|| format!("cannot listen on {address}")),
        }
    }
    bail!("cannot listen on {address}: another server uses it")
}

/// Reads one HTTP request and writes its reply.
fn answer(pool: &mut MemoryPoolMgr, client: TcpStream) -> Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut lines = BufReader::new(&client).lines();
    let request = lines.next().context("empty request")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let reply = execute(pool, path).unwrap_or_else(|error| error.to_string());
    write!(&client, "HTTP/1.0 200 OK\r\n\r\n{reply}\n")?;
    Ok(())
}

/// Executes one command. When it returns, the change is committed.
fn execute(pool: &mut MemoryPoolMgr, path: &str) -> Result<String> {
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    match words[..] {
        ["login", uid] => {
            let new = Player { gold: 100, logins: 0 };
            let id = pool.force_get(uid.parse()?, new)?.into_inner();
            let logins = pool.update(id, |player| {
                player.logins += 1;
                player.logins
            })?;
            Ok(format!("login {logins}"))
        }
        ["gold", uid] => {
            let player = pool.get_by_key::<Player>(uid.parse()?).ok_or(anyhow!("no such player"))?;
            Ok(format!("{} gold", player.gold))
        }
        ["give", from, to, gold] => give(pool, from.parse()?, to.parse()?, gold.parse()?, false),
        ["crash", from, to, gold] => give(pool, from.parse()?, to.parse()?, gold.parse()?, true),
        _ => bail!("commands: login/UID, gold/UID, give/FROM/TO/GOLD, crash/FROM/TO/GOLD"),
    }
}

/// Moves gold from one player to another: both change, or neither.
fn give(pool: &mut MemoryPoolMgr, from: u64, to: u64, gold: u64, crash: bool) -> Result<String> {
    pool.tx(|tx| -> Result<String> {
        let giver = tx.get_mut_by_key::<Player>(from)?;
        giver.gold = giver.gold.checked_sub(gold).context("not enough gold")?;
        if crash {
            std::process::abort(); // after the first write, before the second
        }
        tx.get_mut_by_key::<Player>(to)?.gold += gold;
        Ok("done".into())
    })
}
