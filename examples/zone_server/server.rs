//! The listening socket, the clients, and the signals that end the server.

use crate::client::{Client, Stream, Turn};
use crate::zone::Zone;
use anyhow::Result;
use mio::net::{TcpListener, UnixListener};
use mio::{Events, Interest, Poll, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

/// Maximum number of clients, well below the usual limit of open files.
const MAX_CLIENTS: usize = 500;

const LISTENER: Token = Token(0);
const SIGNALS: Token = Token(1);
const FIRST_CLIENT: usize = 2;

pub(crate) struct Server {
    poll: Poll,
    listener: Listener,
    signals: Signals,
    clients: HashMap<Token, Client>,
    next_token: usize,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, String),
}

impl Server {
    /// Listens on an address and port, or on a path, and retries while it is in use.
    pub(crate) fn listen(place: &str, wait: Duration) -> Result<Self> {
        let poll = Poll::new()?;
        let mut listener = Listener::bind_within(place, wait)?;
        match &mut listener {
            Listener::Tcp(socket) => poll.registry().register(socket, LISTENER, Interest::READABLE)?,
            Listener::Unix(socket, _) => poll.registry().register(socket, LISTENER, Interest::READABLE)?,
        }
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(Server { poll, listener, signals, clients: HashMap::new(), next_token: FIRST_CLIENT })
    }

    pub(crate) fn address(&self) -> String {
        match &self.listener {
            Listener::Tcp(socket) => socket.local_addr().map_or("?".into(), |address| address.to_string()),
            Listener::Unix(_, path) => path.clone(),
        }
    }

    /// Serves until a signal or a client ends it.
    pub(crate) fn run(&mut self, zone: &mut Zone) -> Result<()> {
        let mut events = Events::with_capacity(256);
        // Clients with more input than one turn reads. The poll reports each of them only once.
        let mut waiting: Vec<Token> = Vec::new();
        loop {
            let timeout = if waiting.is_empty() { zone.tick_within() } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                done => done?,
            }
            let mut turns = std::mem::take(&mut waiting);
            for event in &events {
                match event.token() {
                    LISTENER => self.accept_all()?,
                    SIGNALS if self.signals.pending().next().is_some() => return Ok(()),
                    SIGNALS => {}
                    token if !turns.contains(&token) => turns.push(token),
                    _ => {}
                }
            }
            for token in turns {
                let Some(client) = self.clients.get_mut(&token) else { continue };
                match client.turn(zone) {
                    Turn::Idle => {}
                    Turn::Again => waiting.push(token),
                    Turn::Gone => self.drop_client(token),
                    Turn::Quit => return Ok(()),
                }
            }
            zone.tick();
        }
    }

    fn accept_all(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok(stream) => self.welcome(stream)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    eprintln!("cannot accept a client: {error}");
                    return Ok(());
                }
            }
        }
    }

    fn welcome(&mut self, mut stream: Box<dyn Stream>) -> io::Result<()> {
        if self.clients.len() >= MAX_CLIENTS {
            let _ = stream.write(b"-ERR max number of clients reached\r\n");
            return Ok(());
        }
        let token = Token(self.next_token);
        self.next_token += 1;
        register(self.poll.registry(), &mut stream, token)?;
        self.clients.insert(token, Client::new(stream));
        Ok(())
    }

    fn drop_client(&mut self, token: Token) {
        if let Some(mut client) = self.clients.remove(&token) {
            let _ = self.poll.registry().deregister(&mut client.stream);
        }
    }
}

fn register(registry: &Registry, stream: &mut Box<dyn Stream>, token: Token) -> io::Result<()> {
    registry.register(stream, token, Interest::READABLE | Interest::WRITABLE)
}

impl Listener {
    /// Retries for some time while the address is in use. The kernel releases the lock and the port
    /// of a dead owner in no particular order, so a restart may own the pool before the port is
    /// free.
    fn bind_within(place: &str, wait: Duration) -> Result<Self> {
        const PAUSE: Duration = Duration::from_millis(5);
        let began = Instant::now();
        let mut is_said = false;
        loop {
            match Self::bind(place) {
                Err(error) if is_in_use(&error) && began.elapsed() < wait => {}
                bound => return bound,
            }
            if !is_said {
                eprintln!("{place} is in use; retrying for {} ms", wait.as_millis());
                is_said = true;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn bind(place: &str) -> Result<Self> {
        if !place.contains('/') {
            return Ok(Listener::Tcp(TcpListener::bind(place.parse()?)?));
        }
        // Remove the socket file of a killed server: no process listens on it, and it blocks the
        // bind.
        if let Err(error) = std::os::unix::net::UnixStream::connect(place)
            && error.kind() == ErrorKind::ConnectionRefused
        {
            std::fs::remove_file(place)?;
        }
        Ok(Listener::Unix(UnixListener::bind(place)?, place.into()))
    }

    fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Listener::Tcp(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Listener::Unix(socket, _) => Ok(Box::new(socket.accept()?.0)),
        }
    }
}

fn is_in_use(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::AddrInUse)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}
