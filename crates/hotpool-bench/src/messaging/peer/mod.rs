//! The ways that messages can take.

mod futex;
mod hotpool;
#[cfg(feature = "iceoryx2")]
mod iceoryx2;
mod nats;
mod redis;
mod ring;
mod socket;

use super::jobs;
use super::link::End;
use super::op::Op;
use crate::pin::Pin;
use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Why a bench without the feature cannot measure iceoryx2.
const NOT_BUILT: &str = "not built; build with `--features iceoryx2`";

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum Peer {
    /// A channel of hotpool
    #[value(skip)]
    Hotpool,
    /// A ring for one writer and one reader, written by hand
    Ring,
    /// iceoryx2; to wake a sleeper, with its event
    Iceoryx2,
    /// A message in shared memory and one futex
    Futex,
    /// A Unix stream socket
    UnixSocket,
    /// NATS publish and subscribe
    Nats,
    /// Redis publish and subscribe, over a Unix socket
    Redis,
}

impl Peer {
    /// Returns the name in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(|| "hotpool".into(), |value| value.get_name().to_owned())
    }

    /// Returns why it cannot be measured on this host, or `None` if it can.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Peer::Iceoryx2 if !cfg!(feature = "iceoryx2") => Some(NOT_BUILT),
            Peer::Nats if !nats::is_installed() => Some("nats-server is not installed"),
            Peer::Redis if !crate::peer::redis::Server::is_installed() => {
                Some("redis-server is not installed")
            }
            _ => None,
        }
    }

    /// Returns whether it does what an operation asks for.
    pub fn takes_part(self, op: Op) -> bool {
        match self {
            Peer::Hotpool | Peer::Iceoryx2 => true,
            Peer::Ring => !op.blocks(),
            Peer::Futex => op.blocks(),
            Peer::UnixSocket => op != Op::LatencySpin,
            // A frame is larger than the largest message of NATS.
            Peer::Nats | Peer::Redis => matches!(op, Op::LatencyBlock | Op::Throughput),
        }
    }
}

/// What both ends know of a way.
#[derive(Clone, Debug)]
pub struct Place {
    pub peer: Peer,
    pub op: Op,
    pub size: usize,
    /// The first of two keys of shared memory.
    pub key: u32,
    /// A folder, or the address of a server.
    pub at: PathBuf,
    /// There is only one processor.
    pub alone: bool,
}

impl Place {
    /// Returns the arguments of the process at the other end.
    pub fn arguments(&self) -> [String; 6] {
        let (peer, op) = (self.peer.name(), self.op.name());
        let at = self.at.to_string_lossy().into_owned();
        [peer, op, self.size.to_string(), self.key.to_string(), at, self.alone.to_string()]
    }

    /// Returns the place that arguments describe.
    pub fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let [peer, op, size, key, at, alone] = arguments else { bail!("six arguments are needed") };
        let peer = match peer.as_str() {
            "hotpool" => Peer::Hotpool,
            name => Peer::from_str(name, true).map_err(|error| anyhow!(error))?,
        };
        let op = Op::from_str(op, true).map_err(|error| anyhow!(error))?;
        let (size, key, alone) = (size.parse()?, key.parse()?, alone.parse()?);
        Ok(Place { peer, op, size, key, at: at.into(), alone })
    }

    fn file(&self) -> PathBuf {
        self.at.join("memory")
    }

    /// Makes what must be there before either end opens.
    pub fn prepare(&self) -> anyhow::Result<Waiting> {
        match self.peer {
            Peer::Ring => ring::prepare(self)?,
            Peer::Futex => futex::prepare(self)?,
            Peer::UnixSocket => return Ok(Waiting::Socket(UnixListener::bind(self.at.join("socket"))?)),
            _ => {}
        }
        Ok(Waiting::None)
    }

    /// Removes what no drop removes.
    pub fn remove(&self) {
        if self.peer == Peer::Hotpool {
            hotpool::remove(self);
        }
    }
}

/// What is made before the other process starts.
pub enum Waiting {
    None,
    Socket(UnixListener),
}

impl Waiting {
    /// Opens one end.
    pub fn open(self, place: &Place, end: End) -> anyhow::Result<AnyLink> {
        Ok(match place.peer {
            Peer::Hotpool => AnyLink::Hotpool(Box::new(hotpool::Queues::open(place, end)?)),
            Peer::Ring => AnyLink::Ring(ring::Rings::open(place, end)?),
            #[cfg(feature = "iceoryx2")]
            Peer::Iceoryx2 => AnyLink::Iceoryx2(Box::new(iceoryx2::Services::open(place, end)?)),
            #[cfg(not(feature = "iceoryx2"))]
            Peer::Iceoryx2 => bail!(NOT_BUILT),
            Peer::Futex => AnyLink::Futex(futex::Handoff::open(place, end)?),
            Peer::UnixSocket => AnyLink::UnixSocket(socket::Socket::open(place, self)?),
            Peer::Nats => AnyLink::Nats(nats::Client::open(place, end)?),
            Peer::Redis => AnyLink::Redis(redis::Client::open(place, end)?),
        })
    }
}

/// One end of any way. The loops are compiled for each, so that no call between them is indirect.
pub enum AnyLink {
    Hotpool(Box<hotpool::Queues>),
    Ring(ring::Rings),
    #[cfg(feature = "iceoryx2")]
    Iceoryx2(Box<iceoryx2::Services>),
    Futex(futex::Handoff),
    UnixSocket(socket::Socket),
    Nats(nats::Client),
    Redis(redis::Client),
}

macro_rules! each {
    ($link:expr, $name:ident => $result:expr) => {
        match $link {
            AnyLink::Hotpool($name) => $result,
            AnyLink::Ring($name) => $result,
            #[cfg(feature = "iceoryx2")]
            AnyLink::Iceoryx2($name) => $result,
            AnyLink::Futex($name) => $result,
            AnyLink::UnixSocket($name) => $result,
            AnyLink::Nats($name) => $result,
            AnyLink::Redis($name) => $result,
        }
    };
}

impl AnyLink {
    /// Looks for the other end.
    pub fn connect(&mut self) -> anyhow::Result<()> {
        match self {
            #[cfg(feature = "iceoryx2")]
            AnyLink::Iceoryx2(services) => services.connect(),
            _ => Ok(()),
        }
    }

    /// Does the part of the bench in a round.
    pub fn lead(&mut self, op: Op, size: usize) -> anyhow::Result<Option<f64>> {
        each!(self, link => jobs::lead(link, op, size))
    }

    /// Does the part of the other process in a round.
    pub fn follow(&mut self, op: Op, size: usize) -> anyhow::Result<Option<f64>> {
        each!(self, link => jobs::follow(link, op, size))
    }
}

/// A server between the two ends.
pub enum Server {
    Nats(nats::Server),
    Redis(crate::peer::redis::Server),
}

impl Server {
    /// Starts the server of a way that has one.
    pub fn start(peer: Peer, folder: &Path, pin: Pin) -> anyhow::Result<Option<Self>> {
        Ok(match peer {
            Peer::Nats => Some(Server::Nats(nats::Server::start(folder, pin).context("nats-server")?)),
            Peer::Redis => Some(Server::Redis(crate::peer::redis::Server::start(pin)?)),
            _ => None,
        })
    }

    /// Returns its address.
    pub fn place(&self) -> PathBuf {
        match self {
            Server::Nats(server) => server.address().into(),
            Server::Redis(server) => server.socket(),
        }
    }
}
