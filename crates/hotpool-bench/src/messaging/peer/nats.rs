//! NATS publish and subscribe over TCP, with a minimal client.

use super::Place;
use crate::messaging::link::{End, Link};
use crate::pin::Pin;
use anyhow::{Context, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time within which a server must answer first.
const START: Duration = Duration::from_secs(10);

/// Returns whether nats-server is installed.
pub fn is_installed() -> bool {
    let quiet = || Command::new("nats-server").arg("--version").stdout(Stdio::null()).status();
    quiet().is_ok_and(|status| status.success())
}

/// A server. It ends when this is dropped.
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    pub fn start(folder: &Path, pin: Pin) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port, "-l"]).arg(folder.join("log"));
        let server =
            Server { child: pin.beside(&mut command).spawn()?, address: format!("127.0.0.1:{port}") };
        let began = Instant::now();
        while TcpStream::connect(&server.address).is_err() {
            ensure!(began.elapsed() < START, "it does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

pub struct Client {
    stream: BufReader<TcpStream>,
    head: Vec<u8>,
    message: Vec<u8>,
}

impl Client {
    pub fn open(place: &Place, end: End) -> anyhow::Result<Self> {
        let address = place.at.to_str().context("the address is not text")?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let (me, other) = end.both();
        let head = format!("PUB {other} {}\r\n", place.size).into_bytes();
        let mut client = Client { stream: BufReader::new(stream), head, message: Vec::new() };
        let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {me} 1\r\nPING\r\n");
        client.stream.get_mut().write_all(hello.as_bytes())?;
        while client.line()? != "PONG" {}
        Ok(client)
    }

    /// Reads a line, and answers it if the server asks whether this client lives.
    fn line(&mut self) -> anyhow::Result<String> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            ensure!(!line.is_empty() && !line.starts_with("-ERR"), "nats-server replied {line:?}");
            match line.trim_end() {
                "PING" => self.stream.get_mut().write_all(b"PONG\r\n")?,
                line => return Ok(line.to_owned()),
            }
        }
    }
}

impl Link for Client {
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.message.clear();
        self.message.extend_from_slice(&self.head);
        self.message.extend_from_slice(message);
        self.message.extend_from_slice(b"\r\n");
        Ok(self.stream.get_mut().write_all(&self.message)?)
    }

    fn receive(&mut self, f: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        let head = loop {
            let line = self.line()?;
            if line.starts_with("MSG ") {
                break line;
            }
        };
        let length: usize = head.rsplit(' ').next().unwrap_or_default().parse().context("no length")?;
        self.message.resize(length + 2, 0);
        self.stream.read_exact(&mut self.message)?;
        f(&self.message[..length]);
        Ok(())
    }
}
