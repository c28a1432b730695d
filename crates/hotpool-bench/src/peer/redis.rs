//! Redis over a Unix socket, with a minimal client.

use crate::keeper::{Change, Keeper, value};
use crate::pin::Pin;
use crate::scratch;
use anyhow::{Context, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The time within which a server must answer first.
const START: Duration = Duration::from_secs(10);

/// A server without persistence. It ends when this is dropped.
pub struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Returns whether redis-server is installed.
    pub fn is_installed() -> bool {
        let quiet = || Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        quiet().is_ok_and(|status| status.success())
    }

    /// Launches a server beside the bench and waits until it answers.
    pub fn start(pin: Pin) -> anyhow::Result<Self> {
        let folder = scratch::folder()?;
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command.arg(folder.path().join("socket")).current_dir(folder.path()).stdout(Stdio::null());
        let server = Server { child: pin.beside(&mut command).spawn()?, folder };
        let began = Instant::now();
        while UnixStream::connect(server.socket()).is_err() {
            ensure!(began.elapsed() < START, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Returns the path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A connection to a server.
pub struct Client {
    socket: BufReader<UnixStream>,
    message: Vec<u8>,
    object: Vec<u8>,
    batch: usize,
}

impl Client {
    /// Connects. One message holds `batch` commands, and objects have `size` bytes.
    pub fn connect(socket: &Path, size: usize, batch: usize) -> anyhow::Result<Self> {
        let socket = BufReader::with_capacity(1 << 20, UnixStream::connect(socket)?);
        Ok(Client { socket, message: Vec::new(), object: vec![0; size], batch })
    }

    /// Reads one object.
    pub fn get(&mut self, key: u64) -> anyhow::Result<Vec<u8>> {
        self.command(&[b"GET", &key.to_le_bytes()]);
        self.send()?;
        Ok(self.bulk()?.to_vec())
    }

    /// Reads several objects, requested in one message.
    pub fn get_all(&mut self, keys: &[u64], mut f: impl FnMut(&[u8])) -> anyhow::Result<()> {
        for key in keys {
            self.command(&[b"GET", &key.to_le_bytes()]);
        }
        self.send()?;
        for _ in keys {
            f(self.bulk()?);
        }
        Ok(())
    }

    /// Writes one object.
    pub fn set(&mut self, key: u64, object: &[u8]) -> anyhow::Result<()> {
        self.command(&[b"SET", &key.to_le_bytes(), object]);
        self.send()?;
        self.line().map(drop)
    }

    fn command(&mut self, words: &[&[u8]]) {
        command(&mut self.message, words);
    }

    fn send(&mut self) -> anyhow::Result<()> {
        self.socket.get_mut().write_all(&self.message)?;
        self.message.clear();
        Ok(())
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.socket.read_line(&mut line)?;
        ensure!(!line.starts_with('-') && !line.is_empty(), "redis-server replied {line:?}");
        Ok(line)
    }

    fn bulk(&mut self) -> anyhow::Result<&[u8]> {
        let line = self.line()?;
        let len: usize = line.trim_start_matches('$').trim_end().parse().context("no object")?;
        self.object.resize(len + 2, 0);
        self.socket.read_exact(&mut self.object)?;
        self.object.truncate(len);
        Ok(&self.object)
    }
}

fn command(message: &mut Vec<u8>, words: &[&[u8]]) {
    message.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        message.extend(format!("${}\r\n", word.len()).bytes());
        message.extend_from_slice(word);
        message.extend(b"\r\n");
    }
}

impl Keeper for Client {
    fn batch(&self) -> usize {
        self.batch
    }

    fn write(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        for &change in changes {
            match change {
                Change::Put(key, seed) => {
                    Change::fill(&mut self.object, seed);
                    command(&mut self.message, &[b"SET", &key.to_le_bytes(), &self.object]);
                }
                Change::Delete(key) => self.command(&[b"DEL", &key.to_le_bytes()]),
            }
        }
        self.send()?;
        for _ in changes {
            self.line()?;
        }
        Ok(())
    }

    fn read(&mut self, keys: &[u64]) -> anyhow::Result<u64> {
        let mut sum = 0u64;
        self.get_all(keys, |object| sum = sum.wrapping_add(value(object)))?;
        Ok(sum)
    }

    fn scan(&mut self) -> anyhow::Result<Option<(usize, u64)>> {
        Ok(None)
    }
}

/// A server, with a connection to it.
pub struct Redis {
    client: Client,
    _server: Server,
}

impl Redis {
    /// Launches an empty server for objects of `size` bytes.
    pub fn new(size: usize, batch: usize, pin: Pin) -> anyhow::Result<Self> {
        let server = Server::start(pin)?;
        Ok(Redis { client: Client::connect(&server.socket(), size, batch)?, _server: server })
    }
}

impl Keeper for Redis {
    fn batch(&self) -> usize {
        self.client.batch()
    }
    fn write(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        self.client.write(changes)
    }
    fn read(&mut self, keys: &[u64]) -> anyhow::Result<u64> {
        self.client.read(keys)
    }
    fn scan(&mut self) -> anyhow::Result<Option<(usize, u64)>> {
        self.client.scan()
    }
}
