//! A thread that writes the sets of a running pool, so that the pool only copies bytes.
//!
//! Orders go to it through a channel with room for all that can be outstanding, and reports come
//! back. So neither a slow disk nor a thread that hangs ever blocks the sender.

use super::chain::Chain;
use super::codec::Compression;
use super::error::SetError;
use super::keep;
use super::manifest::SetInfo;
use super::part::CHUNK;
use super::shelf;
use super::writer::SetWriter;
use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Chunks that may wait to be written: 16 MiB.
pub(crate) const WAITING: usize = 64;

/// How long a pool that is dropped waits for the thread to remove its draft.
const FAREWELL: Duration = Duration::from_secs(10);

/// What a new set builds on, and which sets are dropped when it is whole.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The parent; `None` for a full set.
    pub(crate) parent: Option<Written>,
    /// Number of full sets that are kept.
    pub(crate) keep: u32,
}

/// A chunk to be written.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) segment: u32,
    pub(crate) number: u32,
    pub(crate) bytes: Vec<u8>,
}

enum Order {
    Look(String),
    Begin(Box<SetInfo>, Plan),
    Chunk(Chunk),
    Finish,
    Discard,
}

/// What the thread reports.
#[derive(Debug)]
pub(crate) enum Told {
    /// The latest set was taken at this moment of the wall clock, in nanoseconds; `None` if there is
    /// none.
    Latest(Option<u64>),
    /// The set is whole.
    Whole(Written),
    /// The set is absent, and its draft was removed.
    Failed(SetError),
    /// The draft was removed, as ordered.
    Discarded,
    /// The thread has ended by a panic.
    Died(String),
}

/// A set that was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) id: String,
}

/// The thread, from outside.
#[derive(Debug)]
pub(crate) struct SetThread {
    /// `None` once the thread was told to end.
    orders: Option<SyncSender<Order>>,
    reports: Receiver<Told>,
    /// Buffers that were written.
    empty: Receiver<Vec<u8>>,
    /// Buffers that were created.
    buffers: usize,
    /// `None` once the thread has ended.
    thread: Option<JoinHandle<()>>,
}

impl SetThread {
    /// Starts a thread that writes sets into the folder `shelf`.
    ///
    /// # Errors
    ///
    /// Fails if the system has no thread left.
    pub(crate) fn start(shelf: &Path, compression: Compression) -> io::Result<SetThread> {
        // One set is written at a time: its beginning, its chunks, its end, and a look before.
        let (orders, next) = mpsc::sync_channel(WAITING + 8);
        let (tell, reports) = mpsc::channel();
        let (give_back, empty) = mpsc::sync_channel(WAITING);
        let mut worker = Worker { shelf: shelf.to_path_buf(), compression, set: None, tell, give_back };
        let work = move || {
            for order in next {
                worker.follow(order);
            }
        };
        let thread = std::thread::Builder::new().name("hotpool-saver".into()).spawn(work)?;
        Ok(SetThread { orders: Some(orders), reports, empty, buffers: 0, thread: Some(thread) })
    }

    /// Sweeps drafts, and asks for the latest set of a process.
    pub(crate) fn look(&self, process: &str) {
        self.order(Order::Look(process.into()));
    }

    /// Begins a set. The one before has ended.
    pub(crate) fn begin(&self, info: SetInfo, plan: Plan) {
        self.order(Order::Begin(Box::new(info), plan));
    }

    /// Returns an empty buffer for a chunk; `None` if all of them wait to be written.
    pub(crate) fn buffer(&mut self) -> Option<Vec<u8>> {
        if let Ok(buffer) = self.empty.try_recv() {
            return Some(buffer);
        }
        (self.buffers < WAITING).then(|| {
            self.buffers += 1;
            // Written once here, so that no later tick takes its page faults.
            let mut buffer = vec![u8::MAX; CHUNK as usize];
            buffer.clear();
            buffer
        })
    }

    /// Writes a chunk, in a buffer that came from [`buffer`](Self::buffer).
    pub(crate) fn chunk(&self, chunk: Chunk) {
        self.order(Order::Chunk(chunk));
    }

    /// Completes the set. A report follows.
    pub(crate) fn finish(&self) {
        self.order(Order::Finish);
    }

    /// Drops the set. A report follows, if the set has not failed already.
    pub(crate) fn discard(&self) {
        self.order(Order::Discard);
    }

