//! A channel of hotpool in each direction.

use super::Place;
use crate::messaging::link::{End, Link, pause};
use crate::messaging::op::Op;
use hotpool::conf::{QueueConf, QueueKind};
use hotpool::queue::{Receiver, RecvError, SendError, Sender};
use hotpool::units::{Bytes, Key};

pub struct Queues {
    tx: Sender<[u8]>,
    rx: Receiver<[u8]>,
    blocks: bool,
    alone: bool,
}

fn conf(place: &Place, direction: usize, from: &str, to: &str) -> QueueConf {
    let key = Key(place.key + direction as u32);
    let (capacity, size) = (place.op.capacity(), place.size as u64);
    // Only a message larger than `MessageSize` takes bytes of the payload area.
    let (small, area) = if place.op == Op::Payload { (64, u64::from(capacity) * size) } else { (size, 0) };
    let mut conf = QueueConf::new("bench", key, QueueKind::Channel, capacity, Bytes(small));
    conf.payload_bytes = Bytes(area);
    (conf.writers, conf.readers) = (vec![from.into()], vec![to.into()]);
    conf
}

pub fn remove(place: &Place) {
    for direction in 0..2 {
        // The sweep at the end of the bench removes what stays.
        _ = hotpool::sync::remove(Key(place.key + direction));
    }
}

impl Queues {
    pub fn open(place: &Place, end: End) -> anyhow::Result<Self> {
        let ((me, other), (out, back)) = (end.both(), end.directions());
        let tx = Sender::open(&conf(place, out, me, other), me)?;
        let rx = Receiver::open(&conf(place, back, other, me), me)?;
        Ok(Queues { tx, rx, blocks: place.op.blocks(), alone: place.alone })
    }
}

impl Link for Queues {
    #[inline]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.tx.send(message)?;
        Ok(())
    }

    #[inline]
    fn send_all(&mut self, messages: &[Vec<u8>]) -> anyhow::Result<()> {
        let mut left = messages;
        while !left.is_empty() {
            let (sent, error) = self.tx.send_batch(left.iter().map(Vec::as_slice));
            left = &left[sent..];
            match error {
                None => {}
                Some(SendError::Full) => pause(self.alone),
                Some(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    #[inline]
    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        if self.blocks {
            f(&self.rx.recv_ref()?);
            return Ok(());
        }
        loop {
            match self.rx.try_recv_ref() {
                Ok(view) => {
                    f(&view);
                    return Ok(());
                }
                Err(RecvError::Empty) => pause(self.alone),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
