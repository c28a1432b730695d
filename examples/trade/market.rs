//! Two players and the sale of one item: in the pool, and as the parent computes it.

use crate::journal::Message;
use anyhow::{Context, Result};
use bytemuck::{Pod, Zeroable};
use hotpool::{Id, MemoryPoolMgr, PoolObject, Ref, TxError};

/// The gold that each player begins with.
const GOLD: u64 = 1000;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 1, keyed)]
struct Player {
    gold: u64,
    bag: Ref<Item>,
}

/// The traded item. `history` is a hash over all messages in their order.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 2)]
struct Item {
    sales: u64,
    history: u64,
}

/// The receipt of the last message. Each transaction frees the old receipt and allocates a new one.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, PoolObject)]
#[pool(id = 3)]
struct Receipt {
    number: u64,
}

/// A bug to plant, for the comparison to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mistake {
    /// The seller keeps the item, and the buyer gets a second one.
    Copied,
    /// The seller is not paid.
    Unpaid,
    /// A message is carried out twice.
    Repeated,
    /// A message is committed, but not carried out.
    Skipped,
}

/// Everything that the parent compares.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct State {
    pub(crate) last_committed: u64,
    pub(crate) gold: [u64; 2],
    /// 1 for each player who has the item.
    pub(crate) has: [u64; 2],
    pub(crate) items: u64,
    pub(crate) sales: u64,
    pub(crate) history: u64,
    /// The number of receipts, and the message number of the last one.
    pub(crate) receipts: [u64; 2],
}

impl State {
    /// Returns the state before the first message.
    pub(crate) fn new() -> Self {
        let nothing = State::zeroed();
        State { gold: [GOLD; 2], has: [1, 0], items: 1, history: history(0, 0), receipts: [1, 0], ..nothing }
    }

    /// Applies a message to the expected state, without using the pool.
    pub(crate) fn apply(&mut self, message: Message) {
        let (number, price) = (message.number.into(), message.price.into());
        self.last_committed = number;
        self.history = history(self.history, number);
        self.receipts[1] = number;
        let (seller, buyer) = if self.has[0] == 1 { (0, 1) } else { (1, 0) };
        if self.gold[buyer] >= price {
            self.gold[buyer] -= price;
            self.gold[seller] += price;
            self.has.swap(0, 1);
            self.sales += 1;
        }
    }
}

fn history(before: u64, number: u64) -> u64 {
    (before ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The objects of an open pool.
pub(crate) struct Market {
    pub(crate) pool: MemoryPoolMgr,
    players: [Id<Player>; 2],
    item: Id<Item>,
    receipt: Id<Receipt>,
}

impl Market {
    pub(crate) fn new(mut pool: MemoryPoolMgr) -> Result<Self> {
        pool.add_type::<Player>()?;
        pool.add_type::<Item>()?;
        pool.add_type::<Receipt>()?;
        if pool.find::<Player>(0).is_none() {
            pool.tx(|tx| {
                let item = tx.alloc(Item { sales: 0, history: history(0, 0) })?;
                tx.alloc(Receipt { number: 0 })?;
                tx.alloc_keyed(0, Player { gold: GOLD, bag: item.into() })?;
                tx.alloc_keyed(1, Player { gold: GOLD, bag: Ref::none() })?;
                Ok::<_, TxError>(())
            })?;
        }
        let player = |uid| pool.find::<Player>(uid).context("a player is missing");
        let players = [player(0)?, player(1)?];
        let (item, _) = pool.iter::<Item>().next().context("the item is missing")?;
        let (receipt, _) = pool.iter::<Receipt>().next().context("the receipt is missing")?;
        Ok(Market { pool, players, item, receipt })
    }

    /// Carries out a message, all of it or nothing.
    pub(crate) fn trade(&mut self, message: Message, mistake: Option<Mistake>) -> Result<(), TxError> {
        let (players, item, old) = (self.players, self.item, self.receipt);
        let (number, price) = (u64::from(message.number), u64::from(message.price));
        self.receipt = self.pool.tx(|tx| {
            let rounds = match mistake {
                Some(Mistake::Skipped) => 0,
                Some(Mistake::Repeated) => 2,
                _ => 1,
            };
            for _ in 0..rounds {
                let has = |player: Id<Player>| tx.get(player).is_some_and(|p| p.bag.id() == Some(item));
                let [seller, buyer] = if has(players[0]) { players } else { [players[1], players[0]] };
                let sold = tx.get(buyer).is_some_and(|player| player.gold >= price);
                if sold {
                    let bought = match mistake {
                        Some(Mistake::Copied) => tx.alloc(Item { sales: 0, history: 0 })?,
                        _ => item,
                    };
                    let from = tx.get_mut(seller)?;
                    from.bag = if bought == item { Ref::none() } else { item.into() };
                    from.gold += if mistake == Some(Mistake::Unpaid) { 0 } else { price };
                    let to = tx.get_mut(buyer)?;
                    to.bag = bought.into();
                    to.gold -= price;
                }
                let item = tx.get_mut(item)?;
                item.sales += u64::from(sold);
                item.history = history(item.history, number);
            }
            tx.free(old)?;
            let receipt = tx.alloc(Receipt { number })?;
            tx.commit_with(number)?;
            Ok::<_, TxError>(receipt)
        })?;
        Ok(())
    }

    /// Reads the state from the pool.
    pub(crate) fn state(&self) -> Result<State> {
        let player = |id: Id<Player>| self.pool.get(id).context("a player is missing");
        let item = self.pool.get(self.item).context("the item is missing")?;
        let [a, b] = [player(self.players[0])?, player(self.players[1])?];
        Ok(State {
            last_committed: self.pool.last_committed(),
            gold: [a.gold, b.gold],
            has: [a, b].map(|player| u64::from(player.bag.id() == Some(self.item))),
            items: self.pool.len::<Item>() as u64,
            sales: item.sales,
            history: item.history,
            receipts: [
                self.pool.len::<Receipt>() as u64,
                self.pool.get(self.receipt).map_or(0, |r| r.number),
            ],
        })
    }
}
