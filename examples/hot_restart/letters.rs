//! What the processes say to each other: letters through the queues of the ini, and the count of
//! them.
//!
//! A process announces each letter in its journal before it sends it, and after it has received it.
//! The supervisor knows from the journals which letters each process got, and which it sent.

use crate::journal::{Op, Said};
use crate::model::Faults;
use crate::stock::Work;
use anyhow::{Context, Result};
use bytemuck::{Pod, Zeroable};
use hotpool::conf::QueueConf;
use hotpool::object::Schema;
use hotpool::queue::{Message, Receiver, RecvError, SendError, Sender};
use std::collections::BTreeMap;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, Schema)]
pub(crate) struct Letter {
    /// How many letters its writer has sent with it.
    clock: u64,
    words: [u64; 7],
}

impl Letter {
    fn new(clock: u64) -> Self {
        Letter { clock, words: std::array::from_fn(|n| clock.wrapping_mul(0x9e37_79b9_7f4a_7c15 + n as u64)) }
    }
}

/// A letter that a process has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) queue: u8,
    pub(crate) writer: u8,
    /// Its number in the queue.
    pub(crate) id: u64,
    pub(crate) clock: u64,
    /// Whether a predecessor had been given it.
    pub(crate) again: bool,
    /// Whether all its words are of one letter.
    pub(crate) whole: bool,
}

impl Got {
    fn new(queue: u8, message: &Message<Letter>) -> Self {
        let Message { meta, value } = message;
        let (writer, whole) = (meta.writer as u8, *value == Letter::new(meta.clock));
        Got { queue, writer, id: meta.id, clock: meta.clock, again: meta.redelivered, whole }
    }
}

/// The ends of the queues that one process has, with the number of each queue in the ini.
pub(crate) struct Letters {
    out: Vec<(u8, Sender<Letter>)>,
    inward: Vec<(u8, Receiver<Letter>)>,
    /// A planted bug: some letters are not told to the journal.
    silent: bool,
}

impl Letters {
    pub(crate) fn open(queues: &[QueueConf], me: &str, silent: bool) -> Result<Self> {
        let (mut out, mut inward) = (Vec::new(), Vec::new());
        for (number, conf) in (0..).zip(queues) {
            if conf.writers.iter().any(|name| name == me) {
                out.push((number, Sender::open(conf, me)?));
            }
            if conf.readers.iter().any(|name| name == me) {
                inward.push((number, Receiver::open(conf, me)?));
            }
        }
        Ok(Letters { out, inward, silent })
    }

    /// Sends a letter or receives one, if that is possible now.
    pub(crate) fn step(&mut self, work: &mut Work) -> Result<()> {
        if work.dice.bool() { self.send(work) } else { self.receive(work) }
    }

    fn send(&mut self, work: &mut Work) -> Result<()> {
        let Some((queue, sender)) = work.dice.choice(&mut self.out) else { return Ok(()) };
        let clock = sender.sent() + 1;
        work.journal.announce(Op::Send { queue: *queue, clock })?;
        let sent = match sender.try_send(&Letter::new(clock)) {
            Err(SendError::Full) => false,
            answer => answer.map(|_| true)?,
        };
        work.journal.done(sent.into());
        Ok(())
    }

    fn receive(&mut self, work: &mut Work) -> Result<()> {
        let tell = !self.silent || work.dice.u32(0..10) != 0;
        let Some((queue, receiver)) = work.dice.choice(&mut self.inward) else { return Ok(()) };
        match receiver.try_recv() {
            Err(RecvError::Empty) => return Ok(()),
            Ok(message) if tell => {
                work.journal.announce(Op::Receive(Got::new(*queue, &message)))?;
                work.journal.done(1);
            }
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        // From here on no successor gets it again.
        receiver.ack();
        Ok(())
    }
}

/// What a process has acknowledged of its letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    /// For each queue that it reads, the number of the next letter.
    next: BTreeMap<u8, u64>,
    /// For each queue that it reads and each writer, the clock of the last letter.
    clocks: BTreeMap<(u8, u8), u64>,
    /// For each queue that it writes, the clock of the last letter.
    sent: BTreeMap<u8, u64>,
    pub(crate) received: u64,
    pub(crate) faults: Faults,
}

impl Count {
    /// Applies what a process acknowledged before it died.
    pub(crate) fn apply(&mut self, said: &Said) {
        for (op, outcome) in &said.acknowledged {
            match op {
                Op::Send { queue, clock } if *outcome == 1 => self.sent(*queue, *clock),
                Op::Receive(got) => self.got(*got),
                _ => {}
            }
        }
        // A process has received a letter when it announces that.
        if let Some(Op::Receive(got)) = said.in_flight {
            self.got(got);
        }
    }

    fn sent(&mut self, queue: u8, clock: u64) {
        let last = self.sent.entry(queue).or_default();
        // A kill leaves at most one more letter sent than acknowledged: its successor goes on after
        // that.
        self.faults.duplicated += u64::from(clock <= *last);
        *last = clock;
    }

    fn got(&mut self, got: Got) {
        self.faults.torn += u64::from(!got.whole);
        let next = self.next.entry(got.queue).or_default();
        if got.id < *next {
            // The last one comes again if the predecessor died with it, and says so.
            self.faults.duplicated += u64::from(!got.again || got.id + 1 != *next);
            return;
        }
        self.faults.lost += got.id - *next;
        *next = got.id + 1;
        self.received += 1;
        let clock = self.clocks.entry((got.queue, got.writer)).or_default();
        // In the order of its writer, each once.
        if got.clock != *clock + 1 {
            self.faults.resurrected += 1;
        }
        *clock = got.clock;
    }
}

/// Receives what is left in the queues when all processes have ended, and compares what each has
/// received with what was sent to it.
pub(crate) fn settle<'a>(
    queues: &[QueueConf],
    counts: impl Iterator<Item = (&'a str, &'a mut Count)>,
) -> Result<()> {
    let mut counts: BTreeMap<&str, &mut Count> = counts.collect();
    for (number, conf) in (0..).zip(queues) {
        let mut sent = Vec::new();
        for name in &conf.writers {
            let clock = Sender::<Letter>::open(conf, name)?.sent();
            let count = counts.get_mut(name.as_str()).context("a writer is no process")?;
            // An acknowledged letter was sent.
            count.faults.lost += count.sent.get(&number).copied().unwrap_or(0).saturating_sub(clock);
            sent.push(clock);
        }
        for name in &conf.readers {
            let mut receiver = Receiver::<Letter>::open(conf, name)?;
            let count = counts.get_mut(name.as_str()).context("a reader is no process")?;
            loop {
                match receiver.try_recv() {
                    Ok(message) => count.got(Got::new(number, &message)),
                    Err(RecvError::Empty) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            receiver.ack();
            for (writer, sent) in (0..).zip(&sent) {
                let got = count.clocks.get(&(number, writer)).copied().unwrap_or(0);
                count.faults.lost += sent.saturating_sub(got);
                count.faults.resurrected += got.saturating_sub(*sent);
            }
        }
    }
    Ok(())
}
