//! A Unix stream socket: one write and one read for each message.

use super::{Place, Waiting};
use crate::messaging::link::Link;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

pub struct Socket {
    stream: UnixStream,
    message: Vec<u8>,
}

impl Socket {
    pub fn open(place: &Place, waiting: Waiting) -> anyhow::Result<Self> {
        let stream = match waiting {
            Waiting::Socket(listener) => listener.accept()?.0,
            Waiting::None => UnixStream::connect(place.at.join("socket"))?,
        };
        Ok(Socket { stream, message: vec![0; place.size] })
    }
}

impl Link for Socket {
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(message)?)
    }

    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        self.stream.read_exact(&mut self.message)?;
        f(&self.message);
        Ok(())
    }
}