    /// Gives an order. A thread that has ended reports that itself.
    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // Never full, see above: a lost order would be one of a caller that breaks the protocol.
            let sent = orders.try_send(order);
            debug_assert!(!matches!(sent, Err(mpsc::TrySendError::Full(_))), "too many orders");
        }
    }

    /// Returns the next report, if there is one.
    pub(crate) fn report(&mut self) -> Option<Told> {
        match self.reports.try_recv() {
            Ok(told) => Some(told),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => self.death(),
        }
    }

    /// Waits for the next report, but not longer than `most`.
    pub(crate) fn wait(&mut self, most: Duration) -> Option<Told> {
        match self.reports.recv_timeout(most) {
            Ok(told) => Some(told),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => self.death(),
        }
    }

    /// Returns why the thread has ended, once.
    fn death(&mut self) -> Option<Told> {
        let ended = self.thread.take()?.join();
        Some(Told::Died(ended.map_or_else(text_of, |()| "it has ended".into())))
    }
}

/// Returns the text of a panic. What is no text is leaked: dropping it might panic again.
fn text_of(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    std::mem::forget(payload);
    text.unwrap_or_else(|| "it panicked".into())
}

impl Drop for SetThread {
    /// Waits until the thread has removed the draft of an unfinished set, but not for ever.
    fn drop(&mut self) {
        self.orders = None;
        let Some(thread) = self.thread.take() else { return };
        let began = Instant::now();
        while !thread.is_finished() && began.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(1));
        }
        match thread.is_finished() {
            true => drop(thread.join().map_err(text_of)),
            false => {
                log::warn!("the thread that writes snapshots hangs: its draft stays until the next save")
            }
        }
    }
}

/// What the thread has.
struct Worker {
    shelf: PathBuf,
    compression: Compression,
    /// The set that is being written; `None` after it has failed.
    set: Option<(SetWriter, u32)>,
    tell: mpsc::Sender<Told>,
    give_back: SyncSender<Vec<u8>>,
}

impl Worker {
    fn follow(&mut self, order: Order) {
        match order {
            Order::Look(process) => self.look(&process),
            Order::Begin(info, plan) => match self.begin(*info, plan) {
                Ok(set) => self.set = Some(set),
                Err(error) => self.tell(Told::Failed(error)),
            },
            Order::Chunk(chunk) => self.chunk(chunk),
            Order::Finish => self.finish(),
            Order::Discard if self.set.take().is_some() => self.tell(Told::Discarded),
            Order::Discard => {}
        }
    }

    /// The pool may be gone, and with it the receiver.
    fn tell(&self, told: Told) {
        let _ = self.tell.send(told);
    }

    fn look(&self, process: &str) {
        shelf::sweep(&self.shelf);
        let found = shelf::list(&self.shelf).unwrap_or_default();
        let of_process = found.iter().filter_map(|found| found.info.as_ref().ok());
        let of_process = of_process.filter(|info| info.process == process);
        self.tell(Told::Latest(of_process.map(|info| info.taken_ns).max()));
    }

    fn begin(&self, info: SetInfo, plan: Plan) -> Result<(SetWriter, u32), SetError> {
        log::debug!("{}: writes a snapshot into {}", info.process, self.shelf.display());
        if let Some(Written { path, id }) = &plan.parent
            && let Err(error) = Chain::open(path)
        {
            log::warn!("{}: the next snapshot will be a full one: {error}", info.process);
            return Err(SetError::NoParent { path: path.clone(), parent: id.clone() });
        }
        let parent = plan.parent.map(|parent| parent.id);
        let set = SetWriter::begin_on(&self.shelf, info, self.compression, parent)?;
        Ok((set, plan.keep))
    }

    fn chunk(&mut self, chunk: Chunk) {
        if let Some((set, _)) = &self.set
            && let Err(error) = set.chunk(chunk.segment, chunk.number, &chunk.bytes)
        {
            // First the draft goes: a disk that is full has room again when the pool learns of it.
            self.set = None;
            self.tell(Told::Failed(error));
        }
        let mut buffer = chunk.bytes;
        buffer.clear();
        let _ = self.give_back.try_send(buffer);
    }

    fn finish(&mut self) {
        let Some((set, keep)) = self.set.take() else { return };
        let (info, id) = (set.info().clone(), set.id());
        log::debug!("{}: syncs the snapshot {id}", info.process);
        match set.finish() {
            Ok(set) => {
                log::info!("{}: wrote the snapshot {}", info.process, set.path().display());
                let path = set.path().to_path_buf();
                drop(set);
                keep::thin(&self.shelf, &info, &id, keep);
                self.tell(Told::Whole(Written { path, id }));
            }
            Err(error) => self.tell(Told::Failed(error)),
        }
    }
}
