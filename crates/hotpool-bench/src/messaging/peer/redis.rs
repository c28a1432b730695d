//! Redis publish and subscribe, with a minimal client.

use super::Place;
use crate::messaging::link::{End, Link};
use anyhow::{Context, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

pub struct Client {
    publisher: BufReader<UnixStream>,
    subscriber: BufReader<UnixStream>,
    /// The head of each message that is published.
    head: Vec<u8>,
    message: Vec<u8>,
    /// The server has not said yet how many got the last message.
    owes: bool,
}

impl Client {
    pub fn open(place: &Place, end: End) -> anyhow::Result<Self> {
        let connect = || UnixStream::connect(&place.at).map(BufReader::new);
        let (me, other) = end.both();
        let (publisher, mut subscriber) = (connect()?, connect()?);
        write!(subscriber.get_mut(), "*2\r\n$9\r\nSUBSCRIBE\r\n${}\r\n{me}\r\n", me.len())?;
        // The channel, its name and the number of subscriptions, in six lines.
        for _ in 0..6 {
            line(&mut subscriber)?;
        }
        let head = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{other}\r\n${}\r\n", other.len(), place.size);
        Ok(Client { publisher, subscriber, head: head.into_bytes(), message: Vec::new(), owes: false })
    }
}

fn line(stream: &mut BufReader<UnixStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    ensure!(!line.starts_with('-') && !line.is_empty(), "redis-server replied {line:?}");
    Ok(line)
}

impl Link for Client {
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        if self.owes {
            line(&mut self.publisher)?;
        }
        self.message.clear();
        self.message.extend_from_slice(&self.head);
        self.message.extend_from_slice(message);
        self.message.extend_from_slice(b"\r\n");
        self.publisher.get_mut().write_all(&self.message)?;
        self.owes = true;
        Ok(())
    }

    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        // `message`, the channel with their lengths, then the length of the payload.
        for _ in 0..5 {
            line(&mut self.subscriber)?;
        }
        let length = line(&mut self.subscriber)?;
        let length: usize = length.trim_start_matches('$').trim_end().parse().context("no length")?;
        self.message.resize(length + 2, 0);
        self.subscriber.read_exact(&mut self.message)?;
        f(&self.message[..length]);
        Ok(())
    }
}
