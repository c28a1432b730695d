//! Messages between processes that survive the death of any of them.
//!
//! A queue lies in a segment of its own. Its configuration names its writers and readers, and each
//! name belongs to at most one living process. A process that restarts under a name continues where
//! its predecessor died. One store sends a message, so no death leaves half of one.
//! `docs/messaging.md` describes the bytes and the steps.
//!
//! ```
//! use hotpool::conf::{QueueConf, QueueKind};
//! use hotpool::queue::{Receiver, Sender};
//! use hotpool::units::{Bytes, Key};
//!
//! let mut conf = QueueConf::new("moves", Key(0x4850_0f02), QueueKind::Channel, 64, Bytes(256));
//! conf.writers = vec!["zone".into()];
//! conf.readers = vec!["world".into()];
//!
//! let mut tx: Sender<[u8]> = Sender::open(&conf, "zone")?;
//! let mut rx: Receiver<[u8]> = Receiver::open(&conf, "world")?;
//! tx.send(b"north")?;
//! assert_eq!(rx.recv()?.value, b"north");
//! # drop((tx, rx));
//! # hotpool::sync::remove(conf.key)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acks;
mod area;
mod descriptor;
mod entry;
mod error;
mod in_tx;
mod large;
mod latest;
mod observe;
mod payload;
mod receiver;
mod record;
mod ring;
mod sender;
mod work;

pub use entry::{Message, Meta};
pub use error::{AckError, RecvError, RecvInError, SendError};
pub use latest::Latest;
#[doc(hidden)]
pub use observe::verify_idle;
pub use observe::{QueueFacts, ReaderFacts, WriterFacts, observe};
pub use payload::Payload;
pub use receiver::{Receiver, View};
#[doc(hidden)]
pub use ring::{disagreement, segment_bytes};
pub use sender::{Loan, Sender};
pub use work::WorkQueue;
