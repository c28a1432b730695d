//! Waits with mio for the messages of a queue, beside everything else that a program waits for.
//!
//! The queue belongs to `[queue.moves]` of an ini in a real deployment. Here it is made in code, and a
//! thread of the same program writes to it.

use anyhow::{Context, Result};
use hotpool::conf::{QueueConf, QueueKind};
use hotpool::queue::{Receiver, RecvError, Sender};
use hotpool::units::{Bytes, Key};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::os::fd::AsRawFd;
use std::time::Duration;

const MOVES: Token = Token(0);
const COUNT: u64 = 10;

fn main() -> Result<()> {
    // A key of its own for each run, so that two runs do not meet.
    let key = Key(0x7e00_0000 | std::process::id() & 0xffff);
    let mut conf = QueueConf::new("moves", key, QueueKind::Channel, 4, Bytes(8));
    conf.writers = vec!["zone".into()];
    conf.readers = vec!["world".into()];

    let result = run(&conf);
    hotpool::sync::remove(key)?;
    result
}

fn run(conf: &QueueConf) -> Result<()> {
    let mut moves: Receiver<u64> = Receiver::open(conf, "world")?;
    let mut poll = Poll::new()?;
    let descriptor = moves.descriptor()?.as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), MOVES, Interest::READABLE)?;

    let writer = conf.clone();
    let writer = std::thread::spawn(move || -> Result<()> {
        let mut tx: Sender<u64> = Sender::open(&writer, "zone")?;
        for n in 0..COUNT {
            std::thread::sleep(Duration::from_millis(n % 3));
            tx.send(&n)?;
        }
        Ok(())
    });

    let mut events = Events::with_capacity(8);
    let mut received = 0;
    while received < COUNT {
        poll.poll(&mut events, Some(Duration::from_secs(60)))?;
        anyhow::ensure!(!events.is_empty(), "no message came");
        for _ in events.iter().filter(|event| event.token() == MOVES) {
            // mio reports an edge: receive until the queue is empty.
            loop {
                match moves.try_recv() {
                    Ok(message) => println!("move {}", message.value),
                    Err(RecvError::Empty) => break,
                    Err(error) => return Err(error.into()),
                }
                received += 1;
            }
        }
    }
    poll.registry().deregister(&mut SourceFd(&descriptor))?;
    writer.join().ok().context("the writer panicked")?
}
