//! A server on tokio in which players buy items from each other, and which may be killed at any
//! moment: `trade_server KEY SOCKET`.
//!
//! Each connection sends lines `PLAYER TRADE ITEM PRICE`, with the trades of a player numbered from
//! 1, and gets the line `ok TRADE` when the trade has taken effect. A client that got no answer sends
//! the trade again, after the server has been restarted, and it takes effect once. All connections
//! share the pool (`SharedPool`), and each trade is one transaction over two types.

mod world;

use anyhow::{Context, Result};
use hotpool::pool::SharedPool;
use hotpool::units::Key;
use hotpool::{MemoryPoolMgr, TxError};
use std::env::args;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use world::{GOLD, ITEMS, Item, PLAYERS, Player};

/// A player buys an item.
struct Trade {
    player: u64,
    number: u64,
    item: u64,
    price: i64,
}

impl Trade {
    fn parse(line: &str) -> Option<Trade> {
        let mut words = line.split_whitespace();
        let mut number = || words.next()?.parse::<u64>().ok();
        let (player, trade, item, price) = (number()?, number()?, number()?, number()?);
        Some(Trade { player, number: trade, item, price: price.try_into().ok()? })
    }

    /// Makes the trade, unless it has taken effect before a restart.
    fn make(&self, pool: &SharedPool) -> Result<(), TxError> {
        pool.tx(|tx| {
            let buyer = tx.get_mut_by_key::<Player>(self.player)?;
            if buyer.last_trade >= self.number {
                return Ok(());
            }
            buyer.last_trade = self.number;
            buyer.gold -= self.price;
            let item = tx.get_mut_by_key::<Item>(self.item)?;
            let seller = std::mem::replace(&mut item.owner, self.player);
            item.trades += 1;
            item.bought_by = self.number;
            tx.get_mut_by_key::<Player>(seller)?.gold += self.price;
            Ok(())
        })
    }
}

async fn serve(pool: SharedPool, stream: UnixStream) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match Trade::parse(&line) {
            Some(trade) => match trade.make(&pool) {
                Ok(()) => format!("ok {}\n", trade.number),
                Err(error) => format!("refused: {error}\n"),
            },
            None => "refused: expected PLAYER TRADE ITEM PRICE\n".to_string(),
        };
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// Creates the players and items that do not exist yet, all or none.
fn fill(pool: &mut MemoryPoolMgr) -> Result<(), TxError> {
    if !pool.is_empty::<Item>() {
        return Ok(());
    }
    pool.tx(|tx| {
        for player in 0..PLAYERS {
            tx.alloc_keyed(player, Player { gold: GOLD, last_trade: 0 })?;
        }
        for item in 0..ITEMS {
            tx.alloc_keyed(item, Item { owner: item % PLAYERS, trades: 0, bought_by: 0 })?;
        }
        Ok(())
    })
}

fn main() -> Result<()> {
    let mut arguments = args().skip(1);
    let key: Key = arguments.next().context("usage: trade_server KEY SOCKET")?.parse()?;
    let socket = arguments.next().context("usage: trade_server KEY SOCKET")?;
    let mut pool = world::open(key)?;
    fill(&mut pool)?;
    pool.ready()?;
    let pool = SharedPool::new(pool);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_io().build()?;
    runtime.block_on(async {
        // A killed server leaves its socket.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(pool.clone(), stream));
        }
    })
}
